namespace AssistantQueue.Worker;

/// <summary>Starts work on the pool and knows when none is under way. Thread-safe.</summary>
internal sealed class TaskTracker
{
    private readonly Lock _sync = new();
    private TaskCompletionSource _idle = Idle();
    private int _count;

    public int Count => Volatile.Read(ref _count);

    /// <summary>Starts work; it must not throw.</summary>
    public void Run(Func<Task> work)
    {
        lock (_sync)
        {
            if (_count++ == 0)
            {
                _idle = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            }
        }

        _ = Task.Run(async () =>
        {
            try
            {
                await work();
            }
            finally
            {
                lock (_sync)
                {
                    if (--_count == 0)
                    {
                        _idle.TrySetResult();
                    }
                }
            }
        });
    }

    /// <summary>Completes when nothing is under way.</summary>
    public Task WhenIdle()
    {
        lock (_sync)
        {
            return _idle.Task;
        }
    }

    private static TaskCompletionSource Idle()
    {
        var idle = new TaskCompletionSource();
        idle.SetResult();
        return idle;
    }
}
