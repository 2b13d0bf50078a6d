using System.Collections.Concurrent;
using System.Globalization;
using AssistantQueue.Store;
using StackExchange.Redis;

namespace AssistantQueue.Redis;

/// <summary>The claim step on Redis, with the renewal and the end of what it gave.</summary>
internal sealed class RedisClaim(RedisCaller caller, RedisConnection connection, Func<AssistantQueueOptions> options, TimeProvider time)
{
    private const int MaxCharactersAfterFirst = 1024 * 1024;

    // An owner that lived through an outage has renewed its record by then, and is not taken for dead.
    private static readonly TimeSpan OutageGrace = TimeSpan.FromSeconds(10);

    // How far Redis' clock is ahead of this process' monotonic one, by partition: each may lie on another server.
    private readonly ConcurrentDictionary<int, TimeSpan> _aheads = [];

    public async Task<ClaimOutcome> ClaimAsync(ClaimRequest request, CancellationToken cancellationToken)
    {
        var settings = options();
        // Before a worker's first connection nothing is known about Redis: then a death would go uncounted, and a batch that kills each new process soon after its start would never be found out.
        await connection.GetAsync(cancellationToken);
        var grace = settings.LockDuration / 2 > OutageGrace ? settings.LockDuration / 2 : OutageGrace;
        var (sentAt, sentOn) = (time.GetTimestamp(), time.GetUtcNow());
        var result = (RedisResult[])(await caller.CallAsync(
            RedisScript.Claim,
            request.Partition,
            [
                RedisValue.EmptyString, request.WorkerId, request.Token, request.Max, request.FreeSlots, request.Suspects ? "1" : "0",
                (long)settings.LockDuration.TotalMilliseconds, settings.MaxBatchMessages, settings.MaxBatchCharacters, MaxCharactersAfterFirst,
                connection.ReachableFor >= grace ? DeathsCountUntil(request.Partition, sentAt, settings.LockDuration) : 0,
                (long)settings.ReplyRetention.TotalMilliseconds, (long)settings.FailedRetention.TotalMilliseconds, (long)settings.CompletedRetention.TotalMilliseconds,
            ],
            cancellationToken))!;
        if (time.GetElapsedTime(sentAt) > settings.LockDuration / 3)
        {
            connection.ReportUnanswered();
        }

        var ahead = TimeSpan.FromMilliseconds((long)result[0]) - time.GetElapsedTime(0);
        _aheads[request.Partition] = ahead;
        var proof = new Lease("", request.Partition, request.WorkerId, 0, "", sentAt) { ProvenOn = sentOn, Length = settings.LockDuration };
        var unreadable = new ConcurrentBag<string>();
        var batches = await Task.WhenAll(result.Skip(6).Select(r => ReadBatchAsync(request, (RedisResult[])r!, proof, ahead, unreadable, cancellationToken)));
        return new ClaimOutcome(
            [.. batches.OfType<ClaimedBatch>()],
            After(result[1]),
            After(result[2]),
            (string?)result[3] == "1",
            (int)result[4],
            [.. (string[])result[5]!, .. unreadable]);
    }

    public RenewOutcome Renew(int partition, string workerId, IReadOnlyList<Lease> leases)
    {
        var length = options().LockDuration;
        var arguments = new List<RedisValue>(4 + (3 * leases.Count))
        {
            RedisValue.EmptyString, workerId, (long)length.TotalMilliseconds, leases.Count,
        };
        foreach (var lease in leases)
        {
            arguments.Add(lease.BatchId.Length > 0 ? "run" : "delivery");
            arguments.Add(lease.ThreadId);
            arguments.Add(lease.Fence);
        }

        try
        {
            var result = (RedisResult[])caller.Call(RedisScript.Renew, partition, [.. arguments])!;
            var answers = result.Skip(2).Select(a => (string)a!).Select(a => a[0] == '1' ? new Renewal(RenewAnswer.Renewed, Wish(a)) : RenewAnswer.Lost);
            return new RenewOutcome(true, [.. answers], length, After(result[0]), After(result[1]));
        }
        catch (StoreUnavailableException)
        {
            // The owner counts on: it stops by its own clock when this lasts too long.
            return new RenewOutcome(false, [.. leases.Select(_ => (Renewal)RenewAnswer.Unknown)], length);
        }
    }

