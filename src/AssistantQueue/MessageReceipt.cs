namespace AssistantQueue;

/// <summary>Says that a message is stored, and where. Serializable, so that another process can wait with it.</summary>
public sealed record MessageReceipt
{
    /// <summary>Gets the queue's name; empty for the unnamed queue.</summary>
    public string QueueName { get; init; } = "";

    /// <summary>Gets the thread.</summary>
    public required string ThreadId { get; init; }

    /// <summary>Gets the message's id: the app's own, or the one that the queue made.</summary>
    public required string MessageId { get; init; }

    /// <summary>Gets the message's place in its thread; grows within a thread, also over idle times.</summary>
    public required long Sequence { get; init; }

    /// <summary>Gets a value indicating whether the message was known already; nothing was stored by this call then, and the receipt is that of the first.</summary>
    public bool IsDuplicate { get; init; }

    /// <summary>Gets when the thread is due, by Redis' clock; null while the message waits behind a run.</summary>
    public DateTimeOffset? DueAt { get; init; }
}
