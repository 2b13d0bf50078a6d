namespace AssistantQueue;

/// <summary>Something that happened in a thread, as <see cref="IAssistantMessageQueue.WatchThreadAsync"/> yields it.</summary>
public abstract record ThreadUpdate
{
    /// <summary>Gets the thread.</summary>
    public required string ThreadId { get; init; }

    /// <summary>Gets the update's place in the thread's history; grows, and can be given to <see cref="IAssistantMessageQueue.WatchThreadAsync"/> as <c>after</c>.</summary>
    public required string Position { get; init; }
}

/// <summary>Messages were stored.</summary>
public sealed record MessagesStored : ThreadUpdate
{
    /// <summary>Gets the ids of the messages, in their order.</summary>
    public required IReadOnlyList<string> MessageIds { get; init; }

    /// <summary>Gets the sequence number of the first message stored.</summary>
    public required long FirstSequence { get; init; }

    /// <summary>Gets the sequence number of the last message stored.</summary>
    public required long LastSequence { get; init; }
}

/// <summary>A run began to answer a batch.</summary>
public sealed record BatchStarted : ThreadUpdate
{
    /// <summary>Gets the batch.</summary>
    public required string BatchId { get; init; }

    /// <summary>Gets the sequence number of the first message that the run answers.</summary>
    public required long FirstSequence { get; init; }

    /// <summary>Gets the sequence number of the last message that the run answers.</summary>
    public required long LastSequence { get; init; }

    /// <summary>Gets which attempt begins, from 1.</summary>
    public required int Attempt { get; init; }
}

/// <summary>A batch was answered.</summary>
public sealed record BatchReplied : ThreadUpdate
{
    /// <summary>Gets the reply.</summary>
    public required AssistantReply Reply { get; init; }
}

/// <summary>An attempt failed and the batch will be tried again.</summary>
public sealed record BatchRetrying : ThreadUpdate
{
    /// <summary>Gets the batch.</summary>
    public required string BatchId { get; init; }

    /// <summary>Gets when it is tried again, by Redis' clock.</summary>
    public required DateTimeOffset RetryAt { get; init; }
}

/// <summary>A batch was given up.</summary>
public sealed record BatchFailed : ThreadUpdate
{
    /// <summary>Gets the failed batch.</summary>
    public required FailedBatch Failure { get; init; }
}
