using System.Globalization;
using StackExchange.Redis;

namespace AssistantQueue.IntegrationTests.Store;

/// <summary>Reads keys raw. Only while no script runs.</summary>
internal sealed class Read(IDatabase database, string p)
{
    /// <summary>The texts that wait, the sealed ones among them.</summary>
    public async Task<string[]> WaitingAsync(string thread) => [.. (await ListAsync("messages:" + thread)).Select(line => line.Split(' ', 4)[3])];

    public async Task<long[]> SequencesAsync(string thread) =>
        [.. (await ListAsync("messages:" + thread)).Select(line => long.Parse(line.Split(' ')[0], CultureInfo.InvariantCulture))];

    public async Task<string[]> ListAsync(string key) => [.. (await database.ListRangeAsync(p + ":" + key)).Select(v => (string)v!)];

    public async Task<long?> ScoreAsync(string set, string member) => (long?)await database.SortedSetScoreAsync(p + ":" + set, member);

    public async Task<string[]> MembersAsync(string set) => [.. (await database.SortedSetRangeByRankAsync(p + ":" + set)).Select(v => (string)v!)];

    public async Task<Dictionary<string, string>> HashAsync(string key) =>
        (await database.HashGetAllAsync(p + ":" + key)).ToDictionary(f => (string)f.Name!, f => (string)f.Value!);

    public async Task<long> CounterAsync(string name) => (long?)await database.HashGetAsync(p + ":counters", name) ?? 0;

    public Task<TimeSpan?> LifetimeAsync(string key) => database.KeyTimeToLiveAsync(p + ":" + key);

    public Task<bool> ExistsAsync(string key) => database.KeyExistsAsync(p + ":" + key);

    public async Task<string?> StringAsync(string key) => await database.StringGetAsync(p + ":" + key);
}
