using System.Globalization;
using System.Text.Json;
using AssistantQueue.Store;

namespace AssistantQueue.Watch;

/// <summary>Turns what the store keeps and announces into a thread's updates. Positions are the store's stamps. Pure.</summary>
internal static class ThreadUpdates
{
    /// <summary>The kept updates that are newer than a position, in their order; of a history that has more, those up to where it ends (<see cref="EndOf"/>).</summary>
    public static IReadOnlyList<ThreadUpdate> Of(string threadId, ThreadHistory history, long after)
    {
        var messages = MessagesOf(history, after);
        var updates = new List<(long Stamp, ThreadUpdate Update)>();
        foreach (var (sequence, id) in messages.Where(m => m.Sequence > after))
        {
            updates.Add((sequence, Stored(threadId, [id], sequence, sequence)));
        }

        foreach (var outcome in history.Outcomes.Where(o => o.Stamp > after))
        {
            updates.Add((outcome.Stamp, Outcome(threadId, outcome.Stamp, outcome.Reply, outcome.Failure)));
        }

        foreach (var told in EventsOf(history).Where(e => e.Stamp > after))
        {
            updates.Add((told.Stamp, Event(threadId, told, history.Approval, messages)));
        }

        // The event of a request that still waits may have expired.
        if (history.Approval is { } approval && approval.Stamp > after && updates.TrueForAll(u => u.Stamp != approval.Stamp))
        {
            updates.Add((approval.Stamp, Approval(threadId, approval)));
        }

        var end = EndOf(history);
        return [.. updates.Where(u => u.Stamp <= end).OrderBy(u => u.Stamp).Select(u => u.Update)];
    }

    /// <summary>Up to where a history is known; the rest is read from there.</summary>
    public static long EndOf(ThreadHistory history) => history.HasMore ? history.Waiting[^1].Sequence : long.MaxValue;

    /// <summary>The newest place in what is kept.</summary>
    public static long NewestOf(ThreadHistory history) =>
        new[] { history.Now, history.Running?.Stamp ?? 0, history.Approval?.Stamp ?? 0, history.LastRun?.Stamp ?? 0 }
            .Concat(history.Waiting.Select(e => e.Sequence))
            .Concat(history.Outcomes.Select(o => o.Stamp))
            .Concat((history.Events ?? []).Select(e => e.Stamp))
            .Max();

    /// <summary>Whether a position is not, or no longer, in the history: from a Redis that lost its data since, or older than something that is not kept any more.</summary>
    public static bool IsUnknown(ThreadHistory history, long stamp, TimeSpan retention)
    {
        if (stamp == 0)
        {
            return false;
        }

        // Outcomes expire together, so one whose run had begun by then proves that the later ones are all there, but for those beyond the number that is kept.
        var reachesBack = history.Outcomes is [var oldest, ..] && oldest.Began.Stamp <= stamp;
        var isTrimmed = (history.Outcomes.Count >= ThreadHistory.KeptOutcomes && !reachesBack)
            || (history.Events is { Count: >= ThreadHistory.KeptEvents } events && events[0].Stamp > stamp);
        var mayHaveExpired = !reachesBack && stamp < history.Now - (retention.Ticks / TimeSpan.TicksPerMicrosecond);
        return IsFromTheFuture(history, stamp) || isTrimmed || mayHaveExpired;
    }

    /// <summary>Whether a position can't be one of ours: Redis may have lost its data.</summary>
    public static bool IsFromTheFuture(ThreadHistory history, long stamp) => stamp > NewestOf(history);

    /// <summary>Says that something before what follows is missing. Its watcher comes again with the position that it gave.</summary>
    public static UpdatesSkipped Skipped(string threadId, WatchPosition after) => new() { ThreadId = threadId, Position = Position(after.Stamp, after.Item) };

    public static MessagesStored Stored(string threadId, IReadOnlyList<string> ids, long first, long last) =>
        new() { ThreadId = threadId, Position = Position(last), MessageIds = ids, FirstSequence = first, LastSequence = last };

    public static BatchStarted Started(string threadId, in ThreadAnnouncement told, IReadOnlyList<string> ids) => new()
    {
        ThreadId = threadId,
        Position = Position(told.Stamp),
        BatchId = told.BatchId,
        FirstSequence = told.FirstSequence,
        LastSequence = told.LastSequence,
        MessageIds = ids,
        Attempt = (int)told.Number,
    };

