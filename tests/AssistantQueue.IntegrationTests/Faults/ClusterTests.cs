using AssistantQueue.IntegrationTests.Redis;
using AssistantQueue.Redis;
using AssistantQueue.Store;
using Microsoft.Extensions.Logging.Abstractions;

namespace AssistantQueue.IntegrationTests.Faults;

/// <summary>Masters of a Cluster change, planned or killed, and slots move while messages flow: nothing is lost, nothing comes twice, one run at a time.</summary>
public sealed class ClusterTests
{
    private const int Threads = 16;

    [RedisServerFact]
    public async Task SlotsMove_WhileMessagesFlow_EachIsAnsweredOnceInOrder()
    {
        await using var cluster = await RedisCluster.StartAsync();
        await using var flow = await StartFlowAsync(cluster);

        for (var partition = 0; partition < 4; partition++)
        {
            // The other partitions answer while this one is in two places, with some of its keys in either.
            await cluster.MoveSlotAsync($"{{{flow.Options.QueuePrefix}:{partition}}}:due", flow.MoreAnswersAsync);
        }

        await flow.AnsweredAsync(5);
        await flow.EndAsync();
    }

    // The Cluster's failover is coordinated: the master stops writing until its replica has everything.
    [RedisServerFact]
    public async Task MastersGiveTheirPlacesAway_WhileMessagesFlow_EachIsAnsweredOnceInOrder()
    {
        await using var cluster = await RedisCluster.StartAsync();
        await using var flow = await StartFlowAsync(cluster);

        await cluster.FailOverEachAsync();

        await flow.AnsweredAsync(5);
        await flow.EndAsync();
    }

    /// <remarks>Runs are under way in every thread and end afterwards: an enqueue waits for replicas, a finish doesn't.</remarks>
    [RedisServerFact]
    public async Task MasterKilled_ReplicasAreWaitedFor_EveryAcknowledgedMessageIsAnsweredOnceInOrder()
    {
        await using var cluster = await RedisCluster.StartAsync();
        await using var flow = await StartFlowAsync(cluster, Durability.Replicas(1));
        await flow.HoldRunsAsync();

        await cluster.KillMasterAsync($"{{{flow.Options.QueuePrefix}:0}}:due");
        await flow.AcknowledgedAsync(5);
        flow.LetRunsEnd();

        await flow.AnsweredAsync(5);
        await flow.EndAsync();
    }

    /// <remarks>The client learns of a move only by being refused: the master that refuses has nothing to wait for, and its replicas' word would be believed.</remarks>
    [RedisServerFact]
    public async Task SlotMoves_ReplicasAreWaitedFor_TheNewMastersAreAsked()
    {
        await using var cluster = await RedisCluster.StartAsync();
        var options = new AssistantQueueOptions { QueuePrefix = TestRedis.NewPrefix(), Durability = Durability.Replicas(1) };
        var key = $"{{{options.QueuePrefix}:0}}:due";
        RedisConnection Connect() => RedisConnection.Own("", cluster.ConnectionString, TimeSpan.FromSeconds(30), TimeProvider.System, NullLogger.Instance);
        await using var store = new RedisQueueStore(Connect(), () => options, TimeProvider.System, Connect);
        await EnqueueAsync(store, "m1");

        await cluster.MoveSlotAsync(key, () => Task.CompletedTask);
        Assert.Equal(0, await cluster.CallsAsync(key, "wait"));
        await EnqueueAsync(store, "m2");
        Assert.NotEqual(0, await cluster.CallsAsync(key, "wait"));

        // Refused by both while the slot is in two places.
        var halfWay = Task.CompletedTask;
        await cluster.MoveSlotAsync(key, () =>
        {
            halfWay = EnqueueAsync(store, "m3");
            return Task.CompletedTask;
        });
        await halfWay;
    }

    private static async Task EnqueueAsync(RedisQueueStore store, string id)
    {
        var outcome = await store.EnqueueAsync(new EnqueueUnit("c1", [new NewMessage(id, true, "{}", 2, null, false)]), default);
        Assert.Equal((EnqueueStatus.Stored, false), (outcome.Status, Assert.Single(outcome.Receipts).IsDuplicate));
    }

    private static async Task<FailoverFlow> StartFlowAsync(RedisCluster cluster, Durability durability = default)
    {
        var flow = await FailoverFlow.StartAsync(Threads, options =>
        {
            options.Durability = durability;
            options.RedisConnectionString = cluster.ConnectionString;
            options.Partitions = 8;
        });
        await flow.AnsweredAsync(5);
        return flow;
    }
}
