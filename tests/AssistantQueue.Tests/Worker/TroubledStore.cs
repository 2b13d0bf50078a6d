using AssistantQueue.Store;

namespace AssistantQueue.Tests.Worker;

/// <summary>A real store behind which a test can make calls fail, before or after they were done.</summary>
internal class TroubledStore(IQueueStore inner) : IQueueStore
{
    /// <summary>Called with the method's name before a call; what it throws is the answer, and nothing was done.</summary>
    public Action<string> Before { get; set; } = _ => { };

    /// <summary>Awaited with the method's name before a call.</summary>
    public Func<string, Task> Meanwhile { get; set; } = _ => Task.CompletedTask;

    /// <summary>Changes what claims give.</summary>
    public Func<ClaimOutcome, ClaimOutcome> Claimed { get; set; } = outcome => outcome;

    /// <summary>Called after a call was done; what it throws is the answer.</summary>
    public Action<string> After { get; set; } = _ => { };

    /// <summary>Told of each pause before a delivery is tried again, before the call.</summary>
    public Action<TimeSpan> Postponed { get; set; } = _ => { };

    /// <summary>Told of each signal to a run, after the worker.</summary>
    public Action<RunSignal> Signalled { get; set; } = _ => { };

    public int Partitions => inner.Partitions;

    public TimeSpan ReachableFor => inner.ReachableFor;

    public IFailedStore Failed => inner.Failed;

    public static void Unavailable() => throw new StoreUnavailableException("The test says so.") { MayHaveBeenDone = true };

    public int PartitionOf(string threadId) => inner.PartitionOf(threadId);

    public Task<EnqueueOutcome> EnqueueAsync(EnqueueUnit unit, CancellationToken cancellationToken) => inner.EnqueueAsync(unit, cancellationToken);

    public async Task<ClaimOutcome> ClaimAsync(ClaimRequest request, CancellationToken cancellationToken) =>
        Claimed(await CallAsync(nameof(ClaimAsync), () => inner.ClaimAsync(request, cancellationToken)));

    public virtual RenewOutcome Renew(int partition, string workerId, IReadOnlyList<Lease> leases)
    {
        Before(nameof(Renew));
        return inner.Renew(partition, workerId, leases);
    }

    public async Task LeaveAsync(int partition, string workerId, bool isGone, CancellationToken cancellationToken)
    {
        Before(nameof(LeaveAsync));
        await inner.LeaveAsync(partition, workerId, isGone, cancellationToken);
        After(nameof(LeaveAsync));
    }

    public virtual Task<bool> WriteJournalAsync(Lease lease, JournalWrite write, CancellationToken cancellationToken) =>
        CallAsync(nameof(WriteJournalAsync), () => inner.WriteJournalAsync(lease, write, cancellationToken));

    public Task<IReadOnlyList<StoredEntry>?> JoinAsync(Lease lease, int has, CancellationToken cancellationToken) =>
        CallAsync(nameof(JoinAsync), () => inner.JoinAsync(lease, has, cancellationToken));

    public Task HoldBackAsync(string threadId, CancellationToken cancellationToken) => inner.HoldBackAsync(threadId, cancellationToken);

    public Task<ApprovalState?> ReadApprovalAsync(string threadId, CancellationToken cancellationToken) => inner.ReadApprovalAsync(threadId, cancellationToken);

    public Task<DecideAnswer> DecideAsync(string threadId, string batchId, string callId, ToolDecision decision, CancellationToken cancellationToken) =>
        CallAsync(nameof(DecideAsync), () => inner.DecideAsync(threadId, batchId, callId, decision, cancellationToken));

    public Task PublishLiveAsync(string threadId, long fence, IReadOnlyList<LiveItem> items, CancellationToken cancellationToken)
    {
        Before(nameof(PublishLiveAsync));
        return inner.PublishLiveAsync(threadId, fence, items, cancellationToken);
    }

    public Task AskForLiveAsync(string threadId, string workerId, long fence, int after, CancellationToken cancellationToken) =>
        inner.AskForLiveAsync(threadId, workerId, fence, after, cancellationToken);

