using System.Globalization;
using System.Text.Json;
using AssistantQueue.Store;

namespace AssistantQueue.Watch;

/// <summary>Turns what the store keeps and announces into a thread's updates. Positions are the store's stamps. Pure.</summary>
internal static class ThreadUpdates
{
    private const int KeptOutcomes = 20;

    /// <summary>The kept updates that are newer than a position, in their order.</summary>
    public static IReadOnlyList<ThreadUpdate> Of(string threadId, ThreadHistory history, long after)
    {
        var updates = new List<(long Stamp, ThreadUpdate Update)>();
        foreach (var entry in history.Waiting.Where(e => e.Sequence > after))
        {
            updates.Add((entry.Sequence, Stored(threadId, [IdOf(entry)], entry.Sequence, entry.Sequence)));
        }

        foreach (var outcome in history.Outcomes.Where(o => o.Stamp > after))
        {
            var update = Outcome(threadId, outcome.Stamp, outcome.Reply, outcome.Failure);
            // Messages that nobody has seen waiting are told before their answer.
            if (outcome.FirstSequence > after)
            {
                updates.Add((outcome.LastSequence, Stored(threadId, MessagesOf(update), outcome.FirstSequence, outcome.LastSequence)));
            }

            updates.Add((outcome.Stamp, update));
        }

        if (history.Running is { } running && running.Stamp > after)
        {
            updates.Add((running.Stamp, Started(threadId, running.Stamp, running.BatchId, running.FirstSequence, running.LastSequence, running.FailedAttempts + 1)));
        }

        foreach (var told in (history.Events ?? []).Where(e => e.Stamp > after))
        {
            updates.Add((told.Stamp, told.Kind == AnnouncementKind.Interrupted ? Interrupted(threadId, told) : Retrying(threadId, told)));
        }

        if (history.Approval is { } approval && approval.Stamp > after)
        {
            updates.Add((approval.Stamp, Approval(threadId, approval)));
        }

        return [.. updates.OrderBy(u => u.Stamp).Select(u => u.Update)];
    }

    /// <summary>The newest place in what is kept.</summary>
    public static long NewestOf(ThreadHistory history) =>
        new[] { history.Now, history.Running?.Stamp ?? 0, history.Approval?.Stamp ?? 0 }
            .Concat(history.Waiting.Select(e => e.Sequence))
            .Concat(history.Outcomes.Select(o => o.Stamp))
            .Concat((history.Events ?? []).Select(e => e.Stamp))
            .Max();

    public static MessagesStored Stored(string threadId, IReadOnlyList<string> ids, long first, long last) =>
        new() { ThreadId = threadId, Position = Position(last), MessageIds = ids, FirstSequence = first, LastSequence = last };

    public static BatchStarted Started(string threadId, long stamp, string batchId, long first, long last, int attempt) =>
        new() { ThreadId = threadId, Position = Position(stamp), BatchId = batchId, FirstSequence = first, LastSequence = last, Attempt = attempt };

    public static BatchRetrying Retrying(string threadId, in ThreadAnnouncement told) => new()
    {
        ThreadId = threadId,
        Position = Position(told.Stamp),
        BatchId = told.BatchId,
        RetryAt = DateTimeOffset.FromUnixTimeMilliseconds(told.Number),
    };

    public static BatchInterrupted Interrupted(string threadId, in ThreadAnnouncement told) =>
        new() { ThreadId = threadId, Position = Position(told.Stamp), BatchId = told.BatchId, FirstSequence = told.FirstSequence, LastSequence = told.LastSequence };

    public static ApprovalRequested Approval(string threadId, HistoryApproval approval)
    {
        var position = Position(approval.Stamp);
        var calls = JsonSerializer.Deserialize(approval.Journal, StoreJson.Journal)?.LastRound?.Calls ?? [];
        return new ApprovalRequested
        {
            ThreadId = threadId,
            Position = position,
            BatchId = approval.BatchId,
            Calls =
            [
                .. calls.Where(c => c.State == ToolCallState.AwaitingApproval).Select(c => new ToolCalled
                {
                    ThreadId = threadId, Position = position, BatchId = approval.BatchId, CallId = c.CallId, Name = c.Name, Arguments = c.Arguments,
                }),
            ],
        };
    }

    /// <summary>Whether a position is not, or no longer, in the history: from a Redis that lost its data since, or older than the oldest of a full list of outcomes.</summary>
    public static bool IsUnknown(ThreadHistory history, long stamp) =>
        stamp > NewestOf(history) || (stamp > 0 && history.Outcomes.Count >= KeptOutcomes && history.Outcomes[0].FirstSequence > stamp);

    public static UpdatesSkipped Skipped(string threadId) => new() { ThreadId = threadId, Position = "0" };

    /// <summary>What a run told while it is under way. Its place is behind the last update that is kept, by the number of the item.</summary>
    public static ThreadUpdate Live(string threadId, string batchId, long last, LiveItem item)
    {
        var position = string.Create(CultureInfo.InvariantCulture, $"{last}.{item.Index}");
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

    /// <summary>The ids of messages that were just stored; of those that are answered already, when their answer covers just them.</summary>
    public static IReadOnlyList<string> IdsBetween(ThreadHistory history, long first, long last)
    {
        List<string> waiting = [.. history.Waiting.Where(e => first <= e.Sequence && e.Sequence <= last).Select(IdOf)];
        return waiting.Count == 0 && history.Outcomes.FirstOrDefault(o => o.FirstSequence == first && o.LastSequence == last) is { } outcome
            ? MessagesOf(Outcome("", outcome.Stamp, outcome.Reply, outcome.Failure))
            : waiting;
    }

    public static long StampOf(ThreadUpdate update) => long.Parse(update.Position.AsSpan(0, update.Position.IndexOf('.') is var dot and >= 0 ? dot : update.Position.Length), CultureInfo.InvariantCulture);

    /// <summary>The update with the items in its position that its watcher has of the run under way, so that it goes on behind them when it comes again.</summary>
    public static ThreadUpdate Behind(ThreadUpdate update, RunFollower run) =>
        run.Fence > 0 && run.Item > 0 && run.Fence <= StampOf(update)
            ? update with { Position = string.Create(CultureInfo.InvariantCulture, $"{StampOf(update)}.{run.Item}") }
            : update;

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

    private static string Position(long stamp) => stamp.ToString(CultureInfo.InvariantCulture);

    private static IReadOnlyList<string> MessagesOf(ThreadUpdate update) => update switch
    {
        BatchReplied { Reply.MessageIds: var ids } => ids,
        BatchFailed { Failure.MessageIds: var ids } => ids,
        _ => [],
    };
}

/// <summary>Where a watcher is: what is kept it has seen up to a stamp, and of the run under way that had begun then the items up to a number.</summary>
internal readonly record struct WatchPosition(long Stamp, int Item);
