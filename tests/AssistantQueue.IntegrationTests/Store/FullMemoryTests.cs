using AssistantQueue.IntegrationTests.Redis;
using AssistantQueue.Redis;
using AssistantQueue.Store;
using Microsoft.Extensions.Logging.Abstractions;
using StackExchange.Redis;

namespace AssistantQueue.IntegrationTests.Store;

/// <summary>At maxmemory nothing new is stored, and everything under way can be finished.</summary>
public sealed class FullMemoryTests
{
    private const string P = "{full:0}";

    // The embedded Redis has no such limit.
    [RedisServerFact]
    public async Task FullMemory_EnqueueIsRefusedWhole_EverythingElseWorks()
    {
        var kind = await TestRedis.KindAsync();
        await using var redis = await RedisInstance.StartDedicatedAsync(new() { Kind = kind == RedisKind.Embedded ? RedisKind.Process : kind });
        await using var connection = await redis.ConnectAsync();
        var options = new AssistantQueueOptions { QueuePrefix = "full", RemoveOnComplete = false };
        await using var store = new RedisQueueStore(
            RedisConnection.Given("", () => connection, TimeSpan.FromSeconds(30), TimeProvider.System, NullLogger.Instance), () => options, TimeProvider.System);
        string[] threads = ["complete", "retry", "fail", "release", "hold", "journal", "part", "interrupted", "rests", "joined", "failed"];
        foreach (var thread in threads)
        {
            await store.EnqueueAsync(Unit(thread, "a", "b"), default);
        }

        await store.EnqueueAsync(Unit("waiting", "w"), default);
        var begun = await ClaimAsync(store, "t1", threads.Length);
        var batches = begun.ToDictionary(b => b.Lease.ThreadId, b => b.Lease);
        await store.EnqueueAsync(new EnqueueUnit("joined", [new NewMessage("c", false, """{"busy":"steer","id":"c","text":"c"}""", 1, null, false, BusyAction.Steer)]), default);
        Assert.Equal(FinishAnswer.Applied, await store.FailAsync(batches["failed"], new FailWrite("f", FailureKind.Permanent, [], false), default));
        var failed = (await store.Failed.ReadAsync(batches["failed"].BatchId, default))!;
        batches.Remove("failed");
        await connection.GetServers()[0].ConfigSetAsync("maxmemory", "1");

        var before = await Snapshot.TakeAsync(connection, P);
        await Assert.ThrowsAsync<QueueUnavailableException>(() => store.EnqueueAsync(Unit("new", "x"), default));
        await Assert.ThrowsAsync<QueueUnavailableException>(() => store.EnqueueAsync(Unit("complete", "x"), default));
        Assert.Empty((await Snapshot.TakeAsync(connection, P)).ChangesSince(before));

        Assert.Equal(
            batches.Keys.Select(thread => new Renewal(RenewAnswer.Renewed, thread == "joined" ? RunWish.Join : RunWish.None)),
            store.Renew(0, "w1", [.. batches.Values]).Answers);
        Assert.True(await store.WriteJournalAsync(batches["journal"], new JournalWrite("j", false, [new("id", "conv")]), default));
        Assert.Equal(FinishAnswer.Applied, await store.CompleteAsync(batches["complete"], new CompleteWrite("r", [new("id", "conv")], true, true), default));
        Assert.Equal(FinishAnswer.Applied, await store.RetryAsync(batches["retry"], new RetryWrite(TimeSpan.Zero, "e", "j", true), default));
        Assert.Equal(FinishAnswer.Applied, await store.FailAsync(batches["fail"], new FailWrite("f", FailureKind.Permanent, [], true), default));
        Assert.Equal(FinishAnswer.Applied, await store.ReleaseAsync(batches["release"], new ReleaseWrite(TimeSpan.Zero, "j", false), default));
        Assert.Equal(FinishAnswer.Applied, await store.ReleaseAsync(batches["hold"], new ReleaseWrite(TimeSpan.Zero, "j", false, ReleaseHold.NewerVersion), default));
        Assert.Equal(FinishAnswer.Applied, await store.ReleaseAsync(batches["interrupted"], new ReleaseWrite(TimeSpan.Zero, "j", true, ReleaseHold.Interrupted, Told: "i"), default));
        Assert.Equal(FinishAnswer.Applied, await store.ReleaseAsync(batches["rests"], new ReleaseWrite(TimeSpan.FromHours(1), "j", true, ReleaseHold.Approval, Told: "calls"), default));
        Assert.Equal(DecideAnswer.Stored, await store.DecideAsync("rests", batches["rests"].BatchId, "call", new ToolDecision(true, ""), default));
        Assert.Single((await store.JoinAsync(batches["joined"], 2, default))!);
        // Of two messages the older one is given up.
        var older = begun.Single(b => b.Lease.ThreadId == "part").FirstSequence;
        Assert.Equal(FinishAnswer.Applied, await store.FailAsync(batches["part"], new FailWrite("f", FailureKind.AttemptsExhausted, [], true, older), default));
        Assert.Equal(FailedAnswer.Applied, await store.Failed.RetryAsync(failed, "j", default));

        // Everything that waits can still be claimed and finished, deliveries too.
        var claimed = (await ClaimAsync(store, "t2", 20)).ToDictionary(b => b.Lease.ThreadId, b => b.Entries.Count);
        Assert.Equal(["failed", "interrupted", "part", "release", "rests", "retry", "waiting"], claimed.Keys.Order());
        Assert.Equal((2, 1), (claimed["failed"], claimed["part"]));
        var deliveries = (await store.ClaimDeliveriesAsync(0, "w1", 10, default)).Deliveries;
        Assert.Equal(3, deliveries.Count);
        Assert.True(await store.PostponeDeliveryAsync(deliveries[0], TimeSpan.FromSeconds(1), true, default));
        Assert.True(await store.CloseDeliveryAsync(deliveries[1], default));
        Assert.True(await store.AbandonDeliveryAsync(deliveries[2], Abandoned(deliveries[2]), default));
        await store.LeaveAsync(0, "w1", isGone: true, default);
        Assert.Equal(ReplyState.Replied, (await store.FindReplyAsync("complete", (await store.ReadHistoryAsync("complete", 0, default)).Outcomes[0].FirstSequence, default)).State);
        await Invariants.CheckAsync(connection, P);
    }

    private static async Task<IReadOnlyList<ClaimedBatch>> ClaimAsync(RedisQueueStore store, string token, int max) =>
        (await store.ClaimAsync(new ClaimRequest(0, "w1", token, max, max, false), default)).Batches;

    private static FailedBatch Abandoned(OpenDelivery delivery) => new()
    {
        ThreadId = delivery.Lease.ThreadId,
        BatchId = delivery.BatchId,
        Kind = FailureKind.Delivery,
        Error = "e",
        MessageIds = [],
        FirstSequence = 1,
        LastSequence = 1,
    };

    private static EnqueueUnit Unit(string thread, params string[] texts) =>
        new(thread, [.. texts.Select(t => new NewMessage(t, false, t, t.Length, null, true))]);
}
