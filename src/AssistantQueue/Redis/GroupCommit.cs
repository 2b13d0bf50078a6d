namespace AssistantQueue.Redis;

/// <summary>Lets what several callers hand in while a call is under way travel together in the next one. A lone caller never waits. Thread-safe.</summary>
/// <param name="maxItems">The most items of a call.</param>
/// <param name="maxSize">The most size of a call; a larger item travels alone.</param>
/// <param name="send">Sends items and gives a result an item; when it throws, all its items fail with that.</param>
/// <param name="patience">How long items wait behind a call that isn't answered; null: for as long as it takes.</param>
internal sealed class GroupCommit<TItem, TResult>(
    int maxItems,
    int maxSize,
    Func<IReadOnlyList<GroupCommit<TItem, TResult>.Entry>, Task<IReadOnlyList<TResult>>> send,
    GroupPatience? patience = null)
{
    private readonly Lock _lock = new();
    private readonly Queue<Entry> _waiting = new();
    private ITimer? _timer;
    private long _lastAnswer;
    private bool _isSending;

    /// <summary>Hands an item in.</summary>
    /// <param name="item">The item.</param>
    /// <param name="size">Its size, in the unit of the limit.</param>
    /// <param name="cancellationToken">Takes the item back if it has not been sent yet; else only ends the waiting.</param>
    /// <returns>The item's result.</returns>
    public async Task<TResult> AddAsync(TItem item, int size, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var entry = new Entry(item, size, patience?.Time.GetTimestamp() ?? 0, cancellationToken);
        bool isFirst;
        lock (_lock)
        {
            _waiting.Enqueue(entry);
            isFirst = !_isSending;
            _isSending = true;
            if (isFirst && patience is not null)
            {
                _lastAnswer = entry.HandedIn;
                (_timer ??= patience.Time.CreateTimer(_ => GiveUpOverdue(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan))
                    .Change(GroupPatience.Look, GroupPatience.Look);
            }
        }

        if (isFirst)
        {
            // Outside the lock: the others hand in while this one writes to its socket.
            BeginToSend();
        }

        return await entry.Result.Task.WaitAsync(cancellationToken);
    }

    // A caller's context (a window's thread, a grain's scheduler) may be blocked by that caller for as long as it likes, and everybody else's calls
    // with it: the sending goes on without it. The first call is written here nevertheless, where a scheduler doesn't forbid it.
    private void BeginToSend()
    {
        if (TaskScheduler.Current != TaskScheduler.Default)
        {
            _ = Task.Run(SendAllAsync, CancellationToken.None);
            return;
        }

        var context = SynchronizationContext.Current;
        SynchronizationContext.SetSynchronizationContext(null);
        try
        {
            _ = SendAllAsync();
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(context);
        }
    }

    private async Task SendAllAsync()
    {
        while (Next() is { } entries)
        {
            try
            {
                var results = await send(entries);
                Volatile.Write(ref _lastAnswer, patience?.Time.GetTimestamp() ?? 0);
                for (var i = 0; i < entries.Count; i++)
                {
                    entries[i].Result.TrySetResult(results[i]);
                }
            }
            catch (Exception e)
            {
                // Whatever it is, it belongs to the callers; the next group is sent nevertheless.
                foreach (var entry in entries)
                {
                    entry.Result.TrySetException(e);
                }
            }
        }
    }

    private List<Entry>? Next()
    {
        lock (_lock)
        {
            var entries = new List<Entry>();
            var size = 0;
            while (_waiting.TryPeek(out var next) && entries.Count < maxItems && (entries.Count == 0 || size + next.Size <= maxSize))
            {
                _waiting.Dequeue();
                if (next.CancellationToken.IsCancellationRequested)
                {
                    next.Result.TrySetCanceled(next.CancellationToken);
                    continue;
                }

                entries.Add(next);
                size += next.Size;
            }

            _isSending = entries.Count > 0;
            if (!_isSending)
            {
                _timer?.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
            }

            return _isSending ? entries : null;
        }
    }

    // While answers come, however many wait, nobody is given up.
    private void GiveUpOverdue()
    {
        var (time, limit) = (patience!.Time, patience.Limit());
        var overdue = new List<Entry>();
        lock (_lock)
        {
            if (time.GetElapsedTime(Volatile.Read(ref _lastAnswer)) < limit)
            {
                return;
            }

            while (_waiting.TryPeek(out var oldest) && time.GetElapsedTime(oldest.HandedIn) >= limit)
            {
                overdue.Add(_waiting.Dequeue());
            }
        }

        foreach (var entry in overdue)
        {
            entry.Result.TrySetException(patience.Refusal(limit));
        }
    }

    /// <summary>An item on its way.</summary>
    internal sealed record Entry(TItem Item, int Size, long HandedIn, CancellationToken CancellationToken)
    {
        public TaskCompletionSource<TResult> Result { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}

/// <summary>How long items wait, unsent, behind a call that isn't answered.</summary>
/// <param name="Time">The clock.</param>
/// <param name="Limit">How long, as it is set now.</param>
/// <param name="Refusal">What an item is refused with then; is given the limit.</param>
internal sealed record GroupPatience(TimeProvider Time, Func<TimeSpan> Limit, Func<TimeSpan, Exception> Refusal)
{
    /// <summary>How often is looked for those who have waited too long.</summary>
    public static readonly TimeSpan Look = TimeSpan.FromMilliseconds(250);
}
