using System.Globalization;
using AssistantQueue.Store;
using StackExchange.Redis;

namespace AssistantQueue.IntegrationTests.Store;

/// <summary>Writes keys as the scripts would have left them.</summary>
internal sealed class Seed(IDatabase database, string p)
{
    private const string Layout = "1";

    /// <summary>Where the sequence numbers of seeded messages begin: an hour ago, so that new ones are larger.</summary>
    public long FirstSequence { get; set; } = (DateTimeOffset.UtcNow.ToUnixTimeMilliseconds() - 3_600_000) * 1000;

    public static long Now => DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();

    /// <summary>A list of messages with sequence numbers <see cref="FirstSequence"/>, +1, …; each text is its own body.</summary>
    public async Task<long[]> MessagesAsync(string thread, params string[] texts)
    {
        var have = await database.ListRangeAsync(p + ":messages:" + thread);
        var sum = have.Length == 0 ? 0 : long.Parse(((string)have[^1]!).Split(' ')[1], CultureInfo.InvariantCulture);
        var sequences = new List<long>();
        for (var i = 0; i < texts.Length; i++)
        {
            sum += texts[i].Length;
            sequences.Add(FirstSequence + have.Length + i);
            await database.ListRightPushAsync(p + ":messages:" + thread, $"{sequences[^1]} {sum} {texts[i].Length} {texts[i]}");
        }

        await CounterAsync("pending", texts.Length);
        await BornAsync();
        return [.. sequences];
    }

    /// <summary>A thread that waits; due in so many ms (negative: overdue).</summary>
    public async Task<long[]> WaitingAsync(string thread, long dueIn, params string[] texts)
    {
        var sequences = await MessagesAsync(thread, texts);
        await ScoreAsync("due", thread, Now + dueIn);
        return sequences;
    }

    /// <summary>A thread that runs, with the first of its messages sealed as batch b-thread.</summary>
    public async Task<Lease> RunningAsync(string thread, string[] @sealed, string[]? newer = null, long fence = 7, string worker = "w1", long leaseIn = 20_000)
    {
        var sequences = await MessagesAsync(thread, @sealed);
        await MessagesAsync(thread, newer ?? []);
        await ThreadAsync(
            thread,
            ("fence", fence), ("owner", worker), ("token", "t-" + thread), ("batch", "b-" + thread), ("first", sequences[0]), ("last", sequences[^1]),
            ("count", sequences.Length), ("deaths", 0), ("resumed", 0));
        await ScoreAsync("leases", thread, Now + leaseIn);
        await CounterAsync("active", sequences.Length);
        if (leaseIn > 0)
        {
            await WorkerAsync(worker, leaseIn);
        }

        return new Lease(thread, 0, worker, fence, "b-" + thread, 0);
    }

    /// <summary>A thread that runs with three messages sealed, "a", "not ours" and "b"; the second one's header can't be read.</summary>
    public async Task<Lease> SealedWithUnreadableSecondAsync(string thread)
    {
        var lease = await RunningAsync(thread, ["a", "x", "b"]);
        await database.ListSetByIndexAsync(p + ":messages:" + thread, 1, "not ours");
        return lease;
    }

    public Task WorkerAsync(string worker, long endsIn) => ScoreAsync("workers", worker, Now + endsIn);

    /// <summary>An open delivery, due in so many ms.</summary>
    public async Task DeliveryAsync(string thread, string batch, string body, long dueIn = -1, string kind = "r")
    {
        await database.ListRightPushAsync(p + ":delivery:" + thread, $"{batch} {kind} {Now} {body}");
        await ScoreAsync("deliveries", thread, Now + dueIn);
        await BornAsync();
    }

    public Task ThreadAsync(string thread, params (string Name, RedisValue Value)[] fields) =>
        database.HashSetAsync(p + ":thread:" + thread, [.. fields.Select(f => new HashEntry(f.Name, f.Value))]);

    public Task ScoreAsync(string set, string member, long score) => database.SortedSetAddAsync(p + ":" + set, member, score);

    public Task RemoveAsync(string set, string member) => database.SortedSetRemoveAsync(p + ":" + set, member);

    public Task CounterAsync(string name, long more) => database.HashIncrementAsync(p + ":counters", name, more);

    public Task SetCounterAsync(string name, RedisValue value) => database.HashSetAsync(p + ":counters", name, value);

    /// <summary>Something that the queue did not write, in place of a key of its own.</summary>
    public async Task ForeignAsync(string key)
    {
        await database.KeyDeleteAsync(p + ":" + key);
        await database.StringSetAsync(p + ":" + key, "foreign");
    }

    private Task BornAsync() => database.HashSetAsync(p + ":counters", [new("layout", Layout), new("born", 1)]);
}
