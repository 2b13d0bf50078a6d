namespace AssistantQueue.Waiting;

/// <summary>When a loop looks next: at the time its last look gave, or earlier when it is told to; and the loop itself. Thread-safe.</summary>
internal sealed class LookTimer : IDisposable
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(5);

    private readonly TimeProvider _time;
    private readonly DueTimer.Entry _entry;
    private readonly Lock _sync = new();
    private TaskCompletionSource _signal = NewSignal();
    private long? _wakeAt;
    private long? _plannedAt;

    public LookTimer(DueTimer timer, TimeProvider time)
    {
        _time = time;
        _entry = timer.Add(Signal);
    }

    /// <summary>Asks for a look after a time, or sooner if one is planned sooner.</summary>
    /// <remarks>Kept until a look begins at or after that time: a look under way may have read before the thing happened.</remarks>
    public void Wake(TimeSpan due = default)
    {
        lock (_sync)
        {
            var at = _time.GetTimestamp() + (long)(Math.Max(0, due.TotalSeconds) * _time.TimestampFrequency);
            if (_wakeAt <= at)
            {
                return;
            }

            _wakeAt = at;
            if (due > TimeSpan.Zero)
            {
                // Nothing is planned while a look is under way: its end plans with this wake in mind.
                if (_plannedAt > at)
                {
                    _plannedAt = at;
                    _entry.Change(due);
                }

                return;
            }
        }

        Signal();
    }

    /// <summary>Runs a loop: one round after the other, each when its time has come or somebody woke it; a round that failed is repeated after growing pauses.</summary>
    /// <param name="round">Looks once; returns how long until the next look, if nothing wakes the loop before.</param>
    /// <param name="failed">Told what a round threw; mustn't throw itself.</param>
    /// <param name="stopping">Ends the loop; the round that is under way decides how.</param>
    public async Task RunAsync(Func<Task<TimeSpan>> round, Action<Exception> failed, CancellationToken stopping)
    {
        var failures = 0;
        try
        {
            while (!stopping.IsCancellationRequested)
            {
                TimeSpan pause;
                try
                {
                    BeginLook();
                    pause = await round();
                    failures = 0;
                }
                catch (Exception e) when (e is not OperationCanceledException || !stopping.IsCancellationRequested)
                {
                    pause = Backoff.Doubled(++failures, FirstPause, LongestPause);
                    failed(e);
                }

                await WaitAsync(pause, stopping);
            }
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            // Told to stop.
        }
    }

    /// <summary>A look begins: what was asked for up to now is served by it.</summary>
    public void BeginLook()
    {
        lock (_sync)
        {
            _plannedAt = null;
            if (_wakeAt <= _time.GetTimestamp())
            {
                _wakeAt = null;
            }

            if (_signal.Task.IsCompleted)
            {
                _signal = NewSignal();
            }
        }
    }

    /// <summary>Waits until it is time to look.</summary>
    /// <param name="atMost">How long until the look that is planned.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    public async Task WaitAsync(TimeSpan atMost, CancellationToken cancellationToken)
    {
        Task told;
        lock (_sync)
        {
            var now = _time.GetTimestamp();
            var planned = now + (long)(atMost.TotalSeconds * _time.TimestampFrequency);
            _plannedAt = _wakeAt < planned ? _wakeAt : planned;
            _entry.Change(_time.GetElapsedTime(now, _plannedAt.Value));
            told = _signal.Task;
        }

        await told.WaitAsync(cancellationToken);
    }

    public void Dispose() => _entry.Dispose();

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private void Signal()
    {
        lock (_sync)
        {
            _signal.TrySetResult();
        }
    }
}
