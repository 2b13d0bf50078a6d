using System.Collections.Concurrent;

namespace AssistantQueue.IntegrationTests.Faults;

/// <summary>The life of one host of the queue: notes every crash point that it passes, and dies at one of them. Thread-safe.</summary>
/// <remarks>Once dead, none of its calls is sent and none returns, and its connections to the API are cut, as with a killed process; <see cref="Bury"/> lets what waits go.</remarks>
/// <param name="diesAt">Where it dies; null lives.</param>
internal sealed class Owner(CrashPoint? diesAt) : IDisposable
{
    private readonly ConcurrentDictionary<string, int> _calls = new();
    private readonly ConcurrentQueue<CrashPoint> _passed = new();
    private readonly CancellationTokenSource _life = new();
    private readonly TaskCompletionSource _died = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _wished = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _buried = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private TaskCompletionSource _called = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Gets every crash point that was passed.</summary>
    public IReadOnlyCollection<CrashPoint> Passed => _passed;

    /// <summary>Gets what ends with the owner.</summary>
    public CancellationToken Life => _life.Token;

    /// <summary>Gets what completes when it dies.</summary>
    public Task Died => _died.Task;

    /// <summary>Gets when it died; the end of time while it lives.</summary>
    public DateTimeOffset DiedAt { get; private set; } = DateTimeOffset.MaxValue;

    /// <summary>Gets what completes when it was told that a newer message wants something of its run.</summary>
    public Task Wished => _wished.Task;

    /// <summary>Gets whether it is dead.</summary>
    public bool IsDead => _life.IsCancellationRequested;

    /// <summary>Completes with the next call that is over.</summary>
    public Task NextCall => Volatile.Read(ref _called).Task;

    /// <summary>It was told that a newer message wants something of its run.</summary>
    public void Wish() => _wished.TrySetResult();

    /// <summary>The number of a call that is about to be made.</summary>
    public int Begin(string call) => _calls.AddOrUpdate(call, 1, (_, n) => n + 1);

    /// <summary>Passes a point; never returns to the dead.</summary>
    public async Task PassAsync(string call, int number, CrashMoment moment, int writes = 0)
    {
        if (!Lives(new(call, number, moment, writes)))
        {
            await _buried.Task;
            throw new OwnerDiedException();
        }
    }

    /// <summary>Passes a point on the calling thread.</summary>
    public void Pass(string call, int number, CrashMoment moment, int writes = 0)
    {
        if (!Lives(new(call, number, moment, writes)))
        {
            _buried.Task.Wait();
            throw new OwnerDiedException();
        }
    }

    /// <summary>Waits for what never comes, because the owner is dead.</summary>
    public async Task<Exception> WaitForBurialAsync()
    {
        await _buried.Task;
        return new OwnerDiedException();
    }

    /// <summary>Lets go of what the dead owner waits for, so that it can be cleared away.</summary>
    public void Bury()
    {
        _life.Cancel();
        _buried.TrySetResult();
    }

    public void Dispose() => _life.Dispose();

    private bool Lives(CrashPoint point)
    {
        if (IsDead)
        {
            return false;
        }

        _passed.Enqueue(point);
        if (point == diesAt)
        {
            DiedAt = DateTimeOffset.UtcNow;
            // On the pool: what ends with the owner must not run here, between the call and its answer.
            _ = _life.CancelAsync();
            _died.TrySetResult();
            return false;
        }

        if (point.Moment == CrashMoment.After)
        {
            Interlocked.Exchange(ref _called, new(TaskCreationOptions.RunContinuationsAsynchronously)).TrySetResult();
        }

        return true;
    }
}

/// <summary>What the calls of a dead owner end with when it is buried.</summary>
internal sealed class OwnerDiedException() : OperationCanceledException("The owner is dead.");
