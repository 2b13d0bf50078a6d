using System.Globalization;
using System.Runtime.CompilerServices;
using AssistantQueue.Store;
using StackExchange.Redis;

namespace AssistantQueue.Redis;

/// <summary>The failed store on Redis. A batch's id doesn't say where it lies, so partitions are asked in turn.</summary>
internal sealed class RedisFailed(RedisCaller caller, RedisKeys keys, TimeProvider time) : IFailedStore
{
    private const int Page = 100;

    private static readonly TimeSpan GiveUpAfter = TimeSpan.FromSeconds(60);

    public async IAsyncEnumerable<string> ListAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        for (var partition = 0; partition < keys.Count; partition++)
        {
            var (score, seen) = ("+inf", 0);
            while (true)
            {
                var found = (string[])(await caller.CallAsync(
                    RedisScript.FailedList, partition, [RedisValue.EmptyString, score, seen, Page], cancellationToken))!;
                foreach (var (at, failure) in found.Chunk(2).Select(pair => (pair[0], pair[1])))
                {
                    // Batches of one millisecond share a score; those already seen of it are stepped over on the next page.
                    (score, seen) = at == score ? (score, seen + 1) : (at, 1);
                    if (failure.Length > 0)
                    {
                        yield return failure;
                    }
                }

                if (found.Length < 2 * Page)
                {
                    break;
                }
            }
        }
    }

    public async Task<FailedEntry?> ReadAsync(string batchId, CancellationToken cancellationToken)
    {
        for (var partition = 0; partition < keys.Count; partition++)
        {
            var found = (string[])(await caller.CallAsync(RedisScript.FailedRead, partition, [RedisValue.EmptyString, batchId], cancellationToken))!;
            if (found is [var failure, var lines, var journal, var delivery])
            {
                return new FailedEntry(
                    partition, batchId, failure, lines,
                    [.. lines.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => RedisEntry.Parse(line))],
                    journal.Length == 0 ? null : journal,
                    delivery == "1");
            }
        }

        return null;
    }

    public async Task<FailedAnswer> EditAsync(FailedEntry entry, IReadOnlyList<StoredEntry> messages, CancellationToken cancellationToken)
    {
        var headers = entry.Lines.Split('\n').Select(line => string.Join(' ', line.Split(' ', 4)[..3]));
        var edited = string.Join('\n', headers.Zip(messages, (header, message) => $"{header} {message.Body}"));
        return await CallAsync(RedisScript.FailedEdit, entry, [RedisValue.EmptyString, entry.BatchId, entry.Lines, edited], cancellationToken);
    }

    public Task<FailedAnswer> DiscardAsync(FailedEntry entry, CancellationToken cancellationToken) =>
        CallAsync(
            RedisScript.FailedDiscard,
            entry,
            [RedisValue.EmptyString, Guid.NewGuid().ToString("N"), (long)RedisQueueStore.RequestRetention.TotalMilliseconds, entry.BatchId],
            cancellationToken);

    public Task<FailedAnswer> RetryAsync(FailedEntry entry, string? journal, CancellationToken cancellationToken) =>
        CallAsync(
            RedisScript.FailedRetry,
            entry,
            [
                RedisValue.EmptyString, Guid.NewGuid().ToString("N"), (long)RedisQueueStore.RequestRetention.TotalMilliseconds,
                entry.BatchId, journal ?? RedisValue.EmptyString,
            ],
            cancellationToken);

    private async Task<FailedAnswer> CallAsync(string script, FailedEntry entry, RedisValue[] arguments, CancellationToken cancellationToken)
    {
        var began = time.GetTimestamp();
        var answer = await Repeat.While(time, failure => !failure.IsRefusal && time.GetElapsedTime(began) < GiveUpAfter)
            .ExecuteAsync(async token => await caller.CallAsync(script, entry.Partition, arguments, token), cancellationToken);
        return int.Parse((string)answer!, CultureInfo.InvariantCulture) switch
        {
            1 => FailedAnswer.Applied,
            0 => FailedAnswer.Busy,
            _ => FailedAnswer.Missing,
        };
    }
}
