using AssistantQueue.IntegrationTests.Running;
using AssistantQueue.Store;
using Xunit.Abstractions;

namespace AssistantQueue.IntegrationTests.Faults;

/// <summary>
/// Every crash point: a first run notes each call to the store, to the API and to the handlers; then one run for each of them kills the owner before it,
/// and one after it (of streams also in the middle and at the end). A second owner takes over, and the promises must hold.
/// </summary>
[WaitsMostly]
public sealed class EveryCrashPointTests(ITestOutputHelper output)
{
    // How often these are called depends on the time that passes; all others must be met again.
    private static readonly string[] Looks =
        [nameof(IQueueStore.ClaimAsync), nameof(IQueueStore.ClaimDeliveriesAsync), nameof(IQueueStore.Renew), "GET /v1/responses/*", "GET /v1/threads/*/runs/*"];

    public static TheoryData<string> Scenarios => [.. CrashScenarios.All.Select(s => s.Name)];

    // What isn't a worker's call, or changes nothing of a batch: the rest has to be passed.
    private static readonly string[] Others =
    [
        nameof(IQueueStore.EnqueueAsync), nameof(IQueueStore.HoldBackAsync), nameof(IQueueStore.ReadApprovalAsync), nameof(IQueueStore.DecideAsync),
        nameof(IQueueStore.GetStatusAsync), nameof(IQueueStore.FindReplyAsync), nameof(IQueueStore.FindMessageAsync), nameof(IQueueStore.ReadHistoryAsync),
        nameof(IQueueStore.SubscribeToThreadAsync), nameof(IQueueStore.SubscribeToOutcomesAsync), nameof(IQueueStore.SubscribeToRunSignalsAsync),
        nameof(IQueueStore.SubscribeToWakeUpsAsync),
        nameof(IQueueStore.PublishLiveAsync), nameof(IQueueStore.AskForLiveAsync), nameof(IQueueStore.PartitionOf),
    ];

    [Fact]
    public void Scenarios_PassEveryMethodOfTheStoreThatAWorkerChangesABatchWith()
    {
        var passed = CrashScenarios.All.SelectMany(s => s.MustPass).ToHashSet();
        Assert.Empty(typeof(IQueueStore).GetMethods().Where(m => !m.IsSpecialName).Select(m => m.Name).Except(Others).Except(passed));
    }

    [Theory]
    [MemberData(nameof(Scenarios))]
    public async Task Owner_KilledAtEveryPoint_NothingLostNothingTwice(string name)
    {
        var scenario = CrashScenarios.All.Single(s => s.Name == name);
        await using var runs = new CrashRuns(scenario, tears: false);

        var (points, missed, certain) = await runs.KillEverywhereAsync(_ => true);

        output.WriteLine($"{name}: {points.Count} points, {missed.Count} not met again, {runs.Cases} cases");
        output.WriteLine(string.Join(", ", points.GroupBy(p => p.Call).Select(g => $"{g.Key} {g.Max(p => p.Number)}")));
        Assert.DoesNotContain(missed.Intersect(certain), p => !Looks.Contains(p.Call));
        var met = points.Except(missed).Select(p => (p.Call, p.Moment)).ToHashSet();
        Assert.Equal(scenario.IsStreamed, met.Any(p => p.Moment == CrashMoment.InStream));
        Assert.All(scenario.MustPass, call => Assert.True(met.Contains((call, CrashMoment.Before)) && met.Contains((call, CrashMoment.After)), $"Nobody died around {call}."));
    }
}
