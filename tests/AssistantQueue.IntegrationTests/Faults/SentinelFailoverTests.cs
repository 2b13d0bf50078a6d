using AssistantQueue.IntegrationTests.Redis;

namespace AssistantQueue.IntegrationTests.Faults;

/// <summary>The primary of a replica set is killed while people write: with <c>Durability = Replicas(1)</c> nothing acknowledged is lost.</summary>
/// <remarks>
/// Runs are under way in every thread during the failover and end after it. An enqueue waits for replicas; a finish doesn't, and one
/// that died with the primary would be repeated (at least once, not once).
/// </remarks>
[Collection("alone")]
public sealed class SentinelFailoverTests
{
    private const int Threads = 4;

    // Two replicas: one of them is left for the successor's acknowledgements.
    [RedisServerFact]
    public async Task PrimaryKilled_WhilePeopleWrite_EveryAcknowledgedMessageIsAnsweredOnceInOrder()
    {
        await using var set = await ReplicaSet.StartAsync(replicas: 2);
        await using var flow = await FailoverFlow.StartAsync(Threads, options =>
        {
            options.RedisConnectionString = set.ConnectionString;
            options.Durability = Durability.Replicas(1);
        });
        await flow.AnsweredAsync(5);
        await flow.HoldRunsAsync();

        await set.KillPrimaryAsync();
        await flow.AcknowledgedAsync(5);
        flow.LetRunsEnd();

        await flow.AnsweredAsync(5);
        await flow.EndAsync();
    }
}
