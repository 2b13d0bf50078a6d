using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
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
                var found = (string[])(await caller.ReadAsync(
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
            var found = (RedisValue[])(await caller.ReadAsync(RedisScript.FailedRead, partition, [RedisValue.EmptyString, batchId], cancellationToken))!;
            if (found is [var failure, var lines, var journal, var delivery])
            {
                return new FailedEntry(
                    partition, batchId, failure!, lines,
                    [.. Split(lines).Select(line => RedisEntry.Parse(line))],
                    journal.IsNullOrEmpty ? null : (string?)journal,
                    delivery == "1");
            }
        }

        return null;
    }

    public async Task<FailedAnswer> EditAsync(FailedEntry entry, IReadOnlyList<StoredEntry> messages, CancellationToken cancellationToken)
    {
        using var edited = new MemoryStream();
        foreach (var (i, line) in Split(entry.Lines).Index())
        {
            if (i > 0)
            {
                edited.WriteByte((byte)'\n');
            }

            if (messages[i].Body == entry.Messages[i].Body)
            {
                // Byte for byte: it may be what nobody can read.
                edited.Write(line.Span);
            }
            else
            {
                edited.Write(Header(line.Span));
                edited.Write(Encoding.UTF8.GetBytes(messages[i].Body));
            }
        }

        return await CallAsync(RedisScript.FailedEdit, entry, [RedisValue.EmptyString, entry.BatchId, entry.Lines, edited.ToArray()], cancellationToken);
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

    private static List<ReadOnlyMemory<byte>> Split(ReadOnlyMemory<byte> lines)
    {
        var split = new List<ReadOnlyMemory<byte>>();
        foreach (var range in lines.Span.Split((byte)'\n'))
        {
            if (lines[range] is { IsEmpty: false } line)
            {
                split.Add(line);
            }
        }

        return split;
    }

    /// <summary>The three numbers before a message, with the space behind them; see <see cref="RedisEntry"/>.</summary>
    private static ReadOnlySpan<byte> Header(ReadOnlySpan<byte> line)
    {
        var length = 0;
        for (var words = 0; words < 3; words++)
        {
            length += line[length..].IndexOf((byte)' ') + 1;
        }

        return line[..length];
    }

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
