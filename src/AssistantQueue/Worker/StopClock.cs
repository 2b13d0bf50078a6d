namespace AssistantQueue.Worker;

/// <summary>Divides the host's shutdown time, counted from the moment at which the host began to stop.</summary>
internal sealed class StopClock(TimeSpan shutdownTimeout, TimeProvider time)
{
    private long _startedAt;

    /// <summary>When runs that can't be adopted are given back: 5 s before the end; with short times at half of it.</summary>
    public TimeSpan Leave { get; } = Max(shutdownTimeout - TimeSpan.FromSeconds(5), shutdownTimeout / 2);

    /// <summary>When nothing is written any more: what is left goes to the worker's record and the host.</summary>
    public TimeSpan Over { get; } = Max(shutdownTimeout - TimeSpan.FromSeconds(2), shutdownTimeout * 0.8);

    /// <summary>Begins to count; again changes nothing.</summary>
    public void Start() => Interlocked.CompareExchange(ref _startedAt, time.GetTimestamp(), 0);

    /// <summary>Waits for work until a time after the start.</summary>
    /// <returns>Whether the work ended in time.</returns>
    public async Task<bool> WaitAsync(Task work, TimeSpan until, CancellationToken cancellationToken)
    {
        var remaining = until - time.GetElapsedTime(Volatile.Read(ref _startedAt));
        await work.WaitAsync(remaining > TimeSpan.Zero ? remaining : TimeSpan.Zero, time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return work.IsCompleted;
    }

    private static TimeSpan Max(TimeSpan a, TimeSpan b) => a > b ? a : b;
}
