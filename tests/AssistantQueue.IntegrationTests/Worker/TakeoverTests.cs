using System.Globalization;
using AssistantQueue.IntegrationTests.Faults;
using AssistantQueue.IntegrationTests.Pipeline;
using AssistantQueue.IntegrationTests.Redis;
using AssistantQueue.IntegrationTests.Running;
using AssistantQueue.Redis;
using StackExchange.Redis;
using Xunit.Abstractions;

namespace AssistantQueue.IntegrationTests.Worker;

/// <summary>SIGKILL to a worker process with runs under way: another one with free slots has them within <c>LockDuration</c> and a second, by Redis' own clock.</summary>
/// <remarks>A fence is Redis' time in µs at the claim, so it says when a thread was taken over, however late the test looks.</remarks>
[Collection(AloneDefinition.Name)]
public sealed class TakeoverTests(ITestOutputHelper output)
{
    private const int Threads = 20;

    private static readonly TimeSpan Lock = TimeSpan.FromSeconds(5);

    [Theory]
    [InlineData(1, false)]
    [InlineData(1, true)]
    [InlineData(8, false)]
    [InlineData(8, true)]
    public async Task WorkerKilled_AnotherHasFreeSlots_TakesEveryThreadOverWithinLockDurationAndASecond(int partitions, bool isOtherThereBefore)
    {
        var redis = (await TestRedis.GetAsync()).Instance;
        await using var rig = await PipelineRig.StartAsync(
            redis.ConnectionString,
            new Dictionary<string, string>
            {
                ["MessageDelay"] = "00:00:00",
                ["LockDuration"] = Lock.ToString(),
                ["Concurrency"] = Threads.ToString(CultureInfo.InvariantCulture),
                ["Partitions"] = partitions.ToString(CultureInfo.InvariantCulture),
                ["OpenAI:Model"] = "gpt-test",
            },
            "--Latency", "00:05:00");
        await using var connection = await redis.ConnectAsync();
        var queue = new Queue(connection.GetDatabase(), rig.Prefix, partitions);
        var killed = await rig.StartWorkerAsync();
        await Servers.AgreeAsync(async () => await queue.IdleAsync() == partitions, "the worker looks for threads");
        if (isOtherThereBefore)
        {
            await rig.StartWorkerAsync();
            await Servers.AgreeAsync(async () => await queue.IdleAsync() == 2 * partitions, "the other worker looks for threads");
        }

        for (var i = 0; i < Threads; i++)
        {
            await rig.Queue.AddMessageToThreadAsync($"c{i}", "hi");
        }

        // At the API, and their owners have noted it: whoever comes next can adopt them.
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        await rig.Emulator.WaitForLedgerAsync(ledger => ledger.Runs.Count == Threads, patience.Token);
        await Servers.AgreeAsync(async () => (await queue.ThreadsAsync()).All(thread => thread.IsAdoptable), "every thread's run is in its journal");
        if (!isOtherThereBefore)
        {
            await rig.StartWorkerAsync();
        }

        // The one that was there first is woken first; the other may have got some.
        var left = (await queue.ThreadsAsync()).Where(thread => thread.Owner.Contains($"-{killed.Id}-", StringComparison.Ordinal)).ToDictionary(thread => thread.Name, thread => thread.Fence);
        Assert.NotEmpty(left);
        var kill = await TimeAsync(connection);
        await killed.KillAsync();
        await Task.WhenAll(left.Keys.Select(thread => rig.WaitForOwnersAsync(thread, 2, patience.Token)));
        var after = (await queue.ThreadsAsync()).Where(thread => left.ContainsKey(thread.Name)).ToList();

        Assert.All(after, thread => Assert.True(thread.Fence > left[thread.Name], $"{thread.Name} has its old owner."));
        var seconds = after.Select(thread => (thread.Fence - kill) / 1e6).Order().ToList();
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{seconds.Count} taken over {seconds[0]:0.000} to {seconds[^1]:0.000} s after the kill, LockDuration {Lock.TotalSeconds:0} s"));
        Assert.True(seconds[^1] <= Lock.TotalSeconds + 1, $"The last thread was taken over {seconds[^1]} s after the kill.");
        Assert.Equal(Threads, (await rig.Emulator.GetLedgerAsync(requests: false)).Runs.Count);
    }

