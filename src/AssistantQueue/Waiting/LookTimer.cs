namespace AssistantQueue.Waiting;

/// <summary>When a loop looks next: at the time its last look gave, or earlier when it is told to. Thread-safe.</summary>
internal sealed class LookTimer : IDisposable
{
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
