using Microsoft.Extensions.Logging;

namespace AssistantQueue.Emulators;

/// <summary>What all parts of the emulator share: options, clock, state, ledger, faults, and the work that goes on behind the requests.</summary>
internal sealed class EmulatorCore : IAsyncDisposable
{
    private readonly CancellationTokenSource stopping = new();
    private readonly Lock workGate = new();
    private readonly HashSet<Task> work = [];
    private readonly Random jitter;
    private readonly ILogger logger;

    public EmulatorCore(OpenAIEmulatorOptions options, TimeProvider time, ILogger logger)
    {
        Options = options;
        Time = time;
        this.logger = logger;
        jitter = new Random(options.Seed);
        if (options.DataDirectory is { } directory)
        {
            Directory.CreateDirectory(directory);
        }

        Ledger = new OpenAILedger(options.DataDirectory, time);
        State = new EmulatorState(options.DataDirectory);
    }

    public OpenAIEmulatorOptions Options { get; }

    public TimeProvider Time { get; }

    public EmulatorState State { get; }

    public OpenAILedger Ledger { get; }

    public OpenAIFaults Faults { get; } = new();

    /// <summary>Gets the token that ends all work when the emulator stops; what was under way stays as it is, for the next start.</summary>
    public CancellationToken Stopping => stopping.Token;

    public DateTimeOffset Now => Time.GetUtcNow();

    public long Seconds => Now.ToUnixTimeSeconds();

    public TimeSpan NextLatency()
    {
        lock (workGate)
        {
            return Options.Latency + (Options.LatencyJitter * jitter.NextDouble());
        }
    }

    /// <summary>Starts work that nobody waits for; its failure is logged, and it is waited for at the stop.</summary>
    public void Begin(string id, Func<Task> action)
    {
        var task = Task.Run(async () =>
        {
            try
            {
                await action().ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (Stopping.IsCancellationRequested)
            {
                // stopped, not failed: the next start goes on with it
            }
            catch (Exception e)
            {
                Log.EmulatedRunBroke(logger, id, e);
            }
        });

        lock (workGate)
        {
            work.Add(task);
        }

        _ = task.ContinueWith(
            t =>
            {
                lock (workGate)
                {
                    work.Remove(t);
                }
            },
            CancellationToken.None,
            TaskContinuationOptions.ExecuteSynchronously,
            TaskScheduler.Default);
    }

    public void Broke(string path, Exception e) => Log.EmulatedRequestBroke(logger, path, e);

    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync().ConfigureAwait(false);
        Task[] rest;
        lock (workGate)
        {
            rest = [.. work];
        }

        await Task.WhenAll(rest).ConfigureAwait(false);
        State.Dispose();
        Ledger.Dispose();
        stopping.Dispose();
    }
}
