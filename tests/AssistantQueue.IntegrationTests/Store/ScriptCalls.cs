using AssistantQueue.Redis;
using StackExchange.Redis;

namespace AssistantQueue.IntegrationTests.Store;

/// <summary>Calls scripts with arguments that the store makes itself: request ids, which a test repeats, and rare switches.</summary>
internal sealed class ScriptCalls(IDatabase database, string p)
{
    public const long Kept = 600_000;

    public Task<RedisResult> RunAsync(string script, params RedisValue[] tail) =>
        database.ScriptEvaluateAsync(script, [p + ":due", p + ":guard"], ["1", .. tail]);

    /// <summary>Units of messages, each an id (empty: not recognised again) and a text.</summary>
    public async Task<string[]> EnqueueAsync(string request, params (string Thread, (string Id, string Text)[] Messages)[] units)
    {
        List<RedisValue> tail = [request, Kept, 10_000, "fixed", 60_000, 100, 200_000, 1_000, 86_400_000, units.Length];
        foreach (var (thread, messages) in units)
        {
            tail.AddRange([thread, messages.Length]);
            foreach (var (id, text) in messages)
            {
                tail.AddRange([id, id.Length > 0 ? "1" : "0", "", "0", "C", text.Length, text]);
            }
        }

        return ((string)(await RunAsync(RedisScript.Enqueue, [.. tail]))!).Split('\n');
    }

    /// <summary>Batches as completed by their owner, replies open for delivery.</summary>
    public async Task<string> CompleteAsync(string request, params (AssistantQueue.Store.Lease Lease, string Reply)[] batches)
    {
        List<RedisValue> tail = [request, Kept, 3_600_000, 0, 86_400_000, batches.Length];
        foreach (var (lease, reply) in batches)
        {
            tail.AddRange([lease.ThreadId, lease.WorkerId, lease.Fence, lease.BatchId, reply, "1", "0", "-", "", 1, "+", "previous", reply]);
        }

        return (string)(await RunAsync(RedisScript.Complete, [.. tail]))!;
    }

    public async Task<string> RetryAsync(string request, AssistantQueue.Store.Lease lease) =>
        (string)(await RunAsync(
            RedisScript.Retry, request, Kept, lease.ThreadId, lease.WorkerId, lease.Fence, lease.BatchId, 5_000, "error", "journal", "0", 3_600_000, ""))!;

    public async Task<string> ReleaseAsync(string request, AssistantQueue.Store.Lease lease) =>
        (string)(await RunAsync(
            RedisScript.Release, request, Kept, lease.ThreadId, lease.WorkerId, lease.Fence, lease.BatchId, 0, "journal", "0", "0", 0, 3_600_000, "", ""))!;

    public async Task<string> FailAsync(string request, AssistantQueue.Store.Lease lease) =>
        (string)(await RunAsync(
            RedisScript.Fail, request, Kept, lease.ThreadId, lease.WorkerId, lease.Fence, lease.BatchId, "", "failure", "Permanent", "1",
            3_600_000, 0, 86_400_000, "", "", 0))!;

    /// <summary>Claims with or without counting deaths; gives the threads' names.</summary>
    public async Task<string[]> ClaimAsync(string worker, string token, int most = 10, bool countDeaths = true, bool alone = false)
    {
        var result = (RedisResult[])(await RunAsync(
            RedisScript.Claim, worker, token, most, most, alone ? "1" : "0", 30_000, 100, 200_000, 1_048_576, countDeaths ? long.MaxValue / 1024 : 0,
            3_600_000, 2_592_000_000, 86_400_000))!;
        return [.. result.Skip(6).Select(r => (string)((RedisResult[])r!)[0]!)];
    }
}
