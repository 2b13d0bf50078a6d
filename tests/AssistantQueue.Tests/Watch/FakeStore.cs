using AssistantQueue.Store;

namespace AssistantQueue.Tests.Watch;

/// <summary>A store of which only reading a thread works, by hand.</summary>
internal sealed class FakeStore : IQueueStore
{
    private readonly List<Action<ThreadAnnouncement?>> _listeners = [];

    public int Subscriptions { get; private set; }

    public int OpenSubscriptions => _listeners.Count;

    public Exception? SubscribeError { get; set; }

    public Func<ThreadHistory> History { get; set; } = () => new([], null, [], 0);

    /// <summary>Told of each publication; what it throws is the answer.</summary>
    public Action<long, IReadOnlyList<LiveItem>> OnPublish { get; set; } = (_, _) => throw new NotSupportedException();

    /// <summary>Told of each question to a worker.</summary>
    public Action<string, long, int> OnAsk { get; set; } = (_, _, _) => { };

    public int Partitions => 1;

    public IFailedStore Failed => throw new NotSupportedException();

    public TimeSpan ReachableFor => TimeSpan.MaxValue;

    public void Announce(ThreadAnnouncement? announcement) => _listeners.ToList().ForEach(listener => listener(announcement));

    public Task<ThreadHistory> ReadHistoryAsync(string threadId, long after, CancellationToken cancellationToken) => Task.FromResult(History());

    public Task<IAsyncDisposable> SubscribeToThreadAsync(string threadId, Action<ThreadAnnouncement?> onAnnouncement, CancellationToken cancellationToken)
    {
        if (SubscribeError is { } error)
        {
            return Task.FromException<IAsyncDisposable>(error);
        }

        Subscriptions++;
        _listeners.Add(onAnnouncement);
        return Task.FromResult<IAsyncDisposable>(new Subscription(() => _listeners.Remove(onAnnouncement)));
    }

    public Task<IAsyncDisposable> SubscribeToOutcomesAsync(string threadId, Action<ThreadAnnouncement?> onAnnouncement, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task<ReplyLookup> FindReplyAsync(string threadId, long sequence, CancellationToken cancellationToken) => throw new NotSupportedException();

    public int PartitionOf(string threadId) => 0;

    public Task<EnqueueOutcome> EnqueueAsync(EnqueueUnit unit, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task<ClaimOutcome> ClaimAsync(ClaimRequest request, CancellationToken cancellationToken) => throw new NotSupportedException();

    public RenewOutcome Renew(int partition, string workerId, IReadOnlyList<Lease> leases) => throw new NotSupportedException();

    public Task LeaveAsync(int partition, string workerId, bool isGone, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task<bool> WriteJournalAsync(Lease lease, JournalWrite write, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task<IReadOnlyList<StoredEntry>?> JoinAsync(Lease lease, int has, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task HoldBackAsync(string threadId, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task<ApprovalState?> ReadApprovalAsync(string threadId, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task<DecideAnswer> DecideAsync(string threadId, string batchId, string callId, ToolDecision decision, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task PublishLiveAsync(string threadId, long fence, IReadOnlyList<LiveItem> items, CancellationToken cancellationToken)
    {
        OnPublish(fence, items);
        return Task.CompletedTask;
    }

    public Task AskForLiveAsync(string threadId, string workerId, long fence, int after, CancellationToken cancellationToken)
    {
        OnAsk(workerId, fence, after);
        return Task.CompletedTask;
    }

    public Task<IAsyncDisposable> SubscribeToRunSignalsAsync(string workerId, Action<RunSignal> onSignal, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task<FinishAnswer> CompleteAsync(Lease lease, CompleteWrite write, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task<FinishAnswer> RetryAsync(Lease lease, RetryWrite write, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task<FinishAnswer> FailAsync(Lease lease, FailWrite write, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task<FinishAnswer> ReleaseAsync(Lease lease, ReleaseWrite write, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task<DeliveryClaim> ClaimDeliveriesAsync(int partition, string workerId, int max, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task<bool> CloseDeliveryAsync(OpenDelivery delivery, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task<bool> PostponeDeliveryAsync(OpenDelivery delivery, TimeSpan delay, bool countTry, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task<bool> AbandonDeliveryAsync(OpenDelivery delivery, FailedBatch failure, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task<QueueStatus> GetStatusAsync(CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task<long?> FindMessageAsync(string threadId, string messageId, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task<IAsyncDisposable> SubscribeToWakeUpsAsync(string workerId, Action<int, TimeSpan> onWake, CancellationToken cancellationToken) => throw new NotSupportedException();

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private sealed class Subscription(Action end) : IAsyncDisposable
    {
        public ValueTask DisposeAsync()
        {
            end();
            return ValueTask.CompletedTask;
        }
    }
}
