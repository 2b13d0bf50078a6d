namespace AssistantQueue.Waiting;

/// <summary>Calls back when something is due, from one dedicated thread: precise to about a millisecond, and also when the thread pool is blocked. Thread-safe.</summary>
/// <remarks>
/// Callbacks must be short and must not throw: they set a signal. A clock other than the system's (tests move it by hand) has no thread
/// to wait on, so its own timers are used.
/// </remarks>
internal sealed class DueTimer : IDisposable
{
    private readonly TimeProvider _time;
    private readonly bool _hasThread;
    private readonly object _sync = new();
    private readonly List<Entry> _entries = [];
    private bool _disposed;

    public DueTimer(TimeProvider time, string name)
    {
        _time = time;
        _hasThread = ReferenceEquals(time, TimeProvider.System);
        if (_hasThread)
        {
            // Above normal: when it is due, a busy machine should not make the thread queue behind the runs' own work.
            new Thread(Wait) { Name = name, IsBackground = true, Priority = ThreadPriority.AboveNormal }.Start();
        }
    }

    /// <summary>Adds something that can become due; it isn't until <see cref="Entry.Change"/> says when.</summary>
    public Entry Add(Action onDue)
    {
        var entry = new Entry(this, onDue);
        lock (_sync)
        {
            _entries.Add(entry);
        }

        return entry;
    }

    public void Dispose()
    {
        List<Entry> entries;
        lock (_sync)
        {
            _disposed = true;
            entries = [.. _entries];
            Monitor.PulseAll(_sync);
        }

        entries.ForEach(entry => entry.Dispose());
    }

    private void Wait()
    {
        var due = new List<Entry>();
        while (true)
        {
            lock (_sync)
            {
                if (_disposed)
                {
                    return;
                }

                var wait = TakeDueUnderLock(due);
                if (due.Count == 0)
                {
                    Monitor.Wait(_sync, wait);
                    continue;
                }
            }

            due.ForEach(entry => entry.OnDue());
            due.Clear();
        }
    }

    /// <summary>Moves what is due to the list; returns how many ms to wait when nothing is, -1 for ever.</summary>
    private int TakeDueUnderLock(List<Entry> due)
    {
        var now = _time.GetTimestamp();
        long? next = null;
        foreach (var entry in _entries)
        {
            if (entry.DueAt <= now)
            {
                due.Add(entry);
            }
            else if (entry.DueAt is { } at && !(next <= at))
            {
                next = at;
            }
        }

        // On a busy machine several may have become due meanwhile.
        due.Sort(static (a, b) => Nullable.Compare(a.DueAt, b.DueAt));
        due.ForEach(static entry => entry.DueAt = null);

        // Rounded up: a wait that ends early would only be followed by another one.
        return next is { } earliest
            ? (int)Math.Min(Math.Ceiling(_time.GetElapsedTime(now, earliest).TotalMilliseconds), int.MaxValue)
            : Timeout.Infinite;
    }

    /// <summary>One thing that can become due, once for each <see cref="Change"/>.</summary>
    internal sealed class Entry : IDisposable
    {
        private readonly DueTimer _owner;
        private readonly ITimer? _timer;

        internal Entry(DueTimer owner, Action onDue)
        {
            _owner = owner;
            OnDue = onDue;
            if (!owner._hasThread)
            {
                _timer = owner._time.CreateTimer(_ => onDue(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
            }
        }

        internal Action OnDue { get; }

        internal long? DueAt { get; set; }

        /// <summary>Says when it is due, counted from now; null: not until changed again.</summary>
        public void Change(TimeSpan? due)
        {
            if (due < TimeSpan.Zero)
            {
                due = TimeSpan.Zero;
            }

            if (_timer is not null)
            {
                _timer.Change(due ?? Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
                return;
            }

            lock (_owner._sync)
            {
                DueAt = due is { } wait
                    ? _owner._time.GetTimestamp() + (long)(wait.TotalSeconds * _owner._time.TimestampFrequency)
                    : null;
                Monitor.Pulse(_owner._sync);
            }
        }

        public void Dispose()
        {
            _timer?.Dispose();
            lock (_owner._sync)
            {
                DueAt = null;
                _owner._entries.Remove(this);
            }
        }
    }
}
