namespace AssistantQueue.Tests.OpenAIBackends;

/// <summary>A clock on which every wait is over at once, and has taken as long as it was meant to. Waits of a minute cost a test nothing.</summary>
/// <param name="ahead">How far the clock goes before the other machines'.</param>
internal sealed class HurriedTime(TimeSpan ahead = default) : TimeProvider
{
    private static readonly DateTimeOffset Start = new(2026, 11, 1, 12, 0, 0, TimeSpan.Zero);
    private long _waited;

    /// <summary>Gets how long everybody has waited.</summary>
    public TimeSpan Waited => TimeSpan.FromTicks(Interlocked.Read(ref _waited));

    public override DateTimeOffset GetUtcNow() => Start + ahead + Waited;

    public override long GetTimestamp() => Waited.Ticks;

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) => new Hurried(this, callback, state, dueTime);

    private sealed class Hurried : ITimer
    {
        private readonly HurriedTime _time;
        private readonly Timer _timer;

        public Hurried(HurriedTime time, TimerCallback callback, object? state, TimeSpan dueTime)
        {
            _time = time;
            _timer = new Timer(callback, state, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
            Change(dueTime, Timeout.InfiniteTimeSpan);
        }

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            if (dueTime == Timeout.InfiniteTimeSpan)
            {
                return _timer.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
            }

            Interlocked.Add(ref _time._waited, dueTime.Ticks);
            // a millisecond of the real clock lets the other side do something meanwhile
            return _timer.Change(TimeSpan.FromMilliseconds(1), Timeout.InfiniteTimeSpan);
        }

        public void Dispose() => _timer.Dispose();

        public ValueTask DisposeAsync() => _timer.DisposeAsync();
    }
}
