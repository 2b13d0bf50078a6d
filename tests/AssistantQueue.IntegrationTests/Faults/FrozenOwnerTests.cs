using System.Globalization;
using AssistantQueue.IntegrationTests.Pipeline;
using AssistantQueue.IntegrationTests.Redis;

namespace AssistantQueue.IntegrationTests.Faults;

/// <summary>SIGSTOP to a worker process with a run under way, past its lease, and SIGCONT when another has the run: the first knows nothing of it, and does no harm.</summary>
public sealed class FrozenOwnerTests
{
    // The log's ids of a renewal, and of a finish, that was told "somebody else's".
    private static readonly string[] LostIds = ["[207]", "[406]"];

    [Theory]
    [InlineData("Responses")]
    [InlineData("Assistants")]
    public async Task Owner_FrozenPastItsLease_WritesNothingAndPostsNothingWhenItWakes(string api)
    {
        var redis = (await TestRedis.GetAsync()).Instance;
        await using var rig = await PipelineRig.StartAsync(
            redis.ConnectionString,
            new Dictionary<string, string>
            {
                ["MessageDelay"] = "00:00:00",
                ["LockDuration"] = "00:00:05",
                ["OpenAI:Api"] = api,
                [api == "Responses" ? "OpenAI:Model" : "OpenAI:AssistantId"] = "asst_test",
            },
            "--Latency", "00:05:00");
        await using var connection = await redis.ConnectAsync();
        var frozen = await rig.StartWorkerAsync();
        await rig.Queue.AddMessageToThreadAsync("c1", "hi");
        await rig.Emulator.WaitForLedgerAsync(ledger => ledger.Runs.Count == 1);
        var first = await BatchAsync();

        frozen.Freeze();
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        Dictionary<string, string> second;
        double record;
        try
        {
            await rig.StartWorkerAsync();
            await rig.WaitForOwnersAsync("c1", 2, patience.Token);
            second = await BatchAsync();
            record = await RecordAsync() ?? 0;
        }
        finally
        {
            frozen.Thaw();
        }

        // It is awake when it has renewed its record, with which it asks for its lease.
        await Servers.AgreeAsync(async () => await RecordAsync() > record, "the worker is awake");
        await frozen.WaitForAsync(() => frozen.Errors.Any(line => LostIds.Any(id => line.Contains(id, StringComparison.Ordinal))));

        Assert.NotEqual(first["fence"], second["fence"]);
        Assert.Equal(first["batch"], second["batch"]);
        var after = await BatchAsync();
        Assert.Equal((second["fence"], second["owner"]), (after["fence"], after["owner"]));
        var ledger = await rig.Emulator.GetLedgerAsync();
        Assert.Equal((1, 1), (ledger.Runs.Count, ledger.TimesPosted("hi")));
        Assert.Single(ledger.Requests, r => r.Operation is "create_response" or "create_run");
        Assert.DoesNotContain(ledger.Requests, r => r.Operation.StartsWith("cancel", StringComparison.Ordinal));
        Assert.Empty(rig.Delivered);

        async Task<Dictionary<string, string>> BatchAsync() =>
            (await connection.GetDatabase().HashGetAllAsync($"{{{rig.Prefix}:0}}:thread:c1")).ToDictionary(f => (string)f.Name!, f => (string)f.Value!);

        async Task<double?> RecordAsync()
        {
            var mark = string.Create(CultureInfo.InvariantCulture, $"-{frozen.Id}-");
            var records = await connection.GetDatabase().SortedSetRangeByRankWithScoresAsync($"{{{rig.Prefix}:0}}:workers");
            return records.Where(r => ((string)r.Element!).Contains(mark, StringComparison.Ordinal)).Select(r => (double?)r.Score).SingleOrDefault();
        }
    }
}
