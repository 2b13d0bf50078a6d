using AssistantQueue;

namespace WorkerHost;

/// <summary>Writes what became of each batch to the log. A real app would send the reply to its channel here, idempotent by <c>BatchId</c>.</summary>
internal sealed partial class ReplyLog(ILogger<ReplyLog> logger) : IAssistantReplyHandler
{
    public Task OnReplyAsync(AssistantReply reply, CancellationToken cancellationToken)
    {
        Replied(reply.ThreadId, reply.MessageIds.Count, reply.BatchId, (reply.CompletedAt - reply.StartedAt).TotalSeconds, reply.Attempt);
        return Task.CompletedTask;
    }

    public Task OnFailedAsync(FailedBatch failure, CancellationToken cancellationToken)
    {
        Failed(failure.ThreadId, failure.MessageIds.Count, failure.BatchId, failure.Kind, failure.Error);
        return Task.CompletedTask;
    }

    public Task OnRetryingAsync(FailedAttempt attempt, CancellationToken cancellationToken)
    {
        Retrying(attempt.ThreadId, attempt.BatchId, attempt.Attempt, attempt.Error, attempt.RetryAt);
        return Task.CompletedTask;
    }

    [LoggerMessage(1, LogLevel.Information, "Thread '{ThreadId}': {Messages} messages answered by batch {BatchId} in {Seconds:0.0} s, attempt {Attempt}")]
    private partial void Replied(string threadId, int messages, string batchId, double seconds, int attempt);

    [LoggerMessage(2, LogLevel.Error, "Thread '{ThreadId}': {Messages} messages of batch {BatchId} were given up ({Kind}): {Error}")]
    private partial void Failed(string threadId, int messages, string batchId, FailureKind kind, string error);

    [LoggerMessage(3, LogLevel.Warning, "Thread '{ThreadId}': attempt {Attempt} of batch {BatchId} failed ({Error}) and is repeated at {RetryAt:T}")]
    private partial void Retrying(string threadId, string batchId, int attempt, string error, DateTimeOffset? retryAt);
}
