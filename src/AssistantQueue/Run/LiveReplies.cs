using System.Collections.Concurrent;

namespace AssistantQueue.Run;

/// <summary>The runs of this process that watchers can ask, by thread and fence. Thread-safe.</summary>
internal sealed class LiveReplies
{
    private readonly ConcurrentDictionary<(string ThreadId, long Fence), LiveReply> _runs = new();

    public IDisposable Add(string threadId, long fence, LiveReply reply)
    {
        _runs[(threadId, fence)] = reply;
        return new Entry(this, (threadId, fence));
    }

    /// <summary>A watcher asks; a run that is over doesn't answer, its end was told.</summary>
    public void Ask(string threadId, long fence, int after)
    {
        if (_runs.TryGetValue((threadId, fence), out var reply))
        {
            reply.Ask(after);
        }
    }

    private sealed class Entry(LiveReplies owner, (string ThreadId, long Fence) key) : IDisposable
    {
        public void Dispose() => owner._runs.TryRemove(key, out _);
    }
}
