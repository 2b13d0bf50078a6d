using System.Globalization;
using AssistantQueue.Store;
using StackExchange.Redis;

namespace AssistantQueue.Redis;

/// <summary>The journal, joining and the finishing steps on Redis. A finish is repeated with its request id until its outcome is known or its caller's lease is over.</summary>
internal sealed class RedisFinish
{
    private const int MaxGroup = 128;
    private const int MaxGroupCharacters = 256 * 1024;

    private readonly RedisCaller _caller;
    private readonly Func<AssistantQueueOptions> _options;
    private readonly TimeProvider _time;
    private readonly GroupCommit<(Lease Lease, CompleteWrite Write), FinishAnswer>[] _completions;
    private long _revision;

    public RedisFinish(RedisCaller caller, RedisKeys keys, Func<AssistantQueueOptions> options, TimeProvider time)
    {
        (_caller, _options, _time) = (caller, options, time);
        _completions = [.. Enumerable.Range(0, keys.Count).Select(partition =>
            new GroupCommit<(Lease, CompleteWrite), FinishAnswer>(MaxGroup, MaxGroupCharacters, entries => SendCompletionsAsync(partition, entries)))];
    }

    public Task<FinishAnswer> CompleteAsync(Lease lease, CompleteWrite write, CancellationToken cancellationToken) =>
        _completions[lease.Partition].AddAsync((lease, write), write.Reply.Length + write.Conversation.Sum(change => change.Key.Length + (change.Value?.Length ?? 0)), cancellationToken);

    public async Task<bool> WriteJournalAsync(Lease lease, JournalWrite write, CancellationToken cancellationToken)
    {
        // The same journal under the same fence can be written twice, so it needs no request id; its revision keeps a late one from undoing a newer one.
        var revision = Interlocked.Increment(ref _revision);
        var answer = await RepeatAsync(
            RedisScript.Journal,
            lease.Partition,
            [
                RedisValue.EmptyString, lease.ThreadId, lease.WorkerId, lease.Fence, lease.BatchId, write.Journal, write.IsAdoptable ? "1" : "0",
                ConversationRetention(_options()), revision, .. Conversation(write.Conversation),
            ],
            () => !cancellationToken.IsCancellationRequested,
            cancellationToken);
        // Of what Redis has lost with its data nobody else is the owner; the run goes on without a journal, and hands its reply over itself.
        return Answer((string)answer!) != FinishAnswer.Lost;
    }

    public async Task<IReadOnlyList<StoredEntry>?> JoinAsync(Lease lease, int has, CancellationToken cancellationToken)
    {
        var settings = _options();
        var lines = (RedisValue[])(await _caller.CallAsync(
            RedisScript.Join,
            lease.Partition,
            [
                RedisValue.EmptyString, lease.ThreadId, lease.WorkerId, lease.Fence, lease.BatchId, has, settings.MaxBatchMessages, settings.MaxBatchCharacters,
                ReplyRetention(), Interlocked.Increment(ref _revision),
            ],
            cancellationToken))!;
        return Answer((string)lines[0]!) == FinishAnswer.Lost ? null : [.. lines.Skip(1).Select(RedisEntry.Parse)];
    }

    public Task<FinishAnswer> RetryAsync(Lease lease, RetryWrite write, CancellationToken cancellationToken) =>
        FinishAsync(RedisScript.Retry, lease, [(long)write.Delay.TotalMilliseconds, write.Attempt, write.Journal, write.IsPosted ? "1" : "0", ReplyRetention(), Known(write.BatchLast)], cancellationToken);

    public Task<FinishAnswer> ReleaseAsync(Lease lease, ReleaseWrite write, CancellationToken cancellationToken) =>
        FinishAsync(
            RedisScript.Release,
            lease,
            [(long)write.Delay.TotalMilliseconds, write.Journal ?? RedisValue.EmptyString, write.IsPosted ? "1" : "0", Hold(write.Hold), write.KnownDecisions, ReplyRetention(), write.Told, Known(write.BatchLast)],
            cancellationToken);

