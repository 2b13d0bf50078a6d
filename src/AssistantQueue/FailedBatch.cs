namespace AssistantQueue;

/// <summary>A batch that was given up: its messages and every attempt's error. Kept in the failed store for <see cref="AssistantQueueOptions.FailedRetention"/>.</summary>
public sealed record FailedBatch
{
    /// <summary>Gets the queue's name; empty for the unnamed queue.</summary>
    public string QueueName { get; init; } = "";

    /// <summary>Gets the thread. It goes on with the messages behind this batch.</summary>
    public required string ThreadId { get; init; }

    /// <summary>Gets the batch; the same each time the failure is delivered.</summary>
    public required string BatchId { get; init; }

    /// <summary>Gets why the batch was given up.</summary>
    public required FailureKind Kind { get; init; }

    /// <summary>Gets the last error, in the API's own words where it has some.</summary>
    public required string Error { get; init; }

    /// <summary>Gets the ids of the batch's messages, in their order.</summary>
    public required IReadOnlyList<string> MessageIds { get; init; }

    /// <summary>Gets the sequence number of the first message.</summary>
    public required long FirstSequence { get; init; }

    /// <summary>Gets the sequence number of the last message.</summary>
    public required long LastSequence { get; init; }

    /// <summary>Gets every attempt's error, the last one included.</summary>
    public IReadOnlyList<FailedAttempt> Attempts { get; init; } = [];

    /// <summary>Gets when the batch was given up, by the worker's clock.</summary>
    public DateTimeOffset FailedAt { get; init; }
}

/// <summary>Why a batch was given up.</summary>
public enum FailureKind
{
    /// <summary>Each of <see cref="AssistantQueueOptions.MaxAttempts"/> attempts failed.</summary>
    AttemptsExhausted,

    /// <summary>The API refused the batch's content; repeating it could not help.</summary>
    Permanent,

    /// <summary><see cref="AssistantQueueOptions.MaxDeaths"/> processes died while they ran the batch.</summary>
    Poison,

    /// <summary>The reply is there, but its handlers failed until the delivery's age was over.</summary>
    Delivery,

    /// <summary>What is stored for the batch can't be read.</summary>
    Corrupt,
}

/// <summary>One attempt that failed.</summary>
public sealed record FailedAttempt
{
    /// <summary>Gets the queue's name; empty for the unnamed queue.</summary>
    public string QueueName { get; init; } = "";

    /// <summary>Gets the thread.</summary>
    public required string ThreadId { get; init; }

    /// <summary>Gets the batch.</summary>
    public required string BatchId { get; init; }

    /// <summary>Gets which attempt this was, from 1.</summary>
    public required int Attempt { get; init; }

    /// <summary>Gets the error, in the API's own words where it has some.</summary>
    public required string Error { get; init; }

    /// <summary>Gets the error's kind.</summary>
    public BackendErrorKind Kind { get; init; }

    /// <summary>Gets the HTTP status, when there was one.</summary>
    public int? Status { get; init; }

    /// <summary>Gets the API's error code, when there was one.</summary>
    public string? Code { get; init; }

    /// <summary>Gets when the attempt failed, by the worker's clock.</summary>
    public DateTimeOffset FailedAt { get; init; }

    /// <summary>Gets when the batch is tried again; null when it isn't.</summary>
    public DateTimeOffset? RetryAt { get; init; }
}
