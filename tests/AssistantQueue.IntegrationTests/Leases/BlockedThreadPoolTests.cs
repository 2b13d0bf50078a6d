using AssistantQueue.Diagnostics;
using AssistantQueue.IntegrationTests.Redis;
using AssistantQueue.Leases;
using AssistantQueue.Redis;
using AssistantQueue.Store;
using AssistantQueue.Waiting;
using Microsoft.Extensions.Logging.Abstractions;

namespace AssistantQueue.IntegrationTests.Leases;

/// <summary>Nothing else runs beside these tests: they take the whole thread pool.</summary>
[CollectionDefinition(nameof(BlockedThreadPool), DisableParallelization = true)]
public static class BlockedThreadPool;

/// <summary>Leases are renewed on a thread of their own, so that an app that blocks the thread pool doesn't lose its conversations.</summary>
[Collection(nameof(BlockedThreadPool))]
public class BlockedThreadPoolTests
{
    [Fact]
    public async Task Renewal_ThreadPoolIsBlockedForTwoLeases_KeepsTheLease()
    {
        var options = new AssistantQueueOptions { QueuePrefix = TestRedis.NewPrefix(), LockDuration = TimeSpan.FromSeconds(3) };
        var redis = (await TestRedis.GetAsync()).Instance.ConnectionString;
        await using var connection = RedisConnection.Own("", redis, TimeSpan.FromSeconds(5), TimeProvider.System, NullLogger.Instance);
        connection.Start();
        await using var store = new RedisQueueStore(connection, () => options, TimeProvider.System);
        await store.EnqueueAsync(new EnqueueUnit("c1", [new NewMessage("m1", false, """{"id":"m1","text":"hi"}""", 2, TimeSpan.Zero, true)]), default);
        var lease = Assert.Single((await store.ClaimAsync(new ClaimRequest(0, "w1", "t1", 1, 1, false), default)).Batches).Lease;

        using var timer = new DueTimer(TimeProvider.System, "test");
        using var metrics = new QueueMetrics("");
        using var renewer = new LeaseRenewer(0, "w1", store, () => options, timer, TimeProvider.System, metrics, NullLogger.Instance);
        var held = renewer.Hold(lease);
        renewer.Start();

        using var blocked = new Blocked();
        // Asked on a thread that isn't the pool's; the lease's own proof is the signal.
        var proofs = 0;
        var watch = new Thread(() => proofs = CountProofs(held, TimeSpan.FromSeconds(6)));
        watch.Start();
        watch.Join();

        Assert.True(proofs >= 3, $"{proofs} renewals in 6 s");
        Assert.False(blocked.PoolRan);
        blocked.Dispose();
        Assert.True(held.IsProven);
        Assert.Empty((await store.ClaimAsync(new ClaimRequest(0, "w2", "t2", 1, 1, false), default)).Batches);
    }

    private static int CountProofs(HeldLease held, TimeSpan during)
    {
        using var never = new ManualResetEvent(false);
        var begin = TimeProvider.System.GetTimestamp();
        var proofs = new HashSet<long>();
        while (TimeProvider.System.GetElapsedTime(begin) < during)
        {
            proofs.Add(held.Current.ProvenAt);
            never.WaitOne(20);
        }

        return proofs.Count - 1;
    }

    /// <summary>Keeps every thread that the pool has, or gets, waiting.</summary>
    private sealed class Blocked : IDisposable
    {
        private readonly ManualResetEvent _free = new(false);

        public Blocked()
        {
            for (var i = 0; i < 500; i++)
            {
                ThreadPool.UnsafeQueueUserWorkItem(_ => _free.WaitOne(), null);
            }

            ThreadPool.UnsafeQueueUserWorkItem(_ => PoolRan = true, null);
        }

        public bool PoolRan { get; private set; }

        public void Dispose() => _free.Set();
    }
}
