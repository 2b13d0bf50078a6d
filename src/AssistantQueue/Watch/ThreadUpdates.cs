using System.Globalization;
using System.Text.Json;
using AssistantQueue.Store;

namespace AssistantQueue.Watch;

/// <summary>Turns what the store keeps and announces into a thread's updates. Positions are the store's stamps. Pure.</summary>
internal static class ThreadUpdates
{
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

        return [.. updates.OrderBy(u => u.Stamp).Select(u => u.Update)];
    }

    /// <summary>The newest place in what is kept.</summary>
    public static long NewestOf(ThreadHistory history) =>
        new[] { history.Now, history.Running?.Stamp ?? 0 }
            .Concat(history.Waiting.Select(e => e.Sequence))
            .Concat(history.Outcomes.Select(o => o.Stamp))
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

    public static long StampOf(ThreadUpdate update) => long.Parse(update.Position, CultureInfo.InvariantCulture);

    /// <exception cref="ArgumentException">Not a position.</exception>
    public static long? ParsePosition(string? position, string parameter) =>
        position is null ? null
        : long.TryParse(position, NumberStyles.None, CultureInfo.InvariantCulture, out var stamp) ? stamp
        : throw new ArgumentException($"'{position}' is not the position of an update.", parameter);

    private static string Position(long stamp) => stamp.ToString(CultureInfo.InvariantCulture);

    private static IReadOnlyList<string> MessagesOf(ThreadUpdate update) => update switch
    {
        BatchReplied { Reply.MessageIds: var ids } => ids,
        BatchFailed { Failure.MessageIds: var ids } => ids,
        _ => [],
    };
}
