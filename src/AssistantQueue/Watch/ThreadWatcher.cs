using System.Runtime.CompilerServices;
using AssistantQueue.Store;
using AssistantQueue.Waiting;
using Microsoft.Extensions.Logging;
using Polly;

namespace AssistantQueue.Watch;

/// <summary>Follows threads: listens, tells what is kept, then what is announced; what announcements miss is read again. Nothing is told twice.</summary>
internal sealed class ThreadWatcher(IQueueStore store, ThreadSubscriptions subscriptions, TimeProvider time, ILogger logger)
{
    // Announcements get lost only with their connection, and its return is told; this look is for what nobody thought of.
    private static readonly TimeSpan SafetyLook = TimeSpan.FromSeconds(30);

    private readonly ResiliencePipeline _untilAnswered = StoreRetry.UntilAnswered(time, e => Log.WatchWaitsForRedis(logger, e.Message));

    public async IAsyncEnumerable<ThreadUpdate> WatchAsync(string threadId, long? after, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var inbox = new AnnouncementInbox();
        using var listener = await ListenAsync(threadId, inbox, cancellationToken);
        var history = await ReadAsync(threadId, cancellationToken);
        // A position from the future is not one of ours (Redis may have lost its data): what is kept is told.
        var last = after is { } given && given <= ThreadUpdates.NewestOf(history) ? given : after is null ? ThreadUpdates.NewestOf(history) : 0;
        var updates = ThreadUpdates.Of(threadId, history, last);
        while (true)
        {
            foreach (var update in updates)
            {
                var stamp = ThreadUpdates.StampOf(update);
                if (stamp > last)
                {
                    last = stamp;
                    yield return update;
                }
            }

            var (announcements, mustLook) = await inbox.TakeAsync(SafetyLook * (0.5 + Random.Shared.NextDouble()), time, cancellationToken);
            updates = await _untilAnswered.ExecuteAsync(
                async token => mustLook
                    ? ThreadUpdates.Of(threadId, await store.ReadHistoryAsync(threadId, token), last)
                    : await ResolveAsync(threadId, announcements, last, token),
                cancellationToken);
        }
    }

    /// <summary>The updates behind announcements: ids and replies are read, the rest is in the announcement itself.</summary>
    private async ValueTask<IReadOnlyList<ThreadUpdate>> ResolveAsync(string threadId, IReadOnlyList<ThreadAnnouncement> announcements, long last, CancellationToken cancellationToken)
    {
        var updates = new List<ThreadUpdate>();
        ThreadHistory? history = null;
        foreach (var told in announcements)
        {
            if (told.Stamp <= last)
            {
                continue;
            }

            switch (told.Kind)
            {
                case AnnouncementKind.Stored:
                    history ??= await store.ReadHistoryAsync(threadId, cancellationToken);
                    updates.Add(ThreadUpdates.Stored(threadId, ThreadUpdates.IdsBetween(history, told.FirstSequence, told.LastSequence), told.FirstSequence, told.LastSequence));
                    break;
                case AnnouncementKind.Started:
                    updates.Add(ThreadUpdates.Started(threadId, told.Stamp, told.BatchId, told.FirstSequence, told.LastSequence, (int)told.Number));
                    break;
                case AnnouncementKind.Retrying:
                    updates.Add(ThreadUpdates.Retrying(threadId, told));
                    break;
                default:
                    var found = await store.FindReplyAsync(threadId, told.LastSequence, cancellationToken);
                    if (found.State is ReplyState.Replied or ReplyState.Failed)
                    {
                        updates.Add(ThreadUpdates.Outcome(threadId, told.Stamp, found.Reply, found.Failure));
                    }

                    break;
            }
        }

        return updates;
    }

    private async Task<IDisposable> ListenAsync(string threadId, AnnouncementInbox inbox, CancellationToken cancellationToken)
    {
        try
        {
            return await subscriptions.ListenAsync(threadId, inbox.Add, cancellationToken);
        }
        catch (StoreUnavailableException e)
        {
            throw new QueueUnavailableException(e.Message, e);
        }
    }

    private async Task<ThreadHistory> ReadAsync(string threadId, CancellationToken cancellationToken)
    {
        try
        {
            return await store.ReadHistoryAsync(threadId, cancellationToken);
        }
        catch (StoreUnavailableException e)
        {
            throw new QueueUnavailableException(e.Message, e);
        }
    }
}
