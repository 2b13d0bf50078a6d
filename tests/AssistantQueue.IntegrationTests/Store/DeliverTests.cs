using AssistantQueue.Store;

namespace AssistantQueue.IntegrationTests.Store;

/// <summary>Scripts deliver-claim, deliver-close and deliver-postpone: a thread's deliveries one after the other, under a lease.</summary>
public abstract class DeliverTests(StoreServer server) : StoreTest(server)
{
    [Fact]
    public async Task ClaimDeliveries_OpenOnes_TakesTheOldestOfEachThread()
    {
        await Seed.DeliveryAsync("c", "b1", "first reply", -20);
        await Seed.DeliveryAsync("c", "b2", "second reply", -20);
        await Seed.DeliveryAsync("d", "b3", "a failure", -10, kind: "f");
        await Seed.DeliveryAsync("later", "b4", "reply", 4_000);
        var before = Seed.Now;
        DeliveryClaim? claim = null;

        var changes = await ChangesOfAsync(async () => claim = await Store.ClaimDeliveriesAsync(0, "w1", 5, Ct));

        Assert.Equal(["+delivering:c", "+delivering:d", "~counters", "~deliveries"], changes);
        Assert.Equal(2, claim!.Deliveries.Count);
        Assert.Equal(("c", "b1", "first reply", null, 0), Facts(claim.Deliveries[0]));
        Assert.Equal(("d", "b3", null, "a failure", 0), Facts(claim.Deliveries[1]));
        Assert.InRange(claim.Deliveries[0].Age, TimeSpan.Zero, TimeSpan.FromMinutes(1));
        Assert.True(claim.Deliveries[1].Lease.Fence > claim.Deliveries[0].Lease.Fence);
        Assert.InRange(claim.NextLook!.Value, TimeSpan.Zero, 4 * Second);
        AssertIn(Options.LockDuration, before, await Read.ScoreAsync("deliveries", "c"));
    }

    [Fact]
    public async Task ClaimDeliveries_ForeignLineInFront_IsMovedAside()
    {
        await Database.ListRightPushAsync(P + ":delivery:c", ["what is this", "b9 x 5 neither reply nor failure"]);
        await Seed.DeliveryAsync("c", "b1", "reply", -20);
        await Database.ListRightPushAsync(P + ":delivery:only", "hello");
        await Seed.ScoreAsync("deliveries", "only", Seed.Now - 10);
        await Seed.DeliveryAsync("d", "b2", "other", -10);

        var claim = await Store.ClaimDeliveriesAsync(0, "w1", 5, Ct);

        Assert.Equal(["b1", "b2"], claim.Deliveries.Select(d => d.BatchId));
        Assert.Equal(["what is this", "b9 x 5 neither reply nor failure"], await Read.ListAsync("foreign:delivery:c"));
        Assert.Equal(["c", "d"], (await Read.MembersAsync("deliveries")).Order());
        Assert.True(await Store.CloseDeliveryAsync(claim.Deliveries[0], Ct));
        Assert.False(await Read.ExistsAsync("delivery:c"));
    }

    [Fact]
    public async Task ClaimDeliveries_Max_IsKept()
    {
        await Seed.DeliveryAsync("late", "b1", "r", -10_000);
        await Seed.DeliveryAsync("early", "b2", "r", -60_000);

        var claim = await Store.ClaimDeliveriesAsync(0, "w1", 1, Ct);

        Assert.Equal("early", Assert.Single(claim.Deliveries).Lease.ThreadId);
        Assert.Equal(TimeSpan.Zero, claim.NextLook);
    }

    [Fact]
    public async Task ClaimDeliveries_None_HasNoNextLook()
    {
        var claim = await Store.ClaimDeliveriesAsync(0, "w1", 5, Ct);

        Assert.Empty(claim.Deliveries);
        Assert.Null(claim.NextLook);
    }

