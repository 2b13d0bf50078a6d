using AssistantQueue.Diagnostics;
using AssistantQueue.IntegrationTests.Redis;
using AssistantQueue.Leases;
using AssistantQueue.Redis;
using AssistantQueue.Store;
using AssistantQueue.Tests.Worker;
using AssistantQueue.Waiting;
using Microsoft.Extensions.Logging.Abstractions;
using StackExchange.Redis;

namespace AssistantQueue.IntegrationTests.Leases;

/// <summary>Nothing else runs beside these tests: they take the whole thread pool.</summary>
[CollectionDefinition(nameof(BlockedThreadPool), DisableParallelization = true)]
public static class BlockedThreadPool;

/// <summary>Leases are renewed on a thread of their own, so that an app that blocks the thread pool doesn't lose its conversations.</summary>
[Collection(nameof(BlockedThreadPool))]
public class BlockedThreadPoolTests
{
    // One at the start, then one each third of a lease.
    private const int TwoLeases = 7;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task Renewal_ThreadPoolIsBlockedForTwoLeases_KeepsTheLease()
    {
        var redis = (await TestRedis.GetAsync()).Instance.ConnectionString;
        await using var connection = RedisConnection.Own("", redis, TimeSpan.FromSeconds(5), TimeProvider.System, NullLogger.Instance);
        await KeepsTheLeaseAsync(connection);
    }

    [Fact]
    public async Task Renewal_OverTheAppsMultiplexerWithThreadsOfItsOwn_KeepsTheLease()
    {
        // What the README tells an app to do before it makes its multiplexer.
        ConnectionMultiplexer.SetFeatureFlag("DedicatedThreads", true);
        await using var multiplexer = await (await TestRedis.GetAsync()).Instance.ConnectAsync();
        await using var connection = RedisConnection.Given("", () => multiplexer, TimeSpan.FromSeconds(5), TimeProvider.System, NullLogger.Instance);
        await KeepsTheLeaseAsync(connection);
    }

    private static async Task KeepsTheLeaseAsync(RedisConnection connection)
    {
        var options = new AssistantQueueOptions { QueuePrefix = TestRedis.NewPrefix(), LockDuration = TimeSpan.FromSeconds(3) };
        connection.Start();
        using var renewals = new CountdownEvent(TwoLeases);
        await using var store = new CountedStore(new RedisQueueStore(connection, () => options, TimeProvider.System), renewals);
        await store.EnqueueAsync(new EnqueueUnit("c1", [new NewMessage("m1", false, """{"id":"m1","text":"hi"}""", 2, TimeSpan.Zero, true)]), default);
        var lease = Assert.Single((await store.ClaimAsync(new ClaimRequest(0, "w1", "t1", 1, 1, false), default)).Batches).Lease;

        using var timer = new DueTimer(TimeProvider.System, "test");
        using var metrics = new QueueMetrics("");
        using var renewer = new LeaseRenewer(0, "w1", store, () => options, timer, TimeProvider.System, metrics, NullLogger.Instance, (_, _) => { });
        var held = renewer.Hold(lease);
        renewer.Start();

        using var blocked = new Blocked();
        // The renewals are the signal; this thread waits for them without the pool.
        Assert.True(renewals.Wait(Patience), $"{renewals.CurrentCount} renewals are missing after {Patience}");

        Assert.False(blocked.PoolRan);
        blocked.Dispose();
        Assert.True(held.IsProven);
        Assert.Empty((await store.ClaimAsync(new ClaimRequest(0, "w2", "t2", 1, 1, false), default)).Batches);
    }

    /// <summary>Signals each renewal that Redis has answered.</summary>
    private sealed class CountedStore(IQueueStore inner, CountdownEvent renewals) : TroubledStore(inner)
    {
        public override RenewOutcome Renew(int partition, string workerId, IReadOnlyList<Lease> leases)
        {
            var answers = base.Renew(partition, workerId, leases);
            if (!renewals.IsSet)
            {
                renewals.Signal();
            }

            return answers;
        }
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
