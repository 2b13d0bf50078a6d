namespace AssistantQueue.Finish;

/// <summary>Counts permanent failures in a row on different threads: a typo in the settings must not empty the backlog into the failed store. Thread-safe.</summary>
internal sealed class RefusalStreak
{
    /// <summary>So many different threads in a row are no coincidence.</summary>
    public const int Limit = 5;

    private readonly Lock _sync = new();
    private readonly HashSet<string> _threads = new(StringComparer.Ordinal);

    /// <summary>A thread's batch was refused for good.</summary>
    /// <returns>Whether the fault must be the backend's by now.</returns>
    public bool Add(string threadId)
    {
        lock (_sync)
        {
            if (_threads.Count < Limit)
            {
                _threads.Add(threadId);
            }

            return _threads.Count >= Limit;
        }
    }

    /// <summary>A batch was answered.</summary>
    public void End()
    {
        lock (_sync)
        {
            _threads.Clear();
        }
    }
}
