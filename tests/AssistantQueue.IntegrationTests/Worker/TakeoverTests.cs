using System.Globalization;
using AssistantQueue.IntegrationTests.Faults;
using AssistantQueue.IntegrationTests.Pipeline;
using AssistantQueue.IntegrationTests.Redis;
using StackExchange.Redis;
using Xunit.Abstractions;

namespace AssistantQueue.IntegrationTests.Worker;

/// <summary>SIGKILL to a worker process with runs under way: another one with free slots has them within <c>LockDuration</c> and a second, by Redis' own clock.</summary>
/// <remarks>A fence is Redis' time in µs at the claim, so it says when a thread was taken over, however late the test looks.</remarks>
[Collection("alone")]
public sealed class TakeoverTests(ITestOutputHelper output)
{
    private const int Threads = 20;

    private static readonly TimeSpan Lock = TimeSpan.FromSeconds(5);

    [Fact]
    public async Task WorkerKilled_AnotherHasFreeSlots_TakesEveryThreadOverWithinLockDurationAndASecond()
    {
        var redis = (await TestRedis.GetAsync()).Instance;
        await using var rig = await PipelineRig.StartAsync(
            redis.ConnectionString,
            new Dictionary<string, string>
            {
                ["MessageDelay"] = "00:00:00",
                ["LockDuration"] = Lock.ToString(),
                ["Concurrency"] = Threads.ToString(CultureInfo.InvariantCulture),
                ["OpenAI:Model"] = "gpt-test",
            },
            "--Latency", "00:05:00");
        await using var connection = await redis.ConnectAsync();
        var killed = await rig.StartWorkerAsync();
        for (var i = 0; i < Threads; i++)
        {
            await rig.Queue.AddMessageToThreadAsync($"c{i}", "hi");
        }

        // At the API: whoever comes next can adopt them.
        await Servers.AgreeAsync(async () => (await rig.Emulator.GetLedgerAsync(requests: false)).Runs.Count == Threads, "every thread has a run");
        await rig.StartWorkerAsync();
        var before = await FencesAsync(connection, rig.Prefix);

        var kill = await TimeAsync(connection);
        await killed.KillAsync();
        long[] after = [];
        await Servers.AgreeAsync(async () => (after = await FencesAsync(connection, rig.Prefix)).Zip(before).All(f => f.First > f.Second), "every thread has another owner");

        var seconds = after.Select(fence => (fence - kill) / 1e6).Order().ToList();
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"taken over {seconds[0]:0.000} to {seconds[^1]:0.000} s after the kill, LockDuration {Lock.TotalSeconds:0} s"));
        Assert.True(seconds[^1] <= Lock.TotalSeconds + 1, $"The last thread was taken over {seconds[^1]} s after the kill.");
        Assert.Equal(Threads, (await rig.Emulator.GetLedgerAsync(requests: false)).Runs.Count);
    }

    private static async Task<long[]> FencesAsync(ConnectionMultiplexer connection, string prefix) =>
        await Task.WhenAll(Enumerable.Range(0, Threads).Select(async i => (long)await connection.GetDatabase().HashGetAsync($"{{{prefix}:0}}:thread:c{i}", "fence")));

    private static async Task<long> TimeAsync(ConnectionMultiplexer connection)
    {
        var time = (RedisResult[])(await connection.GetDatabase().ExecuteAsync("TIME"))!;
        return ((long)time[0] * 1_000_000) + (long)time[1];
    }
}
