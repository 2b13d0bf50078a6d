namespace AssistantQueue.Finish;

/// <summary>Counts failures in a row on different threads that end their batches: neither a typo in the settings nor a long outage of the API may empty the backlog into the failed store. Thread-safe.</summary>
internal sealed class RefusalStreak
{
    /// <summary>So many different threads in a row are no coincidence.</summary>
    public const int Limit = 5;

    private readonly Lock _sync = new();
    private readonly HashSet<string> _threads = new(StringComparer.Ordinal);

    /// <summary>A thread's batch is to be given up.</summary>
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
