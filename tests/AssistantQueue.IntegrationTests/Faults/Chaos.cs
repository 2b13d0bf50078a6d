using AssistantQueue.Emulators;
using AssistantQueue.IntegrationTests.Pipeline;
using AssistantQueue.IntegrationTests.Redis;
using AssistantQueue.TestHost;
using StackExchange.Redis;
using Xunit.Abstractions;

namespace AssistantQueue.IntegrationTests.Faults;

/// <summary>Breaks one thing after another, as its seed says, and mends everything at the end.</summary>
/// <remarks>Its delays are the faults themselves: how long a process is frozen, a Redis away, a network held. Nothing is waited for by them.</remarks>
internal sealed class Chaos(
    int seed, PipelineRig rig, RedisInstance redis, TcpProxy proxy, IReadOnlyList<string> threads, TimeSpan lockDuration, ITestOutputHelper output) : IAsyncDisposable
{
    private const int Workers = 3;

    // Dealt one after another and shuffled anew when none is left, so that every kind strikes; a kill twice as often.
    private static readonly string[] Kinds =
    [
        "kill a worker", "kill a worker", "freeze a worker past its lease", "stop a worker", "pause Redis",
        "kill Redis", "restart Redis", "reset all connections", "hold the network", "delay the network",
    ];

    private readonly Random _random = new(seed);
    private readonly List<TestHostProcess> _workers = [];
    private readonly HashSet<TestHostProcess> _frozen = [];
    private readonly Dictionary<string, int> _struck = [];
    private readonly Dictionary<string, int> _frozenOwners = [];
    private Queue<string> _deck = [];
    private ConnectionMultiplexer? _redis;

    /// <summary>Gets the kinds of faults, by name.</summary>
    public static IEnumerable<string> AllKinds => Kinds.Distinct().Order();

    /// <summary>Gets how often each kind of fault struck.</summary>
    public IReadOnlyDictionary<string, int> Struck => _struck;

    /// <summary>Gets how often each thread's owner was frozen past its lease; threads without are left out.</summary>
    public IReadOnlyDictionary<string, int> FrozenOwners => _frozenOwners;

    /// <summary>Starts the workers, and lets the API fail now and then.</summary>
    public async Task BeginAsync()
    {
        _redis = await redis.ConnectAsync();
        _workers.AddRange(await Task.WhenAll(Enumerable.Range(0, Workers).Select(_ => rig.StartWorkerAsync())));
        OpenAIFault[] faults =
        [
            new() { Kind = OpenAIFaultKind.Error, Operation = "create_*", Probability = 0.03 },
            new() { Kind = OpenAIFaultKind.Error, Operation = "create_r*", Probability = 0.03, AfterWork = true },
            new() { Kind = OpenAIFaultKind.Cut, Operation = "create_r*", Probability = 0.03, AfterWork = true },
            new() { Kind = OpenAIFaultKind.Cut, Operation = "get_*", Probability = 0.02 },
            new() { Kind = OpenAIFaultKind.Html, Operation = "get_*", Probability = 0.01 },
            new() { Kind = OpenAIFaultKind.RunFails, Operation = "create_r*", Probability = 0.02 },
            OpenAIFault.RateLimit(TimeSpan.FromMilliseconds(300)) with { Probability = 0.02 },
        ];
        for (var i = 0; i < faults.Length; i++)
        {
            await rig.Emulator.AddFaultAsync(faults[i] with { Seed = seed + i });
        }
    }

    /// <summary>Breaks things for so long, and until every kind has struck.</summary>
    public async Task RunAsync(TimeSpan duration)
    {
        using var over = new CancellationTokenSource(duration);
        while (!over.IsCancellationRequested || _struck.Values.Sum() < Kinds.Length)
        {
            var kind = Next();
            output.WriteLine($"{DateTime.UtcNow:HH:mm:ss.fff} {kind}");
            await BreakAsync(kind);
            _struck[kind] = _struck.GetValueOrDefault(kind) + 1;
            await PauseAsync(500, 3_000);
        }
    }

    /// <summary>Lets the API work again; everything else was mended after each fault. The workers go on.</summary>
    public async Task MendAsync()
    {
        await rig.Emulator.ClearFaultsAsync();
        output.WriteLine($"{DateTime.UtcNow:HH:mm:ss.fff} mended");
    }

    /// <summary>A deploy: one worker after another is asked to stop and has a successor; nothing else goes wrong.</summary>
    public async Task DeployAsync()
    {
        for (var at = 0; at < Workers; at++)
        {
            output.WriteLine($"{DateTime.UtcNow:HH:mm:ss.fff} deploy");
            await ReplaceStoppedAsync(at);
        }
    }

    /// <summary>Redis' time in µs, which is what sequence numbers are made of.</summary>
    public async Task<long> TimeAsync()
    {
        var time = (RedisResult[])(await _redis!.GetDatabase().ExecuteAsync("TIME"))!;
        return ((long)time[0] * 1_000_000) + (long)time[1];
    }

    // A frozen process can't be waited for.
    public async ValueTask DisposeAsync()
    {
        foreach (var worker in _frozen)
        {
            worker.Thaw();
        }

        if (_redis is not null)
        {
            await _redis.DisposeAsync();
        }
    }

    private string Next()
    {
        if (_deck.Count == 0)
        {
            var cards = Kinds.ToArray();
            _random.Shuffle(cards);
            _deck = new(cards);
        }

        return _deck.Dequeue();
    }

    private async Task BreakAsync(string kind)
    {
        var at = _random.Next(_workers.Count);
        var worker = _workers[at];
        switch (kind)
        {
            case "kill a worker":
                await worker.KillAsync();
                _workers[at] = await rig.StartWorkerAsync();
                break;
            case "freeze a worker past its lease":
                worker.Freeze();
                _frozen.Add(worker);
                await NoteFrozenOwnersAsync(worker);
                await Task.Delay(lockDuration + TimeSpan.FromSeconds(2));
                worker.Thaw();
                _frozen.Remove(worker);
                break;
            case "stop a worker":
                await ReplaceStoppedAsync(at);
                break;
            case "pause Redis":
                await redis.PauseAsync();
                await PauseAsync(1_000, 8_000);
                await redis.ResumeAsync();
                break;
            case "kill Redis":
                await redis.KillAsync();
                await PauseAsync(100, 2_000);
                await redis.StartAgainAsync();
                break;
            case "restart Redis":
                await redis.StopAsync();
                await redis.StartAgainAsync();
                break;
            case "reset all connections":
                proxy.Reset();
                break;
            case "hold the network":
                proxy.Hold();
                await PauseAsync(1_000, 8_000);
                // What was held back is lost with its connections, or arrives late.
                if (_random.Next(2) == 0)
                {
                    proxy.Reset();
                }

                proxy.Release();
                break;
            default:
                proxy.Delay = TimeSpan.FromMilliseconds(_random.Next(20, 200));
                await PauseAsync(1_000, 5_000);
                proxy.Delay = TimeSpan.Zero;
                break;
        }
    }

    // Only these can be posted a second time: their owner may stand between its last check and the socket.
    // What it claims with a call that was on its way it doesn't begin: its lease counts from before the call.
    private async Task NoteFrozenOwnersAsync(TestHostProcess worker)
    {
        var mark = $"{Environment.MachineName}-{worker.Id}-";
        string?[] owners = [];
        await Servers.AgreeAsync(
            async () =>
            {
                try
                {
                    owners = await Task.WhenAll(threads.Select(async t => (string?)await _redis!.GetDatabase().HashGetAsync($"{{{rig.Prefix}:0}}:thread:{t}", "owner")));
                    return true;
                }
                catch (RedisException)
                {
                    // It was started a moment ago and isn't back yet.
                    return false;
                }
            },
            "Redis tells the owners");
        foreach (var (thread, owner) in threads.Zip(owners))
        {
            if (owner?.StartsWith(mark, StringComparison.Ordinal) == true)
            {
                _frozenOwners[thread] = _frozenOwners.GetValueOrDefault(thread) + 1;
            }
        }
    }

    private async Task ReplaceStoppedAsync(int at)
    {
        await _workers[at].StopAsync();
        _workers[at] = await rig.StartWorkerAsync();
    }

    private Task PauseAsync(int least, int most) => Task.Delay(_random.Next(least, most));
}
