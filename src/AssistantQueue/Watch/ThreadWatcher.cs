using System.Runtime.CompilerServices;
using AssistantQueue.Store;
using AssistantQueue.Waiting;
using Microsoft.Extensions.Logging;
using Polly;

namespace AssistantQueue.Watch;

/// <summary>Follows threads: listens, tells what is kept, then what is announced; what announcements miss is read again. Nothing is told twice.</summary>
internal sealed class ThreadWatcher(IQueueStore store, ThreadSubscriptions subscriptions, Func<AssistantQueueOptions> options, TimeProvider time, ILogger logger)
{
    // Announcements get lost only with their connection, and its return is told; this look is for what nobody thought of.
    private static readonly TimeSpan SafetyLook = TimeSpan.FromSeconds(30);

    private readonly ResiliencePipeline _untilAnswered = StoreRetry.UntilAnswered(time, e => Log.WatchWaitsForRedis(logger, e.Message));

    public async IAsyncEnumerable<ThreadUpdate> WatchAsync(string threadId, WatchPosition? after, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var inbox = new AnnouncementInbox();
        using var listener = await ListenAsync(threadId, inbox, cancellationToken);
        var history = await ReadAsync(threadId, after?.Stamp ?? 0, cancellationToken);
        if (after is { Stamp: var given } && ThreadUpdates.IsUnknown(history, given, options().ReplyRetention))
        {
            if (ThreadUpdates.IsFromTheFuture(history, given))
            {
                // Not one of ours; Redis may have lost its data. What is kept is told, all of it.
                after = new WatchPosition(0, 0);
                history = await ReadAsync(threadId, 0, cancellationToken);
            }

            yield return ThreadUpdates.Skipped(threadId, after.Value);
        }

        var last = Begin(after, history);
        var run = new RunFollower(time);
        if (history.Running is { } running)
        {
            // Of a run that had begun at the position its items are known up to there; of a later one none.
            run.Begin(running.Stamp, running.BatchId, running.WorkerId, running.Stamp <= last ? after?.Item ?? 0 : 0);
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

            if (history.HasMore)
            {
                last = Math.Max(last, ThreadUpdates.EndOf(history));
                history = await _untilAnswered.ExecuteAsync(async token => await store.ReadHistoryAsync(threadId, last, token), cancellationToken);
                updates = Look(threadId, history, last, run);
                continue;
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
                    if (!mustLook)
                    {
                        return told;
                    }

                    history = await store.ReadHistoryAsync(threadId, last, token);
                    return [.. told, .. Look(threadId, history, last, run)];
                },
                cancellationToken);
        }
    }

    // From now on means: from the beginning of the run under way, whose text so far is kept.
    private static long Begin(WatchPosition? after, ThreadHistory history) =>
        after is { Stamp: var given } ? given
        : history.Running is { } running ? running.Stamp - 1
        : ThreadUpdates.NewestOf(history);

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

    /// <summary>The updates behind announcements: what a run answers and its reply are read, the rest is in the announcement itself.</summary>
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
                    // A version before this one didn't tell the ids.
                    var stored = told.More.Length > 0 ? told.More.Split('\n') : await IdsAsync(told);
                    Add(ThreadUpdates.Stored(threadId, stored, told.FirstSequence, told.LastSequence));
                    break;
                case AnnouncementKind.Started:
                    run.Begin(told.Stamp, told.BatchId, told.WorkerId);
                    Add(ThreadUpdates.Started(threadId, told, await IdsAsync(told)));
                    break;
                case AnnouncementKind.Joined:
                    Add(ThreadUpdates.Joined(threadId, told, await IdsAsync(told)));
                    break;
                case AnnouncementKind.Interrupted:
                    run.End();
                    Add(ThreadUpdates.Interrupted(threadId, told));
                    break;
                case AnnouncementKind.AwaitingApproval:
                    run.End();
                    history ??= await store.ReadHistoryAsync(threadId, last, cancellationToken);
                    Add(history.Approval is { } approval && approval.Stamp == told.Stamp
                        ? ThreadUpdates.Approval(threadId, approval)
                        : ThreadUpdates.Approval(threadId, told));
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

        // Read once for all of them: they had all happened by then.
        async ValueTask<IReadOnlyList<string>> IdsAsync(ThreadAnnouncement told)
        {
            history ??= await store.ReadHistoryAsync(threadId, last, cancellationToken);
            return ThreadUpdates.IdsBetween(history, last, told.FirstSequence, told.LastSequence);
        }
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

    private async Task<ThreadHistory> ReadAsync(string threadId, long after, CancellationToken cancellationToken)
    {
        try
        {
            return await store.ReadHistoryAsync(threadId, after, cancellationToken);
        }
        catch (StoreUnavailableException e)
        {
            throw new QueueUnavailableException(e.Message, e);
        }
    }
}
