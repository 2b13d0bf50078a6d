using AssistantQueue.Emulators;
using AssistantQueue.IntegrationTests.Pipeline;
using AssistantQueue.IntegrationTests.Redis;
using AssistantQueue.TestHost;
using Xunit.Abstractions;

namespace AssistantQueue.IntegrationTests.Faults;

/// <summary>Breaks one thing after another, as its seed says, and mends everything at the end.</summary>
/// <remarks>Its delays are the faults themselves: how long a process is frozen, a Redis away, a network held. Nothing is waited for by them.</remarks>
internal sealed class Chaos(int seed, PipelineRig rig, RedisInstance redis, TcpProxy proxy, TimeSpan lockDuration, ITestOutputHelper output) : IAsyncDisposable
{
    private const int Workers = 3;

    private readonly Random _random = new(seed);
    private readonly List<TestHostProcess> _workers = [];
    private readonly HashSet<TestHostProcess> _frozen = [];

    /// <summary>How often a worker was frozen past its lease.</summary>
    public int Frozen { get; private set; }

    /// <summary>Starts the workers, and lets the API fail now and then.</summary>
    public async Task BeginAsync(int faultSeed)
    {
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
            await rig.Emulator.AddFaultAsync(faults[i] with { Seed = faultSeed + i });
        }
    }

    public async Task RunAsync(TimeSpan duration)
    {
        using var over = new CancellationTokenSource(duration);
        while (!over.IsCancellationRequested)
        {
            await BreakAsync(_random.Next(10));
            await PauseAsync(500, 3_000);
        }
    }

    /// <summary>Mends everything; the workers go on.</summary>
    public async Task EndAsync()
    {
        await rig.Emulator.ClearFaultsAsync();
        foreach (var worker in _frozen)
        {
            worker.Thaw();
        }

        _frozen.Clear();
        output.WriteLine("mended");
    }

    // A frozen process can't be waited for.
    public ValueTask DisposeAsync()
    {
        foreach (var worker in _frozen)
        {
            worker.Thaw();
        }

        return ValueTask.CompletedTask;
    }

    private async Task BreakAsync(int what)
    {
        var at = _random.Next(_workers.Count);
        var worker = _workers[at];
        output.WriteLine($"{DateTime.UtcNow:HH:mm:ss.fff} {What(what)}");
        switch (what)
        {
            case 0 or 1:
                await worker.KillAsync();
                _workers[at] = await rig.StartWorkerAsync();
                break;
            case 2:
                worker.Freeze();
                _frozen.Add(worker);
                Frozen++;
                await Task.Delay(lockDuration + TimeSpan.FromSeconds(2));
                worker.Thaw();
                _frozen.Remove(worker);
                break;
            case 3:
                await worker.StopAsync();
                _workers[at] = await rig.StartWorkerAsync();
                break;
            case 4:
                await redis.PauseAsync();
                await PauseAsync(1_000, 8_000);
                await redis.ResumeAsync();
                break;
            case 5:
                await redis.KillAsync();
                await PauseAsync(100, 2_000);
                await redis.StartAgainAsync();
                break;
            case 6:
                await redis.StopAsync();
                await redis.StartAgainAsync();
                break;
            case 7:
                proxy.Reset();
                break;
            case 8:
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

    private static string What(int what) => what switch
    {
        0 or 1 => "kill a worker",
        2 => "freeze a worker past its lease",
        3 => "stop a worker",
        4 => "pause Redis",
        5 => "kill Redis",
        6 => "restart Redis",
        7 => "reset all connections",
        8 => "hold the network",
        _ => "delay the network",
    };

    private Task PauseAsync(int least, int most) => Task.Delay(_random.Next(least, most));
}
