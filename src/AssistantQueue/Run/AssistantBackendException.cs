namespace AssistantQueue;

/// <summary>A run failed. Thrown by backends; <see cref="Kind"/> decides what the queue does.</summary>
public sealed class AssistantBackendException(BackendErrorKind kind, string message, Exception? innerException = null)
    : AssistantQueueException(message, innerException)
{
    /// <summary>The <see cref="Code"/> of a run that was cancelled at the API.</summary>
    internal const string Cancelled = "cancelled";

    /// <summary>Gets what the queue does about it.</summary>
    public BackendErrorKind Kind { get; } = kind;

    /// <summary>Gets how long the API asks to wait; the queue caps it.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>Gets the HTTP status, when there was one.</summary>
    public int? Status { get; init; }

    /// <summary>Gets the API's error code, when there was one.</summary>
    /// <remarks><c>cancelled</c> says that the run was cancelled at the API. Of a run that a newer message interrupts that is no failed attempt.</remarks>
    public string? Code { get; init; }

    /// <summary>Gets a value indicating whether a post may or may not have been taken: the journal's rounds are kept, and the next attempt looks before it sends.</summary>
    public bool IsOutcomeUnknown { get; init; }
}

/// <summary>What the queue does about a failed run.</summary>
public enum BackendErrorKind
{
    /// <summary>Worth another attempt: counted, and repeated with the stored backoff.</summary>
    Transient,

    /// <summary>The thread is busy with another run at the API: waited for, not counted.</summary>
    ThreadBusy,

    /// <summary>Nothing can work now (wrong key, endpoint or model, exhausted quota): the backend pauses with one probe at a time; not counted. A batch that gets it three times while others, begun in between, are answered goes to the failed store.</summary>
    BackendUnavailable,

    /// <summary>The batch itself is refused: it goes to the failed store at once.</summary>
    Permanent,
}