    public Task LeaveAsync(int partition, string workerId, bool isGone, CancellationToken cancellationToken) =>
        caller.CallAsync(RedisScript.Leave, partition, [RedisValue.EmptyString, workerId, isGone ? "1" : "0"], cancellationToken);

    // Null when the messages are not those that were sealed: the lease is somebody else's already.
    private async Task<ClaimedBatch?> ReadBatchAsync(
        ClaimRequest request, RedisResult[] batch, Lease proof, TimeSpan ahead, ConcurrentBag<string> unreadable, CancellationToken cancellationToken)
    {
        try
        {
            return await ReadBatchAsync(request, batch, proof, ahead, cancellationToken);
        }
        catch (Exception e) when (e is FormatException or OverflowException or InvalidCastException or ArgumentException or IndexOutOfRangeException)
        {
            // Somebody else wrote into the thread's hash. The others of this claim are run; this one is looked at again when its lease ends.
            unreadable.Add((string)batch[0]!);
            return null;
        }
    }

    private async Task<ClaimedBatch?> ReadBatchAsync(ClaimRequest request, RedisResult[] batch, Lease proof, TimeSpan ahead, CancellationToken cancellationToken)
    {
        var thread = (string)batch[0]!;
        long first = (long)batch[3], last = (long)batch[4], count = (long)batch[5];
        var lines = (RedisValue[])(await caller.CallAsync(RedisScript.ClaimRead, request.Partition, [RedisValue.EmptyString, thread, count], cancellationToken))!;
        var entries = lines.Select(RedisEntry.Parse).ToList();
        if (entries.Count != count || (first != 0 && entries[0].Sequence != first) || entries[^1].Sequence != last)
        {
            return null;
        }

        var attempts = ((string)batch[6]!).Split([' ', ':'], StringSplitOptions.RemoveEmptyEntries);
        var errors = (string)batch[10]!;
        var journal = (string)batch[9]!;
        var conversation = (string[])batch[14]!;
        return new ClaimedBatch
        {
            Lease = proof with { ThreadId = thread, Fence = (long)batch[1], BatchId = (string)batch[2]! },
            FirstSequence = first,
            LastSequence = last,
            AttemptedThrough = attempts.Length == 0 ? 0 : long.Parse(attempts[0], CultureInfo.InvariantCulture),
            FailedAttempts = attempts.Length == 0 ? 0 : int.Parse(attempts[1], CultureInfo.InvariantCulture),
            ClockAhead = ahead,
            Deaths = (int)batch[7],
            IsTakeover = (string?)batch[8] == "1",
            Entries = entries,
            Journal = journal.Length == 0 ? null : journal,
            Decisions = RedisApproval.Parse((string)batch[11]!),
            Wish = Wish((string)batch[12]!),
            IsWatched = (long)batch[13] > 0,
            Errors = errors.Length == 0 ? [] : errors.Split('\n'),
            Conversation = conversation.Chunk(2).ToDictionary(pair => pair[0], pair => pair[1], StringComparer.Ordinal),
        };
    }

    private static RunWish Wish(string letters) =>
        (letters.Contains('I') ? RunWish.Interrupt : RunWish.None) | (letters.Contains('S') ? RunWish.Join : RunWish.None);

    // A claim may lie in the hands of a Redis that stands still, and be the first thing it does afterwards: then everybody's lease and record have ended.
    // Owners renew at each third, so within a third of this call's sending nobody is late because of that. Before the first answer Redis' clock isn't known.
    private long DeathsCountUntil(int partition, long sentAt, TimeSpan lockDuration) =>
        _aheads.TryGetValue(partition, out var ahead) ? (long)(time.GetElapsedTime(0, sentAt) + ahead + (lockDuration / 3)).TotalMilliseconds : long.MaxValue / 1024;

    private static TimeSpan? After(RedisResult milliseconds) => (long)milliseconds is var ms and >= 0 ? TimeSpan.FromMilliseconds(ms) : null;
}
