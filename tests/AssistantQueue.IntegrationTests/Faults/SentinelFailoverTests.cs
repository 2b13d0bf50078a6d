using AssistantQueue.IntegrationTests.Redis;
using Xunit.Abstractions;

namespace AssistantQueue.IntegrationTests.Faults;

/// <summary>The primary of a replica set is killed, or gives its place away, while people write: with <c>Durability = Replicas(1)</c> nothing acknowledged is lost.</summary>
/// <remarks>
/// Runs are under way in every thread during the failover and end after it. An enqueue waits for replicas; a finish doesn't, and one
/// that died with the primary would be repeated (at least once, not once).
/// </remarks>
public sealed class SentinelFailoverTests(ITestOutputHelper output)
{
    private const int Threads = 4;

    // Two replicas: one of them is left for the successor's acknowledgements.
    [RedisServerFact]
    public async Task PrimaryKilled_WhilePeopleWrite_EveryAcknowledgedMessageIsAnsweredOnceInOrder()
    {
        await using var set = await ReplicaSet.StartAsync(replicas: 2);
        await using var flow = await StartFlowAsync(set, Durability.Replicas(1));
        await flow.HoldRunsAsync();

        await set.KillPrimaryAsync();
        await flow.AcknowledgedAsync(5);
        flow.LetRunsEnd();

        await flow.AnsweredAsync(5);
        await flow.EndAsync();
    }

    [RedisServerFact]
    public async Task PrimaryGivesItsPlaceAway_ReplicasAreWaitedFor_EveryAcknowledgedMessageIsAnsweredOnceInOrder()
    {
        await using var set = await ReplicaSet.StartAsync(replicas: 1);
        await using var flow = await StartFlowAsync(set, Durability.Replicas(1));
        await flow.HoldRunsAsync();

        await set.FailOverAsync();
        await flow.AcknowledgedAsync(5);
        flow.LetRunsEnd();

        await flow.AnsweredAsync(5);
        await flow.EndAsync();
    }

    /// <remarks>What the old primary acknowledges while its successor is one already is lost: the price of <c>Durability = Primary</c>, as the README says.</remarks>
    [RedisServerFact]
    public async Task PrimaryGivesItsPlaceAway_ReplicasAreNotWaitedFor_EveryMessageBeforeAndAfterIsAnsweredOnceInOrder()
    {
        await using var set = await ReplicaSet.StartAsync(replicas: 1);
        await using var flow = await StartFlowAsync(set, Durability.Primary);
        await flow.HoldRunsAsync();
        var before = flow.Acknowledged;
        await set.ReplicatedAsync();

        await set.FailOverAsync();
        await flow.AcknowledgedAsync(1);
        var after = flow.Acknowledged;
        flow.LetRunsEnd();

        await flow.AnsweredAsync(5);
        output.WriteLine($"{await flow.EndAsync(mayBeLost: (before, after))} messages were lost");
    }

    private static async Task<FailoverFlow> StartFlowAsync(ReplicaSet set, Durability durability)
    {
        var flow = await FailoverFlow.StartAsync(Threads, options =>
        {
            options.RedisConnectionString = set.ConnectionString;
            options.Durability = durability;
        });
        await flow.AnsweredAsync(5);
        return flow;
    }
}
