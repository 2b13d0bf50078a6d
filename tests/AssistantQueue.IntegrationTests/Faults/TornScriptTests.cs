using AssistantQueue.Redis;
using Xunit.Abstractions;

namespace AssistantQueue.IntegrationTests.Faults;

/// <summary>
/// Scripts of which a crash left only the beginning, as a Redis can that logs them command by command (the embedded Garnet does). A first run counts each
/// script's writes; then one run for each of them ends the script there, and its owner. A second owner takes over, and the promises must hold.
/// </summary>
public sealed class TornScriptTests(ITestOutputHelper output)
{
    // Looks without a find, and renewals, are repeated for as long as a run takes.
    private static readonly string[] Repeated = [nameof(RedisScript.Claim), nameof(RedisScript.DeliverClaim), nameof(RedisScript.Renew)];

    [Theory]
    [InlineData("Responses in the background, another message meanwhile", nameof(RedisScript.Claim), nameof(RedisScript.Journal), nameof(RedisScript.Complete), nameof(RedisScript.DeliverClaim), nameof(RedisScript.DeliverClose))]
    [InlineData("A failed attempt", nameof(RedisScript.Retry))]
    [InlineData("A thread that is busy", nameof(RedisScript.Release))]
    [InlineData("A batch that the API refuses", nameof(RedisScript.Fail))]
    [InlineData("A handler that never takes it", nameof(RedisScript.DeliverClose))]
    public async Task Owner_EndsInTheMiddleOfAScript_NothingLostNothingTwice(string name, params string[] scripts)
    {
        await using var runs = new CrashRuns(CrashScenarios.All.Single(s => s.Name == name), tears: true);

        var (points, missed, _) = await runs.KillEverywhereAsync(p => p.Moment == CrashMoment.Torn && (p.Number <= 2 || !Repeated.Contains(p.Call)));

        output.WriteLine($"{name}: {points.Count} points, {missed.Count} not met again, {runs.Cases} cases");
        output.WriteLine(string.Join(", ", points.GroupBy(p => p.Call).Select(g => $"{g.Key} {g.Max(p => p.Number)} x {g.Max(p => p.Writes) + 1}")));
        Assert.All(scripts, script => Assert.True(points.Except(missed).Any(p => p.Call == script), $"{script} was never torn."));
    }
}
