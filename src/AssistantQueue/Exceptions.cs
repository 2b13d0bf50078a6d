namespace AssistantQueue;

/// <summary>The base of the exceptions that a caller of the queue can act on.</summary>
public abstract class AssistantQueueException : Exception
{
    private protected AssistantQueueException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }
}

/// <summary>The thread has as many waiting messages as it may. Nothing was stored.</summary>
public sealed class ThreadFullException(string threadId, int limit)
    : AssistantQueueException($"Thread '{threadId}' has {limit:N0} messages waiting, the most it may (MaxPendingMessages). Nothing was stored; try again when its run has ended.")
{
    /// <summary>Gets the thread.</summary>
    public string ThreadId { get; } = threadId;

    /// <summary>Gets the most messages that may wait in a thread.</summary>
    public int Limit { get; } = limit;
}

/// <summary>Redis could not be reached, did not answer a question, or refused to take more. No message was stored.</summary>
public sealed class QueueUnavailableException(string message, Exception? innerException = null)
    : AssistantQueueException(message, innerException);

/// <summary>An enqueue was sent and its answer never came: the messages are stored, or they are not. Enqueueing again with the same message ids is safe.</summary>
public sealed class EnqueueOutcomeUnknownException(string message, Exception? innerException = null)
    : AssistantQueueException(message, innerException);

/// <summary>The batch that a message was in was given up.</summary>
public sealed class BatchFailedException(FailedBatch failure)
    : AssistantQueueException($"Batch {failure.BatchId} of thread '{failure.ThreadId}' was given up ({failure.Kind}): {failure.Error}")
{
    /// <summary>Gets the failed batch.</summary>
    public FailedBatch Failure { get; } = failure;
}

/// <summary>The reply is no longer kept, or the message isn't known.</summary>
public sealed class ReplyExpiredException(string threadId, string messageId)
    : AssistantQueueException($"No reply is kept for message '{messageId}' of thread '{threadId}', and it isn't waiting either: the reply is older than ReplyRetention, or more than 20 replies back, or the message was never stored.")
{
    /// <summary>Gets the thread.</summary>
    public string ThreadId { get; } = threadId;

    /// <summary>Gets the message.</summary>
    public string MessageId { get; } = messageId;
}

/// <summary>The thread has another owner now; nothing was written. A backend lets it pass.</summary>
public sealed class LeaseLostException(string threadId, long fence)
    : AssistantQueueException($"Thread '{threadId}' is no longer owned with fence {fence}; nothing was written.")
{
    /// <summary>Gets the thread.</summary>
    public string ThreadId { get; } = threadId;

    /// <summary>Gets the fence that is no longer valid.</summary>
    public long Fence { get; } = fence;
}

/// <summary>The thread is busy with another batch. Nothing was changed.</summary>
public sealed class ThreadBusyException(string threadId)
    : AssistantQueueException($"Thread '{threadId}' is busy: a run of it is under way. Nothing was stored or changed; try again when it has ended.")
{
    /// <summary>Gets the thread.</summary>
    public string ThreadId { get; } = threadId;
}

/// <summary>The batch isn't in the failed store: it never failed, was retried or discarded, or its time is over.</summary>
public sealed class FailedBatchNotFoundException(string batchId)
    : AssistantQueueException($"Batch '{batchId}' is not in the failed store: it never failed, was retried or discarded, or is older than FailedRetention.")
{
    /// <summary>Gets the batch.</summary>
    public string BatchId { get; } = batchId;
}

/// <summary>No tool call with this id waits for approval in the thread, or the opposite was decided already.</summary>
public sealed class ToolCallNotFoundException(string threadId, string callId)
    : AssistantQueueException($"Thread '{threadId}' has no tool call '{callId}' that waits for approval. It was decided before, made, or its batch has ended.")
{
    /// <summary>Gets the thread.</summary>
    public string ThreadId { get; } = threadId;

    /// <summary>Gets the call.</summary>
    public string CallId { get; } = callId;
}
