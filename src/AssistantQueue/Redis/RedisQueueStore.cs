using AssistantQueue.Store;

namespace AssistantQueue.Redis;

/// <summary>The queue's state on Redis: joins the steps. Holds nothing itself but calls under way.</summary>
internal sealed class RedisQueueStore : IQueueStore, IDisposable
{
    /// <summary>How long the outcome of a call is kept for its repetition.</summary>
    public static readonly TimeSpan RequestRetention = TimeSpan.FromMinutes(10);

    private readonly RedisConnection _connection;
    private readonly RedisKeys _keys;
    private readonly RedisReplicas _replicas;
    private readonly RedisEnqueue _enqueue;
    private readonly RedisClaim _claim;
    private readonly RedisFinish _finish;
    private readonly RedisDeliver _deliver;
    private readonly RedisRead _read;
    private readonly RedisApproval _approval;
    private readonly RedisSubscriptions _subscriptions;

    /// <summary>Creates the store of a queue; prefix and partitions are read once, the rest for each call.</summary>
    /// <param name="connection">The queue's connection; disposed with the store.</param>
    /// <param name="options">The settings as they are now.</param>
    /// <param name="time">The clock.</param>
    /// <param name="connectApart">Makes a connection to the same Redis for enqueues that wait for replicas: waiting there holds up nothing else. Null when there is none.</param>
    public RedisQueueStore(RedisConnection connection, Func<AssistantQueueOptions> options, TimeProvider time, Func<RedisConnection>? connectApart = null)
    {
        var settings = options();
        _connection = connection;
        _keys = new RedisKeys(settings.QueuePrefix, settings.Partitions);
        var caller = new RedisCaller(connection, _keys, settings.QueuePrefix);
        _replicas = new RedisReplicas(connectApart, _keys);
        _enqueue = new RedisEnqueue(caller, _replicas, _keys, options, time);
        _claim = new RedisClaim(caller, connection, options, time);
        _finish = new RedisFinish(caller, _keys, options, time);
        _deliver = new RedisDeliver(caller, options, time);
        _read = new RedisRead(caller, _keys);
        _approval = new RedisApproval(caller, time);
        _subscriptions = new RedisSubscriptions(connection, _keys);
        Failed = new RedisFailed(caller, _keys, time);
    }

    public IFailedStore Failed { get; }

    public int Partitions => _keys.Count;

    public TimeSpan ReachableFor => _connection.ReachableFor;

    public int PartitionOf(string threadId) => _keys.PartitionOf(threadId);

    public Task<EnqueueOutcome> EnqueueAsync(EnqueueUnit unit, CancellationToken cancellationToken) =>
        _enqueue.EnqueueAsync(PartitionOf(unit.ThreadId), unit, cancellationToken);

    public Task<ClaimOutcome> ClaimAsync(ClaimRequest request, CancellationToken cancellationToken) => _claim.ClaimAsync(request, cancellationToken);

    public RenewOutcome Renew(int partition, string workerId, IReadOnlyList<Lease> leases) => _claim.Renew(partition, workerId, leases);

    public Task LeaveAsync(int partition, string workerId, bool isGone, CancellationToken cancellationToken) =>
        _claim.LeaveAsync(partition, workerId, isGone, cancellationToken);

    public Task<bool> WriteJournalAsync(Lease lease, JournalWrite write, CancellationToken cancellationToken) =>
        _finish.WriteJournalAsync(lease, write, cancellationToken);

    public Task<IReadOnlyList<StoredEntry>?> JoinAsync(Lease lease, int has, CancellationToken cancellationToken) => _finish.JoinAsync(lease, has, cancellationToken);

    public Task HoldBackAsync(string threadId, CancellationToken cancellationToken) => _enqueue.HoldBackAsync(PartitionOf(threadId), threadId, cancellationToken);

    public Task<FinishAnswer> CompleteAsync(Lease lease, CompleteWrite write, CancellationToken cancellationToken) =>
        _finish.CompleteAsync(lease, write, cancellationToken);

    public Task<FinishAnswer> RetryAsync(Lease lease, RetryWrite write, CancellationToken cancellationToken) =>
        _finish.RetryAsync(lease, write, cancellationToken);

    public Task<FinishAnswer> FailAsync(Lease lease, FailWrite write, CancellationToken cancellationToken) =>
        _finish.FailAsync(lease, write, cancellationToken);

