using System.Globalization;
using AssistantQueue.Store;
using StackExchange.Redis;

namespace AssistantQueue.Redis;

/// <summary>What can be read of a queue: counts, replies, a thread's history.</summary>
internal sealed class RedisRead(RedisCaller caller, RedisKeys keys)
{
    // who comes for more asks again from there
    private const int MaxHistoryMessages = 500;

    public async Task<QueueStatus> GetStatusAsync(CancellationToken cancellationToken)
    {
        var sum = new QueueStatus();
        for (var partition = 0; partition < keys.Count; partition++)
        {
            var result = await caller.ReadAsync(RedisScript.Status, partition, [RedisValue.EmptyString], cancellationToken);
            var c = ((string[])result!).Select(s => Math.Max(0, long.Parse(s, CultureInfo.InvariantCulture))).ToArray();
            var waiting = Math.Min(c[4], Math.Max(0, c[0] - c[1]));
            sum = sum with
            {
                ActiveCount = sum.ActiveCount + c[1],
                WaitingCount = sum.WaitingCount + waiting,
                DelayedCount = sum.DelayedCount + Math.Max(0, c[0] - c[1] - waiting),
                CompletedCount = sum.CompletedCount + c[2],
                FailedCount = sum.FailedCount + c[3],
                ActiveThreads = sum.ActiveThreads + c[5],
                WaitingThreads = sum.WaitingThreads + c[6],
                DelayedThreads = sum.DelayedThreads + c[7],
                IsEstimate = sum.IsEstimate || c[8] == 1,
            };
        }

        return sum;
    }

    public async Task<ReplyLookup> FindReplyAsync(int partition, string threadId, long sequence, CancellationToken cancellationToken)
    {
        var found = (string)(await caller.ReadAsync(RedisScript.FindReply, partition, [RedisValue.EmptyString, threadId, sequence], cancellationToken))!;
        return found[0] switch
        {
            'r' => new ReplyLookup(ReplyState.Replied, Reply: found[2..]),
            'f' => new ReplyLookup(ReplyState.Failed, Failure: found[2..]),
            'p' => new ReplyLookup(ReplyState.Pending),
            _ => new ReplyLookup(ReplyState.Unknown),
        };
    }

    public async Task<long?> FindMessageAsync(int partition, string threadId, string messageId, CancellationToken cancellationToken)
    {
        var found = (string)(await caller.ReadAsync(RedisScript.FindMessage, partition, [RedisValue.EmptyString, threadId, messageId], cancellationToken))!;
        return found.Length == 0 ? null : long.Parse(found.Split(':')[0], CultureInfo.InvariantCulture);
    }

    public async Task<ThreadHistory> ReadHistoryAsync(int partition, string threadId, long after, CancellationToken cancellationToken)
    {
        var result = (RedisResult[])(await caller.ReadAsync(
            RedisScript.History, partition, [RedisValue.EmptyString, threadId, MaxHistoryMessages, after], cancellationToken))!;
        var batch = (string[])result[2]!;
        var approval = (string[])result[4]!;
        var lastRun = (string)result[7]!;
        return new ThreadHistory(
            [.. ((string[])result[1]!).Select(Outcome)],
            batch.Length == 0 ? null : new HistoryBatch(Number(batch[0]), batch[1], Number(batch[2]), Number(batch[3]), FailedAttempts(batch[4]), batch[5]),
            [.. ((RedisValue[])result[3]!).Select(RedisEntry.Parse)],
            (long)result[0],
            approval.Length == 0 ? null : new HistoryApproval(Number(approval[0]), approval[1], Number(approval[2]), Number(approval[3]), approval[4]),
            [.. ((string[])result[5]!).Select(RedisSubscriptions.Parse).OfType<ThreadAnnouncement>()])
        {
            HasMore = (string?)result[6] == "1",
            LastRun = lastRun.Length == 0 ? null : RedisSubscriptions.Parse(lastRun),
        };
    }

    // stamp, kind, first, last, batch, the run's fence, attempt and last message at its beginning, the messages' places, JSON
    private static HistoryOutcome Outcome(string kept)
    {
        var parts = kept.Split(' ', 10);
        var isReply = parts[1] == "r";
        var first = Number(parts[2]);
        return new HistoryOutcome(
            Number(parts[0]),
            first,
            Number(parts[3]),
            isReply ? parts[9] : null,
            isReply ? null : parts[9],
            new ThreadAnnouncement(Number(parts[5]), AnnouncementKind.Started, parts[4], first, Number(parts[7]), Number(parts[6])),
            Places(parts[8]));
    }

    // Each number is the distance from the one before.
    private static List<long> Places(string distances)
    {
        var places = new List<long>();
        foreach (var distance in distances == "-" ? [] : distances.Split(','))
        {
            places.Add((places is [.., var before] ? before : 0) + Number(distance));
        }

        return places;
    }

    private static int FailedAttempts(string attempts) =>
        attempts.Split([' ', ':'], StringSplitOptions.RemoveEmptyEntries) is [_, var count, ..] ? int.Parse(count, CultureInfo.InvariantCulture) : 0;

    private static long Number(string text) => long.Parse(text, CultureInfo.InvariantCulture);
}
