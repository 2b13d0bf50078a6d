using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using AssistantQueue.Emulators;
using AssistantQueue.IntegrationTests.Redis;
using AssistantQueue.Store;
using Xunit.Abstractions;

namespace AssistantQueue.IntegrationTests.Faults;

/// <summary>
/// Every crash point: a first run notes each call to the store, to the API and to the handlers; then one run for each of them kills the owner before it,
/// and one after it (of streams also in the middle and at the end). A second owner takes over, and the promises must hold.
/// </summary>
public sealed class EveryCrashPointTests(ITestOutputHelper output)
{
    /// <summary>How many cases are under way at a time: they wait for leases to end, most of the time.</summary>
    private const int AtATime = 40;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(45);

    // How often these are called depends on the time that passes; all others must be met again.
    private static readonly string[] Looks =
        [nameof(IQueueStore.ClaimAsync), nameof(IQueueStore.ClaimDeliveriesAsync), nameof(IQueueStore.Renew), "GET /v1/responses/*", "GET /v1/threads/*/runs/*"];

    public static TheoryData<string> Scenarios => [.. CrashScenarios.All.Select(s => s.Name)];

    [Theory]
    [MemberData(nameof(Scenarios))]
    public async Task Owner_KilledAtEveryPoint_NothingLostNothingTwice(string name)
    {
        var scenario = CrashScenarios.All.Single(s => s.Name == name);
        await using var emulator = await OpenAIEmulator.StartAsync(new OpenAIEmulatorOptions());
        scenario.Emulator(emulator.Options);
        var redis = (await TestRedis.GetAsync()).Multiplexer;
        using var again = new PostedAgain();
        var faults = new ConcurrentQueue<string>();
        var cases = 0;

        async Task<Owner?> RunAsync(CrashPoint? diesAt)
        {
            using var patience = new CancellationTokenSource(Patience);
            var thread = $"crash-{Guid.NewGuid():N}"[..14];
            await using var run = new CrashCase(scenario, thread, emulator, redis);
            Interlocked.Increment(ref cases);
            try
            {
                var owner = await run.RunAsync(diesAt, patience.Token);
                foreach (var fault in Judge(scenario, run, thread, emulator.Ledger.Snapshot(), again.Of(thread)))
                {
                    faults.Enqueue($"{diesAt}: {fault}\n{run.Story}");
                }

                return owner;
            }
            catch (Exception e) when (e is Xunit.Sdk.XunitException or OperationCanceledException)
            {
                faults.Enqueue($"{diesAt}: {e.Message}\n{run.Story}");
                return null;
            }
        }

        async Task<List<CrashPoint>> KillAtAsync(IEnumerable<CrashPoint> points)
        {
            var missed = new ConcurrentQueue<CrashPoint>();
            await Parallel.ForEachAsync(points, new ParallelOptions { MaxDegreeOfParallelism = AtATime }, async (point, _) =>
            {
                // Enough to see what is wrong; each case may wait for its whole patience.
                if (faults.Count < 3 && await RunAsync(point) is { Died.IsCompleted: false })
                {
                    missed.Enqueue(point);
                }
            });
            return [.. missed];
        }

        // The first run is slow, and its lease may end; what only one of two saw later is not asked for.
        await RunAsync(null);
        Assert.True(faults.IsEmpty, string.Join('\n', faults));
        var whole = await Task.WhenAll(RunAsync(null), RunAsync(null));
        Assert.True(faults.IsEmpty, string.Join('\n', faults));
        var (one, other) = (whole[0]!, whole[1]!);
        var points = one.Passed.Union(other.Passed).ToList();
        var missed = await KillAtAsync(await KillAtAsync(points));

        output.WriteLine($"{name}: {points.Count} points, {missed.Count} not met again, {cases} cases");
        output.WriteLine(string.Join(", ", points.GroupBy(p => p.Call).Select(g => $"{g.Key} {g.Max(p => p.Number)}")));
        Assert.True(faults.IsEmpty, string.Join('\n', faults));
        Assert.DoesNotContain(missed.Intersect(one.Passed).Intersect(other.Passed), p => !Looks.Contains(p.Call));
        var met = points.Except(missed).Select(p => (p.Call, p.Moment)).ToHashSet();
        Assert.Equal(scenario.IsStreamed, met.Any(p => p.Moment == CrashMoment.InStream));
        Assert.All(scenario.MustPass, call => Assert.True(met.Contains((call, CrashMoment.Before)) && met.Contains((call, CrashMoment.After)), $"Nobody died around {call}."));
    }

