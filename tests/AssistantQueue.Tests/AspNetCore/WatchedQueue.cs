using System.Runtime.CompilerServices;
using System.Threading.Channels;

namespace AssistantQueue.Tests.AspNetCore;

/// <summary>A queue whose only thread says what the test writes; it records how it was watched.</summary>
internal sealed class WatchedQueue : IAssistantMessageQueue
{
    private readonly Channel<ThreadUpdate> _updates = Channel.CreateUnbounded<ThreadUpdate>();
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public string? ThreadId { get; private set; }

    public string? After { get; private set; }

    /// <summary>Completes when the watcher has let go of its enumerator.</summary>
    public Task Ended => _ended.Task;

    public void Say(ThreadUpdate update) => _updates.Writer.TryWrite(update);

    public void Break(Exception exception) => _updates.Writer.Complete(exception);

    public async IAsyncEnumerable<ThreadUpdate> WatchThreadAsync(string threadId, string? after = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        (ThreadId, After) = (threadId, after);
        if (threadId.Length > 256)
        {
            throw new ArgumentException("A thread id has 1 to 256 characters; this one has more.", nameof(threadId));
        }

        try
        {
            await foreach (var update in _updates.Reader.ReadAllAsync(cancellationToken))
            {
                yield return update;
            }
        }
        finally
        {
            _ended.TrySetResult();
        }
    }

    public Task<MessageReceipt> AddMessageToThreadAsync(string threadId, string message, string? instructions = null, CancellationToken cancellationToken = default) => throw new NotSupportedException();

    public Task<MessageReceipt> EnqueueAsync(AssistantMessage message, CancellationToken cancellationToken = default) => throw new NotSupportedException();

    public Task<IReadOnlyList<MessageReceipt>> EnqueueAsync(IReadOnlyList<AssistantMessage> messages, CancellationToken cancellationToken = default) => throw new NotSupportedException();

    public Task<AssistantReply> WaitForReplyAsync(MessageReceipt receipt, CancellationToken cancellationToken = default) => throw new NotSupportedException();

    public Task<QueueStatus> GetQueueStatusAsync(CancellationToken cancellationToken = default) => throw new NotSupportedException();

    public Task NotifyTypingAsync(string threadId, CancellationToken cancellationToken = default) => throw new NotSupportedException();
}