    public static MessagesJoined Joined(string threadId, in ThreadAnnouncement told, IReadOnlyList<string> ids) => new()
    {
        ThreadId = threadId,
        Position = Position(told.Stamp),
        BatchId = told.BatchId,
        MessageIds = ids,
        FirstSequence = told.FirstSequence,
        LastSequence = told.LastSequence,
    };

    public static BatchRetrying Retrying(string threadId, in ThreadAnnouncement told) => new()
    {
        ThreadId = threadId,
        Position = Position(told.Stamp),
        BatchId = told.BatchId,
        RetryAt = DateTimeOffset.FromUnixTimeMilliseconds(told.Number),
    };

    public static BatchInterrupted Interrupted(string threadId, in ThreadAnnouncement told)
    {
        var text = told.More.Split(' ', 2);
        return new BatchInterrupted
        {
            ThreadId = threadId,
            Position = Position(told.Stamp),
            BatchId = told.BatchId,
            FirstSequence = told.FirstSequence,
            LastSequence = told.LastSequence,
            TextOffset = text.Length == 2 ? int.Parse(text[0], CultureInfo.InvariantCulture) : 0,
            Text = text.Length == 2 ? text[1] : "",
        };
    }

    /// <summary>A request for approval that still waits.</summary>
    public static ApprovalRequested Approval(string threadId, HistoryApproval approval)
    {
        var calls = JsonSerializer.Deserialize(approval.Journal, StoreJson.Journal)?.LastRound?.Calls ?? [];
        return Approval(
            threadId,
            approval.Stamp,
            approval.BatchId,
            calls.Where(c => c.State == ToolCallState.AwaitingApproval).Select(c => (c.CallId, c.Name, c.Arguments)));
    }

    /// <summary>A request for approval as it was told; long arguments are only in one that still waits.</summary>
    public static ApprovalRequested Approval(string threadId, in ThreadAnnouncement told)
    {
        var calls = told.More.Length == 0 ? [] : JsonSerializer.Deserialize(told.More, StoreJson.Live) ?? [];
        return Approval(threadId, told.Stamp, told.BatchId, calls.Select(c => (c.CallId ?? "", c.Name ?? "", c.Text)));
    }

    /// <summary>What a run told while it is under way. Its place is behind the last update that is kept, by the number of the item.</summary>
    public static ThreadUpdate Live(string threadId, string batchId, long last, LiveItem item)
    {
        var position = Position(last, item.Index);
        return item.Kind switch
        {
            LiveKind.Text => new TextDelta { ThreadId = threadId, Position = position, BatchId = batchId, Offset = item.Offset, Text = item.Text ?? "" },
            LiveKind.ToolCalled => new ToolCalled { ThreadId = threadId, Position = position, BatchId = batchId, CallId = item.CallId ?? "", Name = item.Name ?? "", Arguments = item.Text },
            LiveKind.ToolAnswered => new ToolAnswered { ThreadId = threadId, Position = position, BatchId = batchId, CallId = item.CallId ?? "", Name = item.Name ?? "", IsError = item.IsError },
            _ => new UpdatesSkipped { ThreadId = threadId, Position = position, BatchId = batchId },
        };
    }

    public static ThreadUpdate Outcome(string threadId, long stamp, string? reply, string? failure) => reply is not null
        ? new BatchReplied { ThreadId = threadId, Position = Position(stamp), Reply = JsonSerializer.Deserialize(reply, StoreJson.Reply)! }
        : new BatchFailed { ThreadId = threadId, Position = Position(stamp), Failure = JsonSerializer.Deserialize(failure!, StoreJson.Failure)! };

    public static string IdOf(StoredEntry entry)
    {
        try
        {
            return JsonSerializer.Deserialize(entry.Body, StoreJson.Message)?.MessageId ?? "";
        }
        catch (JsonException)
        {
            // A corrupt entry has no id; it fails when it is run.
            return "";
        }
    }

    /// <summary>The ids of messages, whether they wait or are in an outcome behind the position.</summary>
    public static IReadOnlyList<string> IdsBetween(ThreadHistory history, long after, long first, long last) => IdsBetween(MessagesOf(history, after), first, last);

    public static long StampOf(ThreadUpdate update) => long.Parse(update.Position.AsSpan(0, update.Position.IndexOf('.') is var dot and >= 0 ? dot : update.Position.Length), CultureInfo.InvariantCulture);