    public Task<FinishAnswer> ReleaseAsync(Lease lease, ReleaseWrite write, CancellationToken cancellationToken) =>
        _finish.ReleaseAsync(lease, write, cancellationToken);

    public Task<DeliveryClaim> ClaimDeliveriesAsync(int partition, string workerId, int max, CancellationToken cancellationToken) =>
        _deliver.ClaimAsync(partition, workerId, max, cancellationToken);

    public Task<bool> CloseDeliveryAsync(OpenDelivery delivery, CancellationToken cancellationToken) =>
        _deliver.CloseAsync(delivery, abandoned: null, cancellationToken);

    public Task<bool> PostponeDeliveryAsync(OpenDelivery delivery, TimeSpan delay, bool countTry, CancellationToken cancellationToken) =>
        _deliver.PostponeAsync(delivery, delay, countTry, cancellationToken);

    public Task<bool> AbandonDeliveryAsync(OpenDelivery delivery, FailedBatch failure, CancellationToken cancellationToken) =>
        _deliver.CloseAsync(delivery, failure, cancellationToken);

    public Task<ApprovalState?> ReadApprovalAsync(string threadId, CancellationToken cancellationToken) =>
        _approval.ReadAsync(PartitionOf(threadId), threadId, cancellationToken);

    public Task<DecideAnswer> DecideAsync(string threadId, string batchId, string callId, ToolDecision decision, CancellationToken cancellationToken) =>
        _approval.DecideAsync(PartitionOf(threadId), threadId, batchId, callId, decision, cancellationToken);

    public Task<QueueStatus> GetStatusAsync(CancellationToken cancellationToken) => _read.GetStatusAsync(cancellationToken);

    public Task<ReplyLookup> FindReplyAsync(string threadId, long sequence, CancellationToken cancellationToken) =>
        _read.FindReplyAsync(PartitionOf(threadId), threadId, sequence, cancellationToken);

    public Task<long?> FindMessageAsync(string threadId, string messageId, CancellationToken cancellationToken) =>
        _read.FindMessageAsync(PartitionOf(threadId), threadId, messageId, cancellationToken);

    public Task<ThreadHistory> ReadHistoryAsync(string threadId, long after, CancellationToken cancellationToken) =>
        _read.ReadHistoryAsync(PartitionOf(threadId), threadId, after, cancellationToken);

    public Task<IAsyncDisposable> SubscribeToThreadAsync(string threadId, Action<ThreadAnnouncement?> onAnnouncement, CancellationToken cancellationToken) =>
        _subscriptions.ToThreadAsync(PartitionOf(threadId), threadId, onAnnouncement, cancellationToken);

    public Task<IAsyncDisposable> SubscribeToOutcomesAsync(string threadId, Action<ThreadAnnouncement?> onAnnouncement, CancellationToken cancellationToken) =>
        _subscriptions.ToOutcomesAsync(PartitionOf(threadId), threadId, onAnnouncement, cancellationToken);

    public Task PublishLiveAsync(string threadId, long fence, IReadOnlyList<LiveItem> items, CancellationToken cancellationToken) =>
        _subscriptions.PublishLiveAsync(PartitionOf(threadId), threadId, fence, items, cancellationToken);

    public Task AskForLiveAsync(string threadId, string workerId, long fence, int after, CancellationToken cancellationToken) =>
        _subscriptions.AskForLiveAsync(PartitionOf(threadId), threadId, workerId, fence, after, cancellationToken);

    public Task<IAsyncDisposable> SubscribeToRunSignalsAsync(string workerId, Action<RunSignal> onSignal, CancellationToken cancellationToken) =>
        _subscriptions.ToRunSignalsAsync(workerId, onSignal, cancellationToken);

    public Task<IAsyncDisposable> SubscribeToWakeUpsAsync(string workerId, Action<int, TimeSpan> onWake, CancellationToken cancellationToken) =>
        _subscriptions.ToWakeUpsAsync(workerId, onWake, cancellationToken);

    public async ValueTask DisposeAsync()
    {
        await _replicas.DisposeAsync();
        await _connection.DisposeAsync();
    }

    public void Dispose()
    {
        _replicas.Dispose();
        _connection.Dispose();
    }
}