    public virtual Task<IAsyncDisposable> SubscribeToRunSignalsAsync(string workerId, Action<RunSignal> onSignal, CancellationToken cancellationToken) =>
        inner.SubscribeToRunSignalsAsync(
            workerId,
            signal =>
            {
                onSignal(signal);
                Signalled(signal);
            },
            cancellationToken);

    public Task<FinishAnswer> CompleteAsync(Lease lease, CompleteWrite write, CancellationToken cancellationToken) =>
        CallAsync(nameof(CompleteAsync), () => inner.CompleteAsync(lease, write, cancellationToken));

    public Task<FinishAnswer> RetryAsync(Lease lease, RetryWrite write, CancellationToken cancellationToken) =>
        CallAsync(nameof(RetryAsync), () => inner.RetryAsync(lease, write, cancellationToken));

    public Task<FinishAnswer> FailAsync(Lease lease, FailWrite write, CancellationToken cancellationToken) =>
        CallAsync(nameof(FailAsync), () => inner.FailAsync(lease, write, cancellationToken));

    public Task<FinishAnswer> ReleaseAsync(Lease lease, ReleaseWrite write, CancellationToken cancellationToken) =>
        CallAsync(nameof(ReleaseAsync), () => inner.ReleaseAsync(lease, write, cancellationToken));

    public Task<DeliveryClaim> ClaimDeliveriesAsync(int partition, string workerId, int max, CancellationToken cancellationToken) =>
        CallAsync(nameof(ClaimDeliveriesAsync), () => inner.ClaimDeliveriesAsync(partition, workerId, max, cancellationToken));

    public Task<bool> CloseDeliveryAsync(OpenDelivery delivery, CancellationToken cancellationToken) =>
        CallAsync(nameof(CloseDeliveryAsync), () => inner.CloseDeliveryAsync(delivery, cancellationToken));

    public Task<bool> PostponeDeliveryAsync(OpenDelivery delivery, TimeSpan delay, bool countTry, CancellationToken cancellationToken)
    {
        Postponed(delay);
        return CallAsync(nameof(PostponeDeliveryAsync), () => inner.PostponeDeliveryAsync(delivery, delay, countTry, cancellationToken));
    }

    public Task<bool> AbandonDeliveryAsync(OpenDelivery delivery, FailedBatch failure, CancellationToken cancellationToken) =>
        CallAsync(nameof(AbandonDeliveryAsync), () => inner.AbandonDeliveryAsync(delivery, failure, cancellationToken));

    public Task<QueueStatus> GetStatusAsync(CancellationToken cancellationToken) => inner.GetStatusAsync(cancellationToken);

    public Task<ReplyLookup> FindReplyAsync(string threadId, long sequence, CancellationToken cancellationToken) =>
        inner.FindReplyAsync(threadId, sequence, cancellationToken);

    public Task<long?> FindMessageAsync(string threadId, string messageId, CancellationToken cancellationToken) =>
        inner.FindMessageAsync(threadId, messageId, cancellationToken);

    public Task<ThreadHistory> ReadHistoryAsync(string threadId, long after, CancellationToken cancellationToken) =>
        inner.ReadHistoryAsync(threadId, after, cancellationToken);

    public Task<IAsyncDisposable> SubscribeToThreadAsync(string threadId, Action<ThreadAnnouncement?> onAnnouncement, CancellationToken cancellationToken) =>
        inner.SubscribeToThreadAsync(threadId, onAnnouncement, cancellationToken);

    public Task<IAsyncDisposable> SubscribeToOutcomesAsync(string threadId, Action<ThreadAnnouncement?> onAnnouncement, CancellationToken cancellationToken) =>
        inner.SubscribeToOutcomesAsync(threadId, onAnnouncement, cancellationToken);

    public Task<IAsyncDisposable> SubscribeToWakeUpsAsync(string workerId, Action<int, TimeSpan> onWake, CancellationToken cancellationToken) =>
        CallAsync(nameof(SubscribeToWakeUpsAsync), () => inner.SubscribeToWakeUpsAsync(workerId, onWake, cancellationToken));

    public ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        return inner.DisposeAsync();
    }

    private async Task<T> CallAsync<T>(string method, Func<Task<T>> call)
    {
        Before(method);
        await Meanwhile(method);
        var answer = await call();
        After(method);
        return answer;
    }
}
