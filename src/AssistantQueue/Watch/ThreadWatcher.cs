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

    public async IAsyncEnumerable<ThreadUpdate> WatchAsync(string threadId, WatchPosition? after, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var inbox = new AnnouncementInbox();
        using var listener = await ListenAsync(threadId, inbox, cancellationToken);
        var history = await ReadAsync(threadId, cancellationToken);
        var newest = ThreadUpdates.NewestOf(history);
        var last = Begin(after, history, newest);
        var run = new RunFollower(time);
        if (history.Running is { } running)
        {
            // Of a run that had begun at the position its items are known up to there; of a later one none.
            run.Begin(running.Stamp, running.BatchId, running.WorkerId, running.Stamp <= last ? after?.Item ?? 0 : 0);
        }

        if (after is { } wanted && ThreadUpdates.IsUnknown(history, wanted.Stamp))
        {
            yield return ThreadUpdates.Skipped(threadId);
        }

        var looked = time.GetTimestamp();
        var lookAfter = Spread();
        IReadOnlyList<ThreadUpdate> updates = [.. ThreadUpdates.Of(threadId, history, last).Select(update => ThreadUpdates.Behind(update, run))];
        while (true)
        {
            foreach (var update in updates)
            {
                if (update is TextDelta or ToolCalled or ToolAnswered or UpdatesSkipped)
                {
                    yield return update;
                    continue;
                }

                var stamp = ThreadUpdates.StampOf(update);
                if (stamp > last)
                {
                    last = stamp;
                    yield return update;
                }
            }

            await run.AskAsync(store, threadId, cancellationToken);
            var untilLook = lookAfter - time.GetElapsedTime(looked);
            var wait = run.NextQuestion is { } question && question < untilLook ? question : untilLook;
            var (announcements, hasGap) = await inbox.TakeAsync(wait > TimeSpan.Zero ? wait : TimeSpan.Zero, time, cancellationToken);
            var mustLook = hasGap || time.GetElapsedTime(looked) >= lookAfter;
            if (mustLook)
            {
                (looked, lookAfter) = (time.GetTimestamp(), Spread());
            }

            run.Mark();
            updates = await _untilAnswered.ExecuteAsync(
                async token =>
                {
                    run.GoBack();
                    var told = await ResolveAsync(threadId, announcements, last, run, token);
                    return mustLook ? [.. told, .. Look(threadId, await store.ReadHistoryAsync(threadId, token), last, run)] : told;
                },
                cancellationToken);
        }
    }

    // From now on means: from the beginning of the run under way, whose text so far is kept.
    // A position from the future is not one of ours (Redis may have lost its data): what is kept is told.
    private static long Begin(WatchPosition? after, ThreadHistory history, long newest) =>
        after is { Stamp: var given } ? (given <= newest ? given : 0)
        : history.Running is { } running ? running.Stamp - 1
        : newest;

    private static TimeSpan Spread() => SafetyLook * (0.5 + Random.Shared.NextDouble());

    private static IReadOnlyList<ThreadUpdate> Look(string threadId, ThreadHistory history, long last, RunFollower run)
    {
        if (history.Running is { } running)
        {
            run.Begin(running.Stamp, running.BatchId, running.WorkerId);
            run.MissedSome();
        }
        else
        {
            run.End();
        }

        return [.. ThreadUpdates.Of(threadId, history, last).Select(update => ThreadUpdates.Behind(update, run))];
    }

    /// <summary>The updates behind announcements: ids and replies are read, the rest is in the announcement itself.</summary>
    private async ValueTask<IReadOnlyList<ThreadUpdate>> ResolveAsync(string threadId, IReadOnlyList<ThreadAnnouncement> announcements, long last, RunFollower run, CancellationToken cancellationToken)
    {
        var updates = new List<ThreadUpdate>();
        var newest = last;
        ThreadHistory? history = null;
        foreach (var told in announcements)
        {
            if (told.Kind == AnnouncementKind.Live)
            {
                updates.AddRange(run.Take(told.Stamp, told.Live!).Select(item => ThreadUpdates.Live(threadId, run.BatchId, Math.Max(last, newest), item)));
                continue;
            }

            if (told.Stamp <= last)
            {
                continue;
            }

            newest = Math.Max(newest, told.Stamp);
            switch (told.Kind)
            {
                case AnnouncementKind.Stored:
                    history ??= await store.ReadHistoryAsync(threadId, cancellationToken);
                    Add(ThreadUpdates.Stored(threadId, ThreadUpdates.IdsBetween(history, told.FirstSequence, told.LastSequence), told.FirstSequence, told.LastSequence));
                    break;
                case AnnouncementKind.Started:
                    run.Begin(told.Stamp, told.BatchId, told.WorkerId);
                    Add(ThreadUpdates.Started(threadId, told.Stamp, told.BatchId, told.FirstSequence, told.LastSequence, (int)told.Number));
                    break;
                case AnnouncementKind.Interrupted:
                    run.End();
                    Add(ThreadUpdates.Interrupted(threadId, told));
                    break;
                case AnnouncementKind.AwaitingApproval:
                    run.End();
                    history ??= await store.ReadHistoryAsync(threadId, cancellationToken);
                    if (history.Approval is { } approval && approval.Stamp == told.Stamp)
                    {
                        Add(ThreadUpdates.Approval(threadId, approval));
                    }

                    break;
                case AnnouncementKind.Retrying:
                    run.End();
                    Add(ThreadUpdates.Retrying(threadId, told));
                    break;
                default:
                    run.End();
                    var found = await store.FindReplyAsync(threadId, told.LastSequence, cancellationToken);
                    if (found.State is ReplyState.Replied or ReplyState.Failed)
                    {
                        Add(ThreadUpdates.Outcome(threadId, told.Stamp, found.Reply, found.Failure));
                    }

                    break;
            }
        }

        return updates;

        void Add(ThreadUpdate update) => updates.Add(ThreadUpdates.Behind(update, run));
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
