using AssistantQueue.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace AssistantQueue.Deliver;

/// <summary>Calls all handlers of a queue, in a scope of their own each time. Thread-safe.</summary>
/// <param name="scopes">Makes the scopes.</param>
/// <param name="handlers">The queue's handlers in a scope.</param>
/// <param name="hasHandlers">Whether any is registered; asked without making one.</param>
/// <param name="log">The log.</param>
internal sealed class HandlerDispatcher(
    IServiceScopeFactory scopes,
    Func<IServiceProvider, IEnumerable<IAssistantReplyHandler>> handlers,
    bool hasHandlers,
    ILogger log)
{
    public bool HasHandlers { get; } = hasHandlers;

    /// <summary>Hands a reply to all handlers.</summary>
    /// <exception cref="AggregateException">At least one handler failed, or could not be made; all that were made were called.</exception>
    public Task ReplyAsync(AssistantReply reply, CancellationToken cancellationToken) =>
        CallAllAsync(handler => handler.OnReplyAsync(reply, cancellationToken));

    /// <summary>Hands a failure to all handlers.</summary>
    /// <exception cref="AggregateException">At least one handler failed, or could not be made; all that were made were called.</exception>
    public Task FailedAsync(FailedBatch failure, CancellationToken cancellationToken) =>
        CallAllAsync(handler => handler.OnFailedAsync(failure, cancellationToken));

    /// <summary>Tells all handlers about a failed attempt, once; what they throw is logged.</summary>
    public async Task RetryingAsync(FailedAttempt attempt, CancellationToken cancellationToken)
    {
        try
        {
            await CallAllAsync(handler => handler.OnRetryingAsync(attempt, cancellationToken));
        }
        catch (Exception e)
        {
            Log.RetryingHandlerFailed(log, attempt.ThreadId, attempt.BatchId, e);
        }
    }

    /// <summary>Hands over what no longer lies in the store, once; what handlers throw is logged.</summary>
    /// <param name="result">An <see cref="AssistantReply"/> or a <see cref="FailedBatch"/>.</param>
    /// <param name="cancellationToken">Cancelled when the host stops.</param>
    public async Task UnstoredAsync(object result, CancellationToken cancellationToken)
    {
        try
        {
            await (result is AssistantReply reply ? ReplyAsync(reply, cancellationToken) : FailedAsync((FailedBatch)result, cancellationToken));
        }
        catch (Exception e)
        {
            var (threadId, batchId) = result is AssistantReply reply ? (reply.ThreadId, reply.BatchId) : (((FailedBatch)result).ThreadId, ((FailedBatch)result).BatchId);
            Log.UnstoredDeliveryFailed(log, threadId, batchId, e);
        }
    }

    private async Task CallAllAsync(Func<IAssistantReplyHandler, Task> call)
    {
        await using var scope = scopes.CreateAsyncScope();
        List<Exception>? errors = null;
        var made = new List<IAssistantReplyHandler>();
        try
        {
            made.AddRange(handlers(scope.ServiceProvider));
        }
        catch (Exception e)
        {
            // A constructor's trouble is its handler's; the container makes all of them or none, so the others wait for the repetition too.
            errors = [e];
        }

        foreach (var handler in made)
        {
            try
            {
                await call(handler);
            }
            catch (Exception e)
            {
                // One handler's trouble must not keep the reply from the others; the whole delivery is repeated.
                (errors ??= []).Add(e);
            }
        }

        if (errors is not null)
        {
            throw new AggregateException(errors);
        }
    }
}