    [Fact]
    public async Task ClaimDeliveries_UnderALease_IsSomebodyElsesOnlyWhenItEnded()
    {
        await Seed.DeliveryAsync("c", "b1", "r");
        var first = await TakeAsync("w1");
        Assert.Empty((await Store.ClaimDeliveriesAsync(0, "w2", 5, Ct)).Deliveries);

        await PassAsync("deliveries");
        var second = await TakeAsync("w2");

        Assert.Equal("b1", second.BatchId);
        Assert.True(second.Lease.Fence > first.Lease.Fence);
        Assert.Empty(await ChangesOfAsync(async () => Assert.False(await Store.CloseDeliveryAsync(first, Ct))));
        Assert.Empty(await ChangesOfAsync(async () => Assert.False(await Store.PostponeDeliveryAsync(first, Second, true, Ct))));
        Assert.True(await Store.CloseDeliveryAsync(second, Ct));
    }

    [Fact]
    public async Task Close_MoreOpen_TheNextIsDueAtOnce()
    {
        await Seed.DeliveryAsync("c", "b1", "first");
        await Seed.DeliveryAsync("c", "b2", "second");
        var first = await TakeAsync();
        var before = Seed.Now;

        var changes = await ChangesOfAsync(async () => Assert.True(await Store.CloseDeliveryAsync(first, Ct)));

        Assert.Equal(["-delivering:c", "~deliveries", "~delivery:c"], changes);
        AssertIn(TimeSpan.Zero, before, await Read.ScoreAsync("deliveries", "c"));
        Assert.Equal(("c", "b2", "second", null, 0), Facts(await TakeAsync()));
    }

    [Fact]
    public async Task Close_LastOpen_LeavesNothing()
    {
        await Seed.DeliveryAsync("c", "b1", "first");
        var delivery = await TakeAsync();

        var changes = await ChangesOfAsync(async () => Assert.True(await Store.CloseDeliveryAsync(delivery, Ct)));

        Assert.Equal(["-deliveries", "-delivering:c", "-delivery:c"], changes);
        Assert.Empty(await ChangesOfAsync(async () => Assert.False(await Store.CloseDeliveryAsync(delivery, Ct))));
    }

    [Theory]
    [InlineData(true, 1)]
    [InlineData(false, 0)]
    public async Task Postpone_Owner_HoldsTheThreadsDeliveriesBack(bool count, int tries)
    {
        await Seed.DeliveryAsync("c", "b1", "first");
        await Seed.DeliveryAsync("c", "b2", "second");
        var delivery = await TakeAsync();
        var before = Seed.Now;

        var changes = await ChangesOfAsync(async () => Assert.True(await Store.PostponeDeliveryAsync(delivery, 30 * Second, count, Ct)));

        Assert.Equal(["~deliveries", "~delivering:c"], changes);
        AssertIn(30 * Second, before, await Read.ScoreAsync("deliveries", "c"));
        Assert.Empty((await Store.ClaimDeliveriesAsync(0, "w1", 5, Ct)).Deliveries);
        await PassAsync("deliveries");
        Assert.Equal(("c", "b1", "first", null, tries), Facts(await TakeAsync()));
    }

    [Fact]
    public async Task Close_AfterFailedTries_TheNextBeginsWithNone()
    {
        await Seed.DeliveryAsync("c", "b1", "first");
        await Seed.DeliveryAsync("c", "b2", "second");
        await Store.PostponeDeliveryAsync(await TakeAsync(), TimeSpan.Zero, true, Ct);
        await Store.CloseDeliveryAsync(await TakeAsync(), Ct);

        Assert.Equal(0, (await TakeAsync()).FailedTries);
    }

    [Fact]
    public async Task Abandon_Reply_MovesItToTheFailedStoreWithoutCountingMessages()
    {
        await Seed.DeliveryAsync("c", "b1", "first");
        await Seed.DeliveryAsync("c", "b2", "second");
        var delivery = await TakeAsync();

        var changes = await ChangesOfAsync(async () => Assert.True(await Store.AbandonDeliveryAsync(delivery, Failure("c", "b1"), Ct)));

        Assert.Equal(["+failed", "+failed:b1", "-delivering:c", "~counters", "~deliveries", "~delivery:c"], changes);
        var record = await Read.HashAsync("failed:b1");
        Assert.Equal(("c", "Delivery", "0"), (record["thread"], record["kind"], record["count"]));
        Assert.EndsWith(" first", record["delivery"], StringComparison.Ordinal);
        Assert.Equal(0, await Read.CounterAsync("failed"));
        Assert.Equal("b2", (await TakeAsync()).BatchId);
    }

