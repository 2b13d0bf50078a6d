namespace AssistantQueue.Worker;

/// <summary>Divides the host's shutdown time, counted from the moment at which the host began to stop.</summary>
internal sealed class StopClock
{
    private readonly TimeProvider _time;
    private long _startedAt;

    /// <param name="shutdownTimeout">The host's shutdown time; an infinite one counts as a day.</param>
    /// <param name="time">The clock.</param>
    public StopClock(TimeSpan shutdownTimeout, TimeProvider time)
    {
        var whole = shutdownTimeout == Timeout.InfiniteTimeSpan ? TimeSpan.FromDays(1) : shutdownTimeout;
        _time = time;
        Leave = Max(whole - TimeSpan.FromSeconds(5), whole / 2);
        Over = Max(whole - TimeSpan.FromSeconds(2), whole * 0.8);
    }

    /// <summary>When runs that can't be adopted are given back: 5 s before the end; with short times at half of it.</summary>
    public TimeSpan Leave { get; }

    /// <summary>When nothing is written any more: what is left goes to the worker's record and the host.</summary>
    public TimeSpan Over { get; }

    /// <summary>Begins to count; again changes nothing.</summary>
    public void Start() => Interlocked.CompareExchange(ref _startedAt, _time.GetTimestamp(), 0);

    /// <summary>Waits for work until a time after the start.</summary>
    /// <returns>Whether the work ended in time.</returns>
    public async Task<bool> WaitAsync(Task work, TimeSpan until, CancellationToken cancellationToken)
    {
        var remaining = until - _time.GetElapsedTime(Volatile.Read(ref _startedAt));
        await work.WaitAsync(remaining > TimeSpan.Zero ? remaining : TimeSpan.Zero, _time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return work.IsCompleted;
    }

    private static TimeSpan Max(TimeSpan a, TimeSpan b) => a > b ? a : b;
}
