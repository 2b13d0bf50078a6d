using AssistantQueue.Store;

namespace AssistantQueue.Watch;

/// <summary>One store subscription a thread for all who listen to it in this process. Thread-safe.</summary>
/// <param name="subscribe">Subscribes to a thread's announcements, or to those of its outcomes.</param>
internal sealed class ThreadSubscriptions(Func<string, Action<ThreadAnnouncement?>, CancellationToken, Task<IAsyncDisposable>> subscribe)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, Shared> _threads = new(StringComparer.Ordinal);

    /// <summary>Calls back with each announcement (null: some may have been lost) until disposed. The callback must be short and must not throw.</summary>
    /// <exception cref="StoreUnavailableException">Redis can't be reached.</exception>
    public async Task<IDisposable> ListenAsync(string threadId, Action<ThreadAnnouncement?> onAnnouncement, CancellationToken cancellationToken)
    {
        Listener listener;
        lock (_lock)
        {
            if (!_threads.TryGetValue(threadId, out var shared))
            {
                shared = new Shared();
                // Begun for all who will listen, so no single caller's token may end it.
                shared.Subscription = subscribe(threadId, shared.Tell, CancellationToken.None);
                _threads[threadId] = shared;
            }

            listener = new Listener(this, threadId, shared, onAnnouncement);
            shared.AddListener(listener);
        }

        try
        {
            await listener.Shared.Subscription.WaitAsync(cancellationToken);
            return listener;
        }
        catch
        {
            listener.Dispose();
            throw;
        }
    }

    private void Remove(Listener listener)
    {
        lock (_lock)
        {
            if (!listener.Shared.RemoveListener(listener))
            {
                return;
            }

            if (_threads.TryGetValue(listener.ThreadId, out var current) && current == listener.Shared)
            {
                _threads.Remove(listener.ThreadId);
            }
        }

        // Nobody waits for Redis to hear of it.
        _ = EndAsync(listener.Shared.Subscription);
    }

    private static async Task EndAsync(Task<IAsyncDisposable> subscription)
    {
        try
        {
            await (await subscription).DisposeAsync();
        }
        catch (StoreUnavailableException)
        {
            // There was no subscription; who wanted one was told.
        }
    }

    private sealed class Shared
    {
        // Replaced as a whole, so that announcements are told without a lock.
        private Listener[] _listeners = [];

        public Task<IAsyncDisposable> Subscription { get; set; } = null!;

        public void Tell(ThreadAnnouncement? announcement)
        {
            foreach (var listener in Volatile.Read(ref _listeners))
            {
                listener.OnAnnouncement(announcement);
            }
        }

        public void AddListener(Listener listener) => Volatile.Write(ref _listeners, [.. _listeners, listener]);

        /// <summary>Whether it was the last one.</summary>
        public bool RemoveListener(Listener listener)
        {
            var before = _listeners.Length;
            Volatile.Write(ref _listeners, [.. _listeners.Where(l => l != listener)]);
            return before == 1 && _listeners.Length == 0;
        }
    }

    private sealed class Listener(ThreadSubscriptions owner, string threadId, Shared shared, Action<ThreadAnnouncement?> onAnnouncement) : IDisposable
    {
        public string ThreadId { get; } = threadId;

        public Shared Shared { get; } = shared;

        public Action<ThreadAnnouncement?> OnAnnouncement { get; } = onAnnouncement;

        public void Dispose() => owner.Remove(this);
    }
}
