namespace AssistantQueue.Waiting;

/// <summary>Lets something through once in a while, so that a lasting trouble fills no log. Thread-safe.</summary>
internal sealed class Every(TimeSpan interval, TimeProvider time)
{
    private readonly Lock _sync = new();
    private long? _last;

    /// <summary>Whether the interval is over, or this is the first time.</summary>
    public bool IsTime()
    {
        lock (_sync)
        {
            if (_last is { } last && time.GetElapsedTime(last) < interval)
            {
                return false;
            }

            _last = time.GetTimestamp();
            return true;
        }
    }

    /// <summary>The next time counts as the first again.</summary>
    public void Reset()
    {
        lock (_sync)
        {
            _last = null;
        }
    }
}
