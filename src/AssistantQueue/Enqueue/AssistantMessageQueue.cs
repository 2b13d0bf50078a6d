using AssistantQueue.Diagnostics;
using AssistantQueue.Store;
using AssistantQueue.Watch;
using Microsoft.Extensions.AI;

namespace AssistantQueue.Enqueue;

/// <summary>The producer: checks, stores, and reads what became of messages.</summary>
internal sealed class AssistantMessageQueue(
    string name,
    IQueueStore store,
    Func<AssistantQueueOptions> options,
    ReplyWaiter waiter,
    ThreadWatcher watcher,
    QueueMetrics metrics,
    Func<IReadOnlyList<AIContent>, string?>? contentFault = null) : IAssistantMessageQueue
{
    public async Task<MessageReceipt> AddMessageToThreadAsync(string threadId, string message, string? instructions = null, CancellationToken cancellationToken = default)
    {
        MessageRules.CheckThreadId(threadId, nameof(threadId));
        MessageRules.CheckText(message, nameof(message));
        MessageRules.CheckInstructions(instructions, nameof(instructions));
        var receipts = await StoreAsync(Plan([new() { ThreadId = threadId, Text = message, Instructions = instructions }], nameof(message)), cancellationToken);
        return receipts[0];
    }

    public async Task<MessageReceipt> EnqueueAsync(AssistantMessage message, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(message);
        var receipts = await StoreAsync(Plan([message], nameof(message)), cancellationToken);
        return receipts[0];
    }

    public async Task<IReadOnlyList<MessageReceipt>> EnqueueAsync(IReadOnlyList<AssistantMessage> messages, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(messages);
        return await StoreAsync(Plan(messages, nameof(messages)), cancellationToken);
    }

    public Task<AssistantReply> WaitForReplyAsync(MessageReceipt receipt, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(receipt);
        MessageRules.CheckThreadId(receipt.ThreadId, nameof(receipt));
        return receipt.QueueName == name
            ? waiter.WaitAsync(receipt, cancellationToken)
            : throw new ArgumentException($"The receipt is from {Called(receipt.QueueName)}; this is {Called(name)}. Wait with the queue that gave it.", nameof(receipt));
    }

    public IAsyncEnumerable<ThreadUpdate> WatchThreadAsync(string threadId, string? after = null, CancellationToken cancellationToken = default)
    {
        MessageRules.CheckThreadId(threadId, nameof(threadId));
        return watcher.WatchAsync(threadId, ThreadUpdates.ParsePosition(after, nameof(after)), cancellationToken);
    }

    public async Task NotifyTypingAsync(string threadId, CancellationToken cancellationToken = default)
    {
        MessageRules.CheckThreadId(threadId, nameof(threadId));
        try
        {
            await store.HoldBackAsync(threadId, cancellationToken);
        }
        catch (StoreUnavailableException e)
        {
            throw new QueueUnavailableException(e.Message, e);
        }
    }

    public async Task<QueueStatus> GetQueueStatusAsync(CancellationToken cancellationToken = default)
    {
        try
        {
            return await store.GetStatusAsync(cancellationToken);
        }
        catch (StoreUnavailableException e)
        {
            throw new QueueUnavailableException(e.Message, e);
        }
    }

    private EnqueuePlan Plan(IReadOnlyList<AssistantMessage> messages, string parameter) => EnqueuePlan.Of(messages, parameter, options(), contentFault);

    private async Task<MessageReceipt[]> StoreAsync(EnqueuePlan plan, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var calls = plan.Units.Select(unit => StoreAsync(unit, cancellationToken)).ToArray();
        try
        {
            var outcomes = await Task.WhenAll(calls);
            return plan.Receipts(name, outcomes);
        }
        catch (AssistantQueueException)
        {
            // All calls have ended. Of several reasons the one is thrown that asks most of the caller: not knowing, then not reaching, then full.
            throw calls.Where(c => c.IsFaulted).Select(c => c.Exception!.InnerException!).MinBy(Order)!;
        }
    }

    private async Task<EnqueueOutcome> StoreAsync(EnqueueUnit unit, CancellationToken cancellationToken)
    {
        var outcome = await store.EnqueueAsync(unit, cancellationToken);
        switch (outcome.Status)
        {
            case EnqueueStatus.Stored:
                metrics.Enqueued(outcome.Receipts.Count(r => !r.IsDuplicate));
                return outcome;
            case EnqueueStatus.Busy:
                throw new ThreadBusyException(unit.ThreadId);
            case EnqueueStatus.ThreadFull:
                throw new ThreadFullException(unit.ThreadId, options().MaxPendingMessages);
            default:
                throw new QueueUnavailableException($"A Redis key of thread '{unit.ThreadId}' holds something that the queue did not write, so the thread takes nothing. Nothing was stored; remove that key, or give the queue a QueuePrefix of its own.");
        }
    }

    private static int Order(Exception e) => e switch
    {
        EnqueueOutcomeUnknownException => 0,
        QueueUnavailableException => 1,
        _ => 2,
    };

    private static string Called(string queueName) => queueName.Length == 0 ? "the unnamed queue" : $"queue '{queueName}'";
}
