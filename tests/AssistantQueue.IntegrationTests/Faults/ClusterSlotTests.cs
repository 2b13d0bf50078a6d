using AssistantQueue.IntegrationTests.Redis;

namespace AssistantQueue.IntegrationTests.Faults;

/// <summary>Slots of a Cluster move while messages flow: nothing is lost, nothing comes twice, one run at a time.</summary>
[Collection("alone")]
public sealed class ClusterSlotTests
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

    private static async Task<FailoverFlow> StartFlowAsync(RedisCluster cluster)
    {
        var flow = await FailoverFlow.StartAsync(Threads, options =>
        {
            options.RedisConnectionString = cluster.ConnectionString;
            options.Partitions = 8;
        });
        await flow.AnsweredAsync(5);
        return flow;
    }
}
