using System.Globalization;
using AssistantQueue.Store;
using StackExchange.Redis;

namespace AssistantQueue.Redis;

/// <summary>The enqueue step on Redis: what waits together travels together, and a call is repeated with its request id until its outcome is known.</summary>
internal sealed class RedisEnqueue
{
    private const int HeadArguments = 11;
    private const int MaxGroup = 128;
    private const int MaxGroupCharacters = 256 * 1024;

    private static readonly TimeSpan GiveUpAfter = TimeSpan.FromSeconds(60);

    private readonly RedisCaller _caller;
    private readonly RedisReplicas _replicas;
    private readonly Func<AssistantQueueOptions> _options;
    private readonly TimeProvider _time;
    private readonly GroupCommit<EnqueueUnit, EnqueueOutcome>[] _groups;

    // What each partition's call under way was last answered or failed with; null when nothing went wrong.
    private readonly string?[] _troubles;

    public RedisEnqueue(RedisCaller caller, RedisReplicas replicas, RedisKeys keys, Func<AssistantQueueOptions> options, TimeProvider time)
    {
        (_caller, _replicas, _options, _time) = (caller, replicas, options, time);
        _troubles = new string?[keys.Count];
        _groups = [.. Enumerable.Range(0, keys.Count).Select(partition =>
            new GroupCommit<EnqueueUnit, EnqueueOutcome>(MaxGroup, MaxGroupCharacters, entries => SendAsync(partition, entries), Patience(partition)))];
    }

    public Task<EnqueueOutcome> EnqueueAsync(int partition, EnqueueUnit unit, CancellationToken cancellationToken) =>
        _groups[partition].AddAsync(unit, unit.Messages.Sum(m => m.Body.Length), cancellationToken);

    public async Task HoldBackAsync(int partition, string threadId, CancellationToken cancellationToken)
    {
        var options = _options();
        await _caller.CallAsync(
            RedisScript.Typing,
            partition,
            [RedisValue.EmptyString, threadId, Milliseconds(options.MessageDelay), Milliseconds(options.MaxMessageDelay)],
            cancellationToken);
    }

    private async Task<IReadOnlyList<EnqueueOutcome>> SendAsync(int partition, IReadOnlyList<GroupCommit<EnqueueUnit, EnqueueOutcome>.Entry> entries)
    {
        var units = entries.Select(e => e.Item).ToList();
        var options = _options();
        var began = _time.GetTimestamp();
        var mayBeStored = false;
        var pipeline = Repeat.While(_time, failure =>
        {
            mayBeStored |= failure.MayHaveBeenDone;
            _troubles[partition] = failure.Message;
            var limit = failure.IsRefusal && !mayBeStored ? TimeSpan.Zero : mayBeStored ? GiveUpAfter : options.ConnectTimeout;
            return _time.GetElapsedTime(began) < limit;
        });
        var arguments = Arguments(units, options);
        try
        {
            var result = await pipeline.ExecuteAsync(
                async token => await _caller.CallAsync(RedisScript.Enqueue, partition, arguments, _replicas.For(options.Durability), token));
            _troubles[partition] = null;
            return Parse((string)result!, units);
        }
        catch (StoreUnavailableException e) when (mayBeStored)
        {
            throw new EnqueueOutcomeUnknownException(
                $"Redis did not say within {GiveUpAfter.TotalSeconds:0} s whether it stored the messages. Enqueueing again with the same MessageId is safe.", e);
        }
        catch (StoreUnavailableException e)
        {
            throw new QueueUnavailableException($"{e.Message} Nothing was stored.", e);
        }
    }

    // Without it, a thousand callers behind a Redis that stands still would each wait for all the groups before theirs, a minute a group.
    private GroupPatience Patience(int partition) => new(
        _time,
        () => _options().ConnectTimeout,
        limit => new QueueUnavailableException(
            $"Redis has not taken the messages before these for {limit.TotalSeconds:0.###} s (ConnectTimeout), so these were not sent{Why(_troubles[partition])}. Nothing was stored."));

    private static string Why(string? trouble) => trouble is null ? "" : $" (its last answer: {trouble.TrimEnd('.')})";

    private static RedisValue[] Arguments(List<EnqueueUnit> units, AssistantQueueOptions options)
    {
        var arguments = new List<RedisValue>(HeadArguments + units.Sum(u => 2 + (7 * u.Messages.Count)))
        {
            RedisValue.EmptyString,
            Guid.NewGuid().ToString("N"),
            Milliseconds(RedisQueueStore.RequestRetention),
            Milliseconds(options.MessageDelay),
            options.Window == WindowKind.Sliding ? "sliding" : "fixed",
            Milliseconds(options.MaxMessageDelay),
            options.MaxBatchMessages,
            options.MaxBatchCharacters,
            options.MaxPendingMessages,
            Milliseconds(options.DeduplicationWindow),
            units.Count,
        };
        foreach (var unit in units)
        {
            arguments.Add(unit.ThreadId);
            arguments.Add(unit.Messages.Count);
            foreach (var message in unit.Messages)
            {
                arguments.Add(message.MessageId);
                arguments.Add(message.IsDeduplicated ? "1" : "0");
                arguments.Add(message.Delay is { } delay ? Milliseconds(delay) : RedisValue.EmptyString);
                arguments.Add(message.Flush ? "1" : "0");
                arguments.Add(Letter(message.WhenBusy));
                arguments.Add(message.Characters);
                arguments.Add(message.Body);
            }
        }

        return [.. arguments];
    }

    private static List<EnqueueOutcome> Parse(string outcome, List<EnqueueUnit> units)
    {
        var lines = outcome.Split('\n');
        return [.. units.Select((unit, i) => lines[i] switch
        {
            "F" => new EnqueueOutcome(EnqueueStatus.ThreadFull, []),
            "C" => new EnqueueOutcome(EnqueueStatus.Corrupt, []),
            "B" => new EnqueueOutcome(EnqueueStatus.Busy, []),
            var stored => new EnqueueOutcome(EnqueueStatus.Stored, [.. stored[2..].Split(' ').Select(Receipt)]),
        })];
    }

    // sequence:due:duplicate
    private static StoredReceipt Receipt(string word)
    {
        var parts = word.Split(':');
        var due = long.Parse(parts[1], CultureInfo.InvariantCulture);
        return new StoredReceipt(
            long.Parse(parts[0], CultureInfo.InvariantCulture),
            due == 0 ? null : DateTimeOffset.FromUnixTimeMilliseconds(due),
            parts[2] == "1");
    }

    private static string Letter(BusyAction action) => action switch
    {
        BusyAction.Interrupt => "I",
        BusyAction.Reject => "R",
        BusyAction.Steer => "S",
        _ => "C",
    };

    private static long Milliseconds(TimeSpan span) => (long)span.TotalMilliseconds;
}
