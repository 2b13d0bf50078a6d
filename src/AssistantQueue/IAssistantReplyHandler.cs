namespace AssistantQueue;

/// <summary>Receives replies and failures in worker hosts. Registered with <c>AddReplyHandler&lt;T&gt;()</c> as a scoped service; one scope a call.</summary>
/// <remarks>
/// Replies and failures arrive at least once, in a thread's order, with the same <c>BatchId</c> each time; a handler that throws is called again with backoff.
/// A handler should be idempotent by <c>BatchId</c>, and end soon after its token is cancelled: a host that stops waits for one that goes on until its own time is over,
/// and a worker that lost the delivery can't keep the next one from calling the handlers beside it. A thread's next run does not wait for handlers.
/// </remarks>
public interface IAssistantReplyHandler
{
    /// <summary>A batch was answered.</summary>
    /// <param name="reply">The reply.</param>
    /// <param name="cancellationToken">Cancelled when the host stops or the delivery is no longer this worker's; it is repeated then.</param>
    /// <returns>A task that completes when the reply was taken.</returns>
    Task OnReplyAsync(AssistantReply reply, CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>A batch was given up for good.</summary>
    /// <param name="failure">The failed batch.</param>
    /// <param name="cancellationToken">Cancelled when the host stops or the delivery is no longer this worker's; it is repeated then.</param>
    /// <returns>A task that completes when the failure was taken.</returns>
    Task OnFailedAsync(FailedBatch failure, CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>An attempt failed and the batch will be tried again. Told once by the worker that saw it; lost if that worker dies.</summary>
    /// <param name="attempt">The attempt.</param>
    /// <param name="cancellationToken">Cancelled when the host stops.</param>
    /// <returns>A task that completes when the attempt was taken.</returns>
    Task OnRetryingAsync(FailedAttempt attempt, CancellationToken cancellationToken) => Task.CompletedTask;
}
