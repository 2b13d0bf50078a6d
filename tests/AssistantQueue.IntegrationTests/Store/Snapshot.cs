using System.Globalization;
using StackExchange.Redis;

namespace AssistantQueue.IntegrationTests.Store;

/// <summary>Every key of a prefix with its type and content, so that a test can say what a call changed and that it changed nothing else.</summary>
internal sealed class Snapshot
{
    private readonly SortedDictionary<string, string> _keys = new(StringComparer.Ordinal);

    public IReadOnlyDictionary<string, string> Keys => _keys;

    public static async Task<Snapshot> TakeAsync(IConnectionMultiplexer connection, string prefix)
    {
        var snapshot = new Snapshot();
        var database = connection.GetDatabase();
        // All at once: hundreds of keys, and a round trip for each would be most of a test's time.
        foreach (var (key, content) in await Task.WhenAll((await NamesAsync(connection, prefix)).Select(async key => (key, await ContentAsync(database, key)))))
        {
            snapshot._keys[((string)key!)[(prefix.Length + 1)..]] = content;
        }

        return snapshot;
    }

    /// <summary>Removes every key of a prefix, so that nobody looks through them any more.</summary>
    public static async Task ForgetAsync(IConnectionMultiplexer connection, string prefix) =>
        await connection.GetDatabase().KeyDeleteAsync([.. await NamesAsync(connection, prefix)]);

    /// <summary>What differs from an earlier snapshot: '+' new, '-' gone, '~' changed. Outcomes kept for repetitions are one word.</summary>
    public string[] ChangesSince(Snapshot earlier) =>
    [
        .. _keys.Keys.Union(earlier._keys.Keys)
            .Select(key => (key, now: _keys.GetValueOrDefault(key), then: earlier._keys.GetValueOrDefault(key)))
            .Where(k => k.now != k.then)
            .Select(k => (k.then is null ? "+" : k.now is null ? "-" : "~") + (k.key.StartsWith("request:", StringComparison.Ordinal) ? "request" : k.key))
            .Order(StringComparer.Ordinal),
    ];

    private static async Task<HashSet<RedisKey>> NamesAsync(IConnectionMultiplexer connection, string prefix)
    {
        var names = new HashSet<RedisKey>();
        await foreach (var key in connection.GetServers()[0].KeysAsync(pattern: prefix.Replace("{", "?", StringComparison.Ordinal).Replace("}", "?", StringComparison.Ordinal) + ":*", pageSize: 10_000))
        {
            names.Add(key);
        }

        return names;
    }

    private static async Task<string> ContentAsync(IDatabase database, RedisKey key) => await database.KeyTypeAsync(key) switch
    {
        RedisType.String => "string " + await database.StringGetAsync(key),
        RedisType.List => "list " + string.Join(" | ", await database.ListRangeAsync(key)),
        RedisType.Hash => "hash " + string.Join(" | ", (await database.HashGetAllAsync(key)).Select(f => f.ToString()).Order(StringComparer.Ordinal)),
        RedisType.SortedSet => "zset " + string.Join(" | ", (await database.SortedSetRangeByRankWithScoresAsync(key)).Select(m => string.Create(CultureInfo.InvariantCulture, $"{m.Element} {m.Score:F0}"))),
        var other => other.ToString(),
    };
}
