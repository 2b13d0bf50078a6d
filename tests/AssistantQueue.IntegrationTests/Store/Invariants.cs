using System.Globalization;
using StackExchange.Redis;

namespace AssistantQueue.IntegrationTests.Store;

/// <summary>What is true of a queue's keys between any two calls.</summary>
internal static class Invariants
{
    /// <param name="connection">The Redis.</param>
    /// <param name="p">The partition.</param>
    /// <param name="counters">False where somebody else's data lies among the keys.</param>
    /// <param name="failures">False where the count of failures, which nothing sets right, may be wrong after a crash in the middle of a script.</param>
    public static async Task CheckAsync(IConnectionMultiplexer connection, string p, bool counters = true, bool failures = true)
    {
        var keys = (await Snapshot.TakeAsync(connection, p)).Keys;
        var faults = new List<string>();
        var threads = Names(keys, "messages:");
        var homes = new[] { "due", "suspects", "held", "leases" }.ToDictionary(s => s, s => Members(keys, s));
        if (counters)
        {
            foreach (var thread in threads)
            {
                var home = homes.Where(h => h.Value.Contains(thread)).Select(h => h.Key).ToList();
                if (home.Count != 1)
                {
                    faults.Add($"{thread} has messages and is in [{string.Join(", ", home)}]");
                }
            }

            foreach (var (set, members) in homes)
            {
                faults.AddRange(members.Except(threads).Select(t => $"{t} is in {set} and has no messages"));
            }
        }

        foreach (var thread in homes["leases"])
        {
            var hash = Hash(keys, "thread:" + thread);
            if (counters && (!hash.ContainsKey("owner") || !hash.ContainsKey("fence") || !hash.ContainsKey("batch")))
            {
                faults.Add($"{thread} is leased without owner, fence or batch");
            }
        }

        foreach (var thread in Names(keys, "thread:"))
        {
            var owned = Hash(keys, "thread:" + thread).ContainsKey("owner");
            if (owned && !homes["leases"].Contains(thread) && counters)
            {
                faults.Add($"{thread} has an owner and no lease");
            }
        }

        foreach (var thread in Names(keys, "delivery:").Where(t => List(keys, "delivery:" + t).Count > 0).Except(Members(keys, "deliveries")))
        {
            faults.Add($"{thread} has open deliveries and no time for the next try");
        }

        foreach (var thread in threads)
        {
            var numbers = List(keys, "messages:" + thread).Select(line => line.Split(' ')[0]).Where(w => w.All(char.IsAsciiDigit)).Select(w => long.Parse(w, CultureInfo.InvariantCulture)).ToList();
            if (!numbers.SequenceEqual(numbers.Distinct().Order()))
            {
                faults.Add($"{thread}'s sequence numbers don't grow");
            }
        }

        if (keys.ContainsKey("guard"))
        {
            faults.Add("the guard key exists");
        }

        if (counters)
        {
            var c = Hash(keys, "counters");
            Compare(faults, c, "pending", threads.Sum(t => List(keys, "messages:" + t).Count));
            Compare(faults, c, "active", homes["leases"].Sum(t => int.Parse(Hash(keys, "thread:" + t).GetValueOrDefault("count", "0"), CultureInfo.InvariantCulture)));
        }

        if (counters && failures)
        {
            Compare(faults, Hash(keys, "counters"), "failed", Names(keys, "failed:").Sum(b => int.Parse(Hash(keys, "failed:" + b)["count"], CultureInfo.InvariantCulture)));
        }

        Assert.True(faults.Count == 0, string.Join("\n", faults));
    }

    private static void Compare(List<string> faults, Dictionary<string, string> counters, string name, int counted)
    {
        var said = counters.GetValueOrDefault(name, "0");
        if (said != counted.ToString(CultureInfo.InvariantCulture))
        {
            faults.Add($"counters.{name} says {said}, counted {counted}");
        }
    }

    private static HashSet<string> Names(IReadOnlyDictionary<string, string> keys, string kind) =>
        [.. keys.Keys.Where(k => k.StartsWith(kind, StringComparison.Ordinal)).Select(k => k[kind.Length..])];

    private static HashSet<string> Members(IReadOnlyDictionary<string, string> keys, string set) =>
        keys.TryGetValue(set, out var content) && content.StartsWith("zset ", StringComparison.Ordinal)
            ? [.. content["zset ".Length..].Split(" | ").Select(m => m[..m.LastIndexOf(' ')])]
            : [];

    private static List<string> List(IReadOnlyDictionary<string, string> keys, string key) =>
        keys.TryGetValue(key, out var content) && content.StartsWith("list ", StringComparison.Ordinal) ? [.. content["list ".Length..].Split(" | ")] : [];

    private static Dictionary<string, string> Hash(IReadOnlyDictionary<string, string> keys, string key) =>
        keys.TryGetValue(key, out var content) && content.StartsWith("hash ", StringComparison.Ordinal)
            ? content["hash ".Length..].Split(" | ").Select(f => f.Split(": ", 2)).ToDictionary(f => f[0], f => f.Length > 1 ? f[1] : "")
            : [];
}
