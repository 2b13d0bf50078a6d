using AssistantQueue.IntegrationTests.Pipeline;
using AssistantQueue.IntegrationTests.Redis;
using AssistantQueue.IntegrationTests.Running;
using Xunit.Abstractions;

namespace AssistantQueue.IntegrationTests.Faults;

/// <summary>
/// Everything goes wrong while people type: workers killed, frozen and stopped, Redis paused, killed and restarted, the network held, delayed and reset,
/// the API failing before and after its work. Afterwards the ledger and what the handlers were given must show the promises.
/// </summary>
/// <remarks>
/// <c>ASSISTANTQUEUE_FAULT_MINUTES</c> says how long each case goes on (default 1.5); <c>ASSISTANTQUEUE_FAULT_SEED</c> repeats a run: the same faults of
/// workers, Redis and network in the same order at the same distances, and of the API for the same n-th request of an operation and a thread. What the
/// processes do in between, and so when such a request comes and how many there are, depends on their timing and doesn't repeat.
/// </remarks>
[Collection(AloneDefinition.Name)]
public sealed class FaultSuiteTests(ITestOutputHelper both)
{
    private const int Threads = 30;

    private static readonly TimeSpan Lock = TimeSpan.FromSeconds(5);

    // Both at a time: each waits for most of its time.
    [Fact]
    public Task Promises_UnderRandomFaults_Hold() => Task.WhenAll(HoldAsync("Responses"), HoldAsync("Assistants"));

    private async Task HoldAsync(string api)
    {
        var output = new CaseOutput(both, api);
        var seed = int.TryParse(Environment.GetEnvironmentVariable("ASSISTANTQUEUE_FAULT_SEED"), out var given) ? given : Random.Shared.Next(1_000_000);
        var minutes = double.TryParse(Environment.GetEnvironmentVariable("ASSISTANTQUEUE_FAULT_MINUTES"), System.Globalization.CultureInfo.InvariantCulture, out var m) ? m : 1.5;
        output.WriteLine($"ASSISTANTQUEUE_FAULT_SEED={seed}");
        await using var redis = await RedisInstance.StartDedicatedAsync(new RedisInstanceOptions { KeepsData = true });
        await using var proxy = new TcpProxy(redis.ConnectionString);
        // A conversation that takes a second response while one is under way: else the emulator would keep the promise for the queue.
        await using var rig = await PipelineRig.StartAsync(
            proxy.Address, Settings(api), "--Latency", "00:00:00.300", "--LatencyJitter", "00:00:00.700", "--BackgroundLocksConversation", "false");
        var threads = Enumerable.Range(0, Threads).Select(t => "thread-" + t).ToList();
        await using var chaos = new Chaos(seed, rig, redis, proxy, threads, Lock, output);
        await chaos.BeginAsync();

        using var typing = new CancellationTokenSource();
        var people = threads.Select((thread, t) => Task.Run(() => TypeAsync(rig.Queue, thread, new Random(seed + t), typing.Token))).ToList();
        await chaos.RunAsync(TimeSpan.FromMinutes(minutes));
        await chaos.MendAsync();
        var quietSince = await chaos.TimeAsync();
        await chaos.DeployAsync();
        await typing.CancelAsync();
        var receipts = (await Task.WhenAll(people)).ToDictionary(r => r.Thread, r => r.Receipts);

        var written = receipts.Values.SelectMany(r => r).Select(r => r.MessageId).ToHashSet();
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(3));
        var delivered = await rig.WaitForDeliveredAsync(d => written.IsSubsetOf(d.SelectMany(x => x.MessageIds).ToHashSet()), patience.Token);
        var ledger = await rig.Emulator.GetLedgerAsync(requests: true, patience.Token);
        output.WriteLine($"{written.Count} messages, {ledger.Runs.Count} runs, {delivered.Count} deliveries");
        output.WriteLine(string.Join(", ", chaos.Struck.Select(s => $"{s.Value} × {s.Key}")) + $"; {chaos.FrozenOwners.Values.Sum()} owners frozen");