    /// <summary>The update with the items in its position that its watcher has of the run under way, so that it goes on behind them when it comes again.</summary>
    public static ThreadUpdate Behind(ThreadUpdate update, RunFollower run) =>
        run.Fence > 0 && run.Item > 0 && run.Fence <= StampOf(update) ? update with { Position = Position(StampOf(update), run.Item) } : update;

    /// <exception cref="ArgumentException">Not a position.</exception>
    public static WatchPosition? ParsePosition(string? position, string parameter)
    {
        if (position is null)
        {
            return null;
        }

        var parts = position.Split('.', 2);
        var item = 0;
        return long.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out var stamp)
            && (parts.Length == 1 || int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out item))
                ? new WatchPosition(stamp, item)
                : throw new ArgumentException($"'{position}' is not the position of an update.", parameter);
    }

    private static string Position(long stamp, int item = 0) =>
        item > 0 ? string.Create(CultureInfo.InvariantCulture, $"{stamp}.{item}") : stamp.ToString(CultureInfo.InvariantCulture);

    private static List<string> IdsBetween(List<(long Sequence, string Id)> messages, long first, long last) =>
        [.. messages.Where(m => first <= m.Sequence && m.Sequence <= last).Select(m => m.Id)];

    // In their order, each once; a message that can't be read has no number, and one that an operator lets be tried again may be in two outcomes.
    private static List<(long Sequence, string Id)> MessagesOf(ThreadHistory history, long after)
    {
        IEnumerable<(long Sequence, string Id)> waiting = history.Waiting.Select(e => (e.Sequence, IdOf(e)));
        IEnumerable<(long Sequence, string Id)> answered = history.Outcomes.Where(o => o.Stamp > after).SelectMany(o => o.Sequences.Zip(IdsIn(o)));
        return [.. waiting.Concat(answered).Where(m => m.Sequence > 0).DistinctBy(m => m.Sequence).OrderBy(m => m.Sequence)];
    }

    private static IReadOnlyList<string> IdsIn(HistoryOutcome outcome) => Outcome("", outcome.Stamp, outcome.Reply, outcome.Failure) switch
    {
        BatchReplied { Reply.MessageIds: var ids } => ids,
        BatchFailed { Failure.MessageIds: var ids } => ids,
        _ => [],
    };

    // Beginnings are kept where they cost least: the last of a batch with its outcome, or with the thread as long as there is none, earlier ones as events.
    // Of batches whose outcomes are not kept any more nothing is told.
    private static IEnumerable<ThreadAnnouncement> EventsOf(ThreadHistory history)
    {
        var events = (history.Events ?? []).Concat(history.Outcomes.Select(o => o.Began));
        if (history.LastRun is { } run)
        {
            events = events.Append(run);
        }

        return events
            .Where(e => history.Outcomes is not [var oldest, ..] || e.LastSequence >= oldest.FirstSequence || e.Stamp > oldest.Stamp)
            .DistinctBy(e => e.Stamp);
    }

    private static ThreadUpdate Event(string threadId, in ThreadAnnouncement told, HistoryApproval? waiting, List<(long Sequence, string Id)> messages) => told.Kind switch
    {
        AnnouncementKind.Started => Started(threadId, told, IdsBetween(messages, told.FirstSequence, told.LastSequence)),
        AnnouncementKind.Joined => Joined(threadId, told, IdsBetween(messages, told.FirstSequence, told.LastSequence)),
        AnnouncementKind.Interrupted => Interrupted(threadId, told),
        AnnouncementKind.AwaitingApproval => waiting?.Stamp == told.Stamp ? Approval(threadId, waiting) : Approval(threadId, told),
        _ => Retrying(threadId, told),
    };

    private static ApprovalRequested Approval(string threadId, long stamp, string batchId, IEnumerable<(string CallId, string Name, string? Arguments)> calls)
    {
        var position = Position(stamp);
        return new ApprovalRequested
        {
            ThreadId = threadId,
            Position = position,
            BatchId = batchId,
            Calls =
            [
                .. calls.Select(c => new ToolCalled
                {
                    ThreadId = threadId, Position = position, BatchId = batchId, CallId = c.CallId, Name = c.Name, Arguments = c.Arguments,
                }),
            ],
        };
    }
}

/// <summary>Where a watcher is: what is kept it has seen up to a stamp, and of the run under way that had begun then the items up to a number.</summary>
internal readonly record struct WatchPosition(long Stamp, int Item);
