using Microsoft.Extensions.AI;

namespace AssistantQueue;

/// <summary>What a user said in a thread, as it is given to <see cref="IAssistantMessageQueue"/>.</summary>
/// <remarks>Instances are read during the enqueue call only; the queue keeps no reference to them.</remarks>
public sealed class AssistantMessage
{
    /// <summary>Gets or sets the app's own key of the conversation, for example <c>"whatsapp:+49151…"</c>.</summary>
    /// <value>1 to 256 characters, no control characters.</value>
    public required string ThreadId { get; set; }

    /// <summary>Gets or sets the text. Give this or <see cref="Contents"/>, not both.</summary>
    /// <value>1 to 10,485,760 characters, not only white space.</value>
    public string? Text { get; set; }

    /// <summary>Gets or sets the content parts: text, image URL, image or file data, uploaded file ids.</summary>
    public IList<AIContent>? Contents { get; set; }

    /// <summary>Gets or sets instructions for the run that answers this message.</summary>
    /// <remarks>The distinct instructions of a batch are joined in order; <see cref="AssistantQueueOptions.DefaultInstructions"/> apply when no message of a batch has any.</remarks>
    public string? Instructions { get; set; }

    /// <summary>Gets or sets the channel's own id of this message, by which a repeated delivery is recognised within <see cref="AssistantQueueOptions.DeduplicationWindow"/>.</summary>
    /// <value>1 to 256 characters, no control characters; when null the queue makes one and recognises nothing.</value>
    public string? MessageId { get; set; }

    /// <summary>Gets or sets how long an idle thread waits for more messages after this one, instead of <see cref="AssistantQueueOptions.MessageDelay"/>.</summary>
    /// <value>Zero to 30 days.</value>
    public TimeSpan? Delay { get; set; }

    /// <summary>Gets or sets a value indicating whether the thread's waiting messages are due at once with this one.</summary>
    public bool Flush { get; set; }

    /// <summary>Gets or sets what the message does when a run of its thread is under way, instead of <see cref="AssistantQueueOptions.WhenBusy"/>.</summary>
    public BusyAction? WhenBusy { get; set; }

    /// <summary>Gets the pairs that go with the message to the model API.</summary>
    /// <value>At most 16 pairs; keys of 1 to 64, values of 0 to 512 characters.</value>
    public IDictionary<string, string> Metadata { get; init; } = new Dictionary<string, string>(StringComparer.Ordinal);
}