        // 1, 9: every message that was acknowledged is answered, none is given up: no fault here is the messages' own.
        Assert.All(delivered, d => Assert.Equal("reply", d.Kind));
        // 2, 4: one run at a time, and once; only an owner frozen between its last check and the socket may post a second time.
        var overlaps = ledger.Overlaps.GroupBy(o => o.ThreadKey).ToDictionary(g => g.Key, g => g.Count());
        var again = ledger.Duplicates.GroupBy(d => d.ThreadKey).ToDictionary(g => g.Key, g => g.DistinctBy(d => d.RunId).Count());
        var refused = ledger.Refusals.GroupBy(r => r.Metadata!["thread_key"]).ToDictionary(g => g.Key, g => g.Count());
        output.WriteLine($"overlaps {Told(overlaps)}; posted again {Told(again)}; refused {Told(refused)}");
        // What it posts late may begin beside its successor's run, and end beside the next one.
        Assert.All(overlaps, o => Assert.InRange(o.Value, 0, 2 * chaos.FrozenOwners.GetValueOrDefault(o.Key)));
        Assert.All(again, d => Assert.InRange(d.Value, 0, chaos.FrozenOwners.GetValueOrDefault(d.Key)));
        // A thread of the Assistants API refuses a second run, so there it's the refusals that tell.
        Assert.All(refused, r => Assert.InRange(r.Value, 0, chaos.FrozenOwners.GetValueOrDefault(r.Key)));
        foreach (var (thread, stored) in receipts)
        {
            // 3: in the order in which they were stored, and nothing but them.
            Assert.Equal(stored.OrderBy(r => r.Sequence).Select(r => r.MessageId), ledger.TextsOf(thread).Distinct());
            // 9: deliveries keep their order within a thread.
            Assert.Equal(
                stored.OrderBy(r => r.Sequence).Select(r => r.MessageId),
                delivered.Where(d => d.ThreadId == thread).DistinctBy(d => d.BatchId).SelectMany(d => d.MessageIds));
        }

        // 9: a repeated delivery is the same reply.
        Assert.All(delivered.GroupBy(d => d.BatchId), d => Assert.Single(d.Select(x => (x.Text, x.Attempt, string.Join(' ', x.MessageIds))).Distinct()));
        // 7: a deploy uses up no attempt.
        var quiet = receipts.Values.SelectMany(r => r).Where(r => r.Sequence >= quietSince).Select(r => r.MessageId).ToHashSet();
        var undisturbed = delivered.Where(d => quiet.IsSupersetOf(d.MessageIds)).ToList();
        output.WriteLine($"{undisturbed.Count} runs of messages that came during the deploy");
        Assert.NotEmpty(undisturbed);
        Assert.All(undisturbed, d => Assert.Equal(1, d.Attempt));
        Assert.Equal(Chaos.AllKinds, chaos.Struck.Keys.Order());

        var status = await rig.Queue.GetQueueStatusAsync(patience.Token);
        Assert.Equal((0, 0, 0, 0), (status.ActiveCount, status.WaitingCount, status.DelayedCount, status.FailedCount));
        // The embedded one, killed in the middle of a script, loses its end, and there it is counted.
        Assert.InRange(status.CompletedCount, redis.Kind == RedisKind.Embedded ? written.Count / 2 : written.Count, written.Count);
    }

    private static string Told(Dictionary<string, int> counts) => counts.Count == 0 ? "none" : string.Join(", ", counts.Select(c => $"{c.Key}: {c.Value}"));

    private static Dictionary<string, string> Settings(string api) => new()
    {
        ["MessageDelay"] = "00:00:00.500",
        ["LockDuration"] = Lock.ToString(),
        ["UnknownOutcomeWait"] = "00:00:05",
        ["RunTimeout"] = "00:01:00",
        ["MaxAttempts"] = "50",
        ["MaxDeaths"] = "50",
        ["Backoff:Delay"] = "00:00:00.300",
        ["Backoff:MaxDelay"] = "00:00:03",
        ["Concurrency"] = "20",
        ["OpenAI:Api"] = api,
        [api == "Responses" ? "OpenAI:Model" : "OpenAI:AssistantId"] = "asst_test",
    };

    // A person: types, and sends again what was not acknowledged. The text is the id, so that the ledger can be compared.
    private static async Task<(string Thread, List<MessageReceipt> Receipts)> TypeAsync(
        IAssistantMessageQueue queue, string thread, Random random, CancellationToken stop)
    {
        var receipts = new List<MessageReceipt>();
        while (!stop.IsCancellationRequested)
        {
            var id = $"{thread}-{receipts.Count}";
            while (true)
            {
                try
                {
                    receipts.Add(await queue.EnqueueAsync(new AssistantMessage { ThreadId = thread, Text = id, MessageId = id }, CancellationToken.None));
                    break;
                }
                catch (Exception e) when (e is QueueUnavailableException or EnqueueOutcomeUnknownException)
                {
                    // Not acknowledged: sent again with the same id.
                }
            }

            // How fast somebody types; nothing is waited for.
            await Task.Delay(random.Next(50, 2_500), stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        return (thread, receipts);
    }

    /// <summary>What one of the two cases says.</summary>
    private sealed class CaseOutput(ITestOutputHelper both, string api) : ITestOutputHelper
    {
        public void WriteLine(string message) => both.WriteLine($"{api}: {message}");

        public void WriteLine(string format, params object[] args) => both.WriteLine($"{api}: {format}", args);
    }
}
