using System.Collections.Concurrent;
using AssistantQueue.Emulators;
using AssistantQueue.IntegrationTests.Redis;

namespace AssistantQueue.IntegrationTests.Faults;

/// <summary>The runs of one scenario: whole ones, which note the points at which an owner can die, and then one for each point.</summary>
/// <param name="scenario">What happens.</param>
/// <param name="tears">Whether the points are in the middle of scripts; else they are around calls.</param>
internal sealed class CrashRuns(CrashScenario scenario, bool tears) : IAsyncDisposable
{
    /// <summary>How many cases are under way at a time: they wait for leases to end, most of the time.</summary>
    private const int AtATime = 40;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly PostedAgain _again = new();
    private readonly ConcurrentQueue<string> _faults = new();
    private OpenAIEmulator _emulator = null!;
    private int _cases;

    /// <summary>Gets how many cases there were.</summary>
    public int Cases => _cases;

    /// <summary>Runs the scenario, and then kills an owner at each point that it passed.</summary>
    /// <param name="of">Which of the points.</param>
    /// <returns>The points, those at which nobody could be killed, and those that two whole runs both passed.</returns>
    public async Task<(IReadOnlyList<CrashPoint> Points, IReadOnlyList<CrashPoint> Missed, IReadOnlySet<CrashPoint> Certain)> KillEverywhereAsync(Func<CrashPoint, bool> of)
    {
        _emulator = await OpenAIEmulator.StartAsync(new OpenAIEmulatorOptions());
        scenario.Emulator(_emulator.Options);

        // The first run is slow, and its lease may end; what only one of two saw later is not asked for.
        await RunAsync(null);
        ThrowIfFaulty();
        var whole = await Task.WhenAll(RunAsync(null), RunAsync(null));
        ThrowIfFaulty();
        var (one, other) = (whole[0]!.Passed, whole[1]!.Passed);
        var points = one.Union(other).Where(of).ToList();
        var certain = one.Intersect(other).Where(of).ToHashSet();
        var missed = await KillAtAsync(await KillAtAsync(points));
        // On a busy machine a run may take another way twice.
        missed = [.. missed.Except(certain), .. await KillAtAsync(missed.Intersect(certain))];
        ThrowIfFaulty();
        return (points, missed, certain);
    }

    public async ValueTask DisposeAsync()
    {
        _again.Dispose();
        await _emulator.DisposeAsync();
    }

    private async Task<Owner?> RunAsync(CrashPoint? diesAt)
    {
        using var patience = new CancellationTokenSource(Patience);
        var thread = $"crash-{Guid.NewGuid():N}"[..14];
        await using var run = new CrashCase(scenario, thread, _emulator, (await TestRedis.GetApartAsync()).Multiplexer, tears);
        Interlocked.Increment(ref _cases);
        try
        {
            var owner = await run.RunAsync(diesAt, patience.Token);
            foreach (var fault in CrashJudge.Judge(scenario, run, thread, _emulator.Ledger.Snapshot(), _again.Of(thread)))
            {
                _faults.Enqueue($"{diesAt}: {fault}\n{run.Story}");
            }

            return owner;
        }
        catch (Exception e) when (e is Xunit.Sdk.XunitException or OperationCanceledException)
        {
            _faults.Enqueue($"{diesAt}: {e.Message}\n{run.Story}");
            return null;
        }
    }

    private async Task<List<CrashPoint>> KillAtAsync(IEnumerable<CrashPoint> points)
    {
        var missed = new ConcurrentQueue<CrashPoint>();
        await Parallel.ForEachAsync(points, new ParallelOptions { MaxDegreeOfParallelism = AtATime }, async (point, _) =>
        {
            // Enough to see what is wrong; each case may wait for its whole patience.
            if (_faults.Count < 3 && await RunAsync(point) is { Died.IsCompleted: false })
            {
                missed.Enqueue(point);
            }
        });
        return [.. missed];
    }

    private void ThrowIfFaulty() => Assert.True(_faults.IsEmpty, string.Join('\n', _faults));
}