    private static IEnumerable<string> Judge(CrashScenario scenario, CrashCase run, string thread, LedgerSnapshot ledger, long postedAgain)
    {
        if (run.Stranded.Count > 0)
        {
            yield return "left behind: " + string.Join(", ", run.Stranded);
        }

        // 2: one run at a time.
        foreach (var overlap in ledger.Overlaps.Where(o => o.ThreadKey == thread))
        {
            yield return $"{overlap.First} and {overlap.Second} overlap";
        }

        // 3, 4: the history has each message once, in order. Content that was refused was never in it.
        var texts = ledger.TextsOf(thread);
        if (!scenario.IsChain && !scenario.EndsAsFailure && !texts.SequenceEqual(run.Texts))
        {
            yield return "the conversation has " + string.Join(", ", texts);
        }

        // 4: taken twice only where nobody can look, and then counted.
        var known = scenario.Fault?.Kind == OpenAIFaultKind.RunFails ? 1 : 0;
        var twice = run.Texts.Max(text => ledger.TimesAccepted(text)) - 1 - known;
        // Where a slow machine lost a lease besides, the owner that posted again may be the one that died before it counted.
        var uncounted = run.HasLostALease ? 1 : 0;
        if (twice > (scenario.IsChain || scenario.EndsWithOwner ? postedAgain + uncounted : 0))
        {
            yield return $"taken {twice} times too often, counted {postedAgain}";
        }

        foreach (var fault in JudgeOffers(scenario, run))
        {
            yield return fault;
        }
    }

    // 9: each at least once, always with the same batch and text, in order.
    private static IEnumerable<string> JudgeOffers(CrashScenario scenario, CrashCase run)
    {
        if (scenario.DeliveryIsAbandoned)
        {
            yield break;
        }

        var offers = run.Offers;
        var batches = offers.DistinctBy(o => o.BatchId).ToList();
        string[] expected = scenario.HasFollower ? ["one", "two", "three"] : ["one", "two"];
        if (!batches.SelectMany(o => o.MessageIds).SequenceEqual(expected))
        {
            yield return "delivered " + string.Join("; ", batches.Select(b => string.Join(", ", b.MessageIds)));
        }

        if (offers.Distinct(OfferComparer.Instance).Count() != batches.Count)
        {
            yield return "one batch was delivered with different replies";
        }

        var said = 0;
        foreach (var batch in batches)
        {
            // The model says what it was sent: these messages, and before them those of the earlier batches.
            var reply = Said([.. batch.MessageIds.Select(id => run.Texts[Array.IndexOf(expected, id)])], said);
            if (!scenario.EndsAsFailure && batch.Text != reply)
            {
                yield return $"the reply is '{batch.Text}' instead of '{reply}'";
            }

            said += batch.MessageIds.Count;
        }
    }

    private static string Said(string[] texts, int before)
    {
        var quoted = texts.Select(t => $"“{t}”").ToArray();
        var said = quoted.Length == 1 ? $"You wrote: {quoted[0]}." : $"You wrote {quoted.Length} messages: {string.Join(", ", quoted[..^1])} and {quoted[^1]}.";
        return said + (before == 0 ? "" : $" Before that you had written {before} {(before == 1 ? "message" : "messages")}.");
    }

    private sealed class OfferComparer : IEqualityComparer<Offer>
    {
        public static OfferComparer Instance { get; } = new();

        public bool Equals(Offer? x, Offer? y) => x?.BatchId == y?.BatchId && x?.Text == y?.Text;

        public int GetHashCode(Offer obj) => HashCode.Combine(obj.BatchId, obj.Text);
    }
}

/// <summary>Counts <c>assistantqueue.run.posted_again</c> by queue.</summary>
internal sealed class PostedAgain : IDisposable
{
    private readonly MeterListener _listener = new();
    private readonly ConcurrentDictionary<string, long> _counts = new();

    public PostedAgain()
    {
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Name == "assistantqueue.run.posted_again")
            {
                listener.EnableMeasurementEvents(instrument);
            }
        };
        _listener.SetMeasurementEventCallback<long>((_, count, tags, _) =>
        {
            foreach (var (name, value) in tags)
            {
                if (name == "queue")
                {
                    _counts.AddOrUpdate((string)value!, count, (_, before) => before + count);
                }
            }
        });
        _listener.Start();
    }

    public long Of(string queue) => _counts.GetValueOrDefault(queue);

    public void Dispose() => _listener.Dispose();
}