    [Fact]
    public async Task WorkerKilled_WithRunsThatNobodyCanAdopt_TheFirstIsTakenOverWithinLockDurationAndASecondAndTheOthersWaitForIt()
    {
        const int Suspects = 3;
        var redis = (await TestRedis.GetAsync()).Instance;
        await using var rig = await PipelineRig.StartAsync(
            redis.ConnectionString,
            new Dictionary<string, string> { ["MessageDelay"] = "00:00:00", ["LockDuration"] = Lock.ToString(), ["OpenAI:Model"] = "gpt-test" });
        await using var connection = await redis.ConnectAsync();
        // A tool that never returns: such a run counts as its owner's death, and runs alone from then on.
        var killed = await rig.StartWorkerAsync("--chat", "true", "--hangs", "true");
        for (var i = 0; i < Suspects; i++)
        {
            await rig.Queue.AddMessageToThreadAsync($"c{i}", "use tools");
        }

        await killed.WaitForAsync(() => killed.Output.Count(line => line.StartsWith("called slow", StringComparison.Ordinal)) == Suspects);
        var heir = await rig.StartWorkerAsync("--chat", "true", "--hangs", "true");
        var before = await FencesAsync(connection, rig.Prefix, Suspects);

        var kill = await TimeAsync(connection);
        await killed.KillAsync();
        await heir.WaitForLineAsync(line => line.StartsWith("called slow", StringComparison.Ordinal));
        var after = await FencesAsync(connection, rig.Prefix, Suspects);

        var first = Assert.Single(after.Except(before));
        var seconds = (first - kill) / 1e6;
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"the first suspect was taken over {seconds:0.000} s after the kill"));
        Assert.True(seconds <= Lock.TotalSeconds + 1, $"The first suspect was taken over {seconds} s after the kill.");
        Assert.Single(heir.Output, line => line.StartsWith("called slow", StringComparison.Ordinal));
    }

    private static async Task<long[]> FencesAsync(ConnectionMultiplexer connection, string prefix, int threads) =>
        await Task.WhenAll(Enumerable.Range(0, threads).Select(async i => (long)await connection.GetDatabase().HashGetAsync($"{{{prefix}:0}}:thread:c{i}", "fence")));

    private static async Task<long> TimeAsync(ConnectionMultiplexer connection)
    {
        var time = (RedisResult[])(await connection.GetDatabase().ExecuteAsync("TIME"))!;
        return ((long)time[0] * 1_000_000) + (long)time[1];
    }

    /// <summary>What lies in Redis.</summary>
    private sealed class Queue(IDatabase database, string prefix, int partitions)
    {
        private readonly RedisKeys _keys = new(prefix, partitions);

        /// <summary>How many workers look for threads, in all partitions together.</summary>
        public async Task<long> IdleAsync() =>
            (await Task.WhenAll(Enumerable.Range(0, partitions).Select(p => database.SortedSetLengthAsync($"{{{prefix}:{p}}}:idle")))).Sum();

        public async Task<(string Name, string Owner, long Fence, bool IsAdoptable)[]> ThreadsAsync() =>
            await Task.WhenAll(Enumerable.Range(0, Threads).Select(async i =>
            {
                var fields = await database.HashGetAsync($"{{{prefix}:{_keys.PartitionOf($"c{i}")}}}:thread:c{i}", ["owner", "fence", "adoptable"]);
                return ($"c{i}", (string?)fields[0] ?? "", (long)fields[1], fields[2] == "1");
            }));
    }
}
