using System.Globalization;
using System.Text.Json;
using AssistantQueue.Store;
using StackExchange.Redis;

namespace AssistantQueue.Redis;

/// <summary>The deliver step on Redis: open deliveries of a thread in their order, under a lease of their own.</summary>
internal sealed class RedisDeliver(RedisCaller caller, Func<AssistantQueueOptions> options, TimeProvider time)
{
    public async Task<DeliveryClaim> ClaimAsync(int partition, string workerId, int max, CancellationToken cancellationToken)
    {
        var length = options().LockDuration;
        var proof = new Lease("", partition, workerId, 0, "", time.GetTimestamp()) { ProvenOn = time.GetUtcNow(), Length = length };
        var result = (RedisResult[])(await caller.CallAsync(
            RedisScript.DeliverClaim,
            partition,
            [RedisValue.EmptyString, workerId, max, (long)length.TotalMilliseconds],
            cancellationToken))!;
        var now = (long)result[0];
        var next = (long)result[1];
        return new DeliveryClaim(
            [.. result.Skip(2).Select(r => Parse(proof, now, (string[])r!))],
            next >= 0 ? TimeSpan.FromMilliseconds(next) : null);
    }

    public Task<bool> CloseAsync(OpenDelivery delivery, FailedBatch? abandoned, CancellationToken cancellationToken) =>
        CallAsync(
            RedisScript.DeliverClose,
            delivery.Lease,
            [
                delivery.BatchId, abandoned is null ? RedisValue.EmptyString : JsonSerializer.Serialize(abandoned, StoreJson.Failure),
                (long)options().FailedRetention.TotalMilliseconds,
            ],
            cancellationToken);

    public Task<bool> PostponeAsync(OpenDelivery delivery, TimeSpan delay, bool countTry, CancellationToken cancellationToken) =>
        CallAsync(RedisScript.DeliverPostpone, delivery.Lease, [(long)delay.TotalMilliseconds, countTry ? "1" : "0"], cancellationToken);

    private async Task<bool> CallAsync(string script, Lease lease, RedisValue[] tail, CancellationToken cancellationToken)
    {
        var answer = await caller.CallAsync(
            script, lease.Partition, [RedisValue.EmptyString, lease.ThreadId, lease.WorkerId, lease.Fence, .. tail], cancellationToken);
        return (string?)answer == "1";
    }

    // thread, fence, batch, kind, opened, failed tries, JSON
    private static OpenDelivery Parse(Lease proof, long now, string[] taken) => new(
        proof with { ThreadId = taken[0], Fence = long.Parse(taken[1], CultureInfo.InvariantCulture) },
        taken[2],
        taken[3] == "r" ? taken[6] : null,
        taken[3] == "f" ? taken[6] : null,
        int.Parse(taken[5], CultureInfo.InvariantCulture),
        TimeSpan.FromMilliseconds(Math.Max(0, now - long.Parse(taken[4], CultureInfo.InvariantCulture))));
}