    [Fact]
    public async Task Abandon_FailureOfABatchThatIsInTheFailedStore_LeavesItsRecord()
    {
        var lease = await Seed.RunningAsync("c", ["a"]);
        await FailAsync(lease);
        var delivery = await TakeAsync();

        var changes = await ChangesOfAsync(async () => Assert.True(await Store.AbandonDeliveryAsync(delivery, Failure("c", "b-c"), Ct)));

        Assert.Equal(["-deliveries", "-delivering:c", "-delivery:c"], changes);
        Assert.Equal("AttemptsExhausted", (await Read.HashAsync("failed:b-c"))["kind"]);
    }

    [Fact]
    public async Task Abandon_OldFailedBatchesLeave_AreNoLongerCounted()
    {
        Options.FailedRetention = TimeSpan.FromMinutes(1);
        await Seed.ScoreAsync("failed", "old", Seed.Now - 61_000);
        await Database.HashSetAsync(P + ":failed:old", "count", 4);
        await Seed.CounterAsync("failed", 4);
        await Seed.DeliveryAsync("c", "b1", "first");

        await Store.AbandonDeliveryAsync(await TakeAsync(), Failure("c", "b1"), Ct);

        Assert.Equal(["b1"], await Read.MembersAsync("failed"));
        Assert.Equal(0, await Read.CounterAsync("failed"));
    }

    [Fact]
    public async Task ClaimDeliveries_ForeignListOfOneThread_TakesTheOthers()
    {
        IsConsistent = false;
        await Seed.DeliveryAsync("b", "b1", "r", -30);
        await Seed.DeliveryAsync("c", "b2", "r", -20);
        await Seed.DeliveryAsync("d", "b3", "r", -10);
        await Seed.ForeignAsync("delivery:c");

        Assert.Equal(["b1", "b3"], (await Store.ClaimDeliveriesAsync(0, "w1", 5, Ct)).Deliveries.Select(d => d.BatchId));
        Assert.Null(await Read.ScoreAsync("deliveries", "c"));
    }

    [Fact]
    public async Task ClaimDeliveries_EmptyList_IsForgotten()
    {
        await Seed.ScoreAsync("deliveries", "c", Seed.Now - 5);

        Assert.Empty((await Store.ClaimDeliveriesAsync(0, "w1", 5, Ct)).Deliveries);

        Assert.Empty(await Read.MembersAsync("deliveries"));
    }

    [Fact]
    public async Task Deliver_DoesNotHoldUpTheThreadsNextRun()
    {
        var lease = await Seed.RunningAsync("c", ["a"], newer: ["b"]);
        await CompleteAsync(lease, "first");
        await TakeAsync();

        Assert.Equal(["b"], Texts(await ClaimOneAsync()));
    }

    private async Task<OpenDelivery> TakeAsync(string worker = "w1") => Assert.Single((await Store.ClaimDeliveriesAsync(0, worker, 1, Ct)).Deliveries);

    private static (string Thread, string Batch, string? Reply, string? Failure, int Tries) Facts(OpenDelivery delivery) =>
        (delivery.Lease.ThreadId, delivery.BatchId, delivery.Reply, delivery.Failure, delivery.FailedTries);

    private static FailedBatch Failure(string thread, string batch) => new()
    {
        ThreadId = thread,
        BatchId = batch,
        Kind = FailureKind.Delivery,
        Error = "e",
        MessageIds = [],
        FirstSequence = 1,
        LastSequence = 1,
    };
}

public sealed class DeliverOnRedisTests() : DeliverTests(StoreServer.Redis);

public sealed class DeliverOnGarnetTests() : DeliverTests(StoreServer.Garnet);