    public Task<FinishAnswer> FailAsync(Lease lease, FailWrite write, CancellationToken cancellationToken)
    {
        var options = _options();
        return FinishAsync(
            RedisScript.Fail,
            lease,
            [
                write.LastSequence is { } last ? last : RedisValue.EmptyString, write.Failure, write.Kind.ToString(), write.OpenDelivery ? "1" : "0",
                (long)options.ReplyRetention.TotalMilliseconds, ConversationRetention(options), (long)options.FailedRetention.TotalMilliseconds,
                write.Journal ?? RedisValue.EmptyString, Known(write.BatchLast), .. Conversation(write.Conversation),
            ],
            cancellationToken);
    }

    private async Task<FinishAnswer> FinishAsync(string script, Lease lease, RedisValue[] tail, CancellationToken cancellationToken)
    {
        RedisValue[] arguments =
        [
            RedisValue.EmptyString, Guid.NewGuid().ToString("N"), (long)RedisQueueStore.RequestRetention.TotalMilliseconds,
            lease.ThreadId, lease.WorkerId, lease.Fence, lease.BatchId, .. tail,
        ];
        var answer = await RepeatAsync(script, lease.Partition, arguments, () => !cancellationToken.IsCancellationRequested, cancellationToken);
        return Answer((string)answer!);
    }

    private async Task<IReadOnlyList<FinishAnswer>> SendCompletionsAsync(
        int partition, IReadOnlyList<GroupCommit<(Lease Lease, CompleteWrite Write), FinishAnswer>.Entry> entries)
    {
        var options = _options();
        var arguments = new List<RedisValue>(7 + (10 * entries.Count))
        {
            RedisValue.EmptyString,
            Guid.NewGuid().ToString("N"),
            (long)RedisQueueStore.RequestRetention.TotalMilliseconds,
            (long)options.ReplyRetention.TotalMilliseconds,
            ConversationRetention(options),
            (long)options.CompletedRetention.TotalMilliseconds,
            entries.Count,
        };
        foreach (var (lease, write) in entries.Select(e => e.Item))
        {
            arguments.AddRange(
            [
                lease.ThreadId, lease.WorkerId, lease.Fence, lease.BatchId, write.Reply, write.OpenDelivery ? "1" : "0", write.Keep ? "1" : "0",
                Distances(write.Sequences ?? []), Known(write.BatchLast), .. Conversation(write.Conversation),
            ]);
        }

        var answers = await RepeatAsync(
            RedisScript.Complete,
            partition,
            [.. arguments],
            () => entries.Any(e => !e.CancellationToken.IsCancellationRequested),
            CancellationToken.None);
        return [.. ((string)answers!).Split(' ').Select(Answer)];
    }

    private async Task<RedisResult> RepeatAsync(string script, int partition, RedisValue[] arguments, Func<bool> isWanted, CancellationToken cancellationToken) =>
        await Repeat.While(_time, failure => !failure.IsRefusal && isWanted())
            .ExecuteAsync(async token => await _caller.CallAsync(script, partition, arguments, token), cancellationToken);

    private long ReplyRetention() => (long)_options().ReplyRetention.TotalMilliseconds;

    // Numbers are µs, 16 digits; of a burst only the first needs them all.
    private static string Distances(IReadOnlyList<long> sequences) => sequences.Count == 0
        ? "-"
        : string.Join(',', sequences.Select((sequence, i) => (sequence - (i == 0 ? 0 : sequences[i - 1])).ToString(CultureInfo.InvariantCulture)));

    private static RedisValue Known(long? last) => last ?? RedisValue.EmptyString;

    private static string Hold(ReleaseHold hold) => hold switch
    {
        ReleaseHold.NewerVersion => "1",
        ReleaseHold.Approval => "a",
        ReleaseHold.Interrupted => "i",
        _ => "0",
    };

    private static IEnumerable<RedisValue> Conversation(IReadOnlyList<KeyValuePair<string, string?>> changes)
    {
        yield return changes.Count;
        foreach (var (name, value) in changes)
        {
            yield return value is null ? "-" : "+";
            yield return name;
            yield return value ?? "";
        }
    }

    private static long ConversationRetention(AssistantQueueOptions options) => (long)(options.ConversationRetention?.TotalMilliseconds ?? 0);

    private static FinishAnswer Answer(string word) => int.Parse(word, CultureInfo.InvariantCulture) switch
    {
        1 => FinishAnswer.Applied,
        0 => FinishAnswer.Lost,
        _ => FinishAnswer.Vanished,
    };
}
