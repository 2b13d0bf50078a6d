using AssistantQueue.Store;

namespace AssistantQueue.IntegrationTests.Store;

/// <summary>Script renew: leases of runs and deliveries are extended for their owner only.</summary>
public abstract class RenewTests(StoreServer server) : StoreTest(server)
{
    [Fact]
    public async Task Renew_OwnLeases_ExtendsThemAndTheWorkersRecord()
    {
        var c = await Seed.RunningAsync("c", ["a"], leaseIn: 3_000);
        var d = await Seed.RunningAsync("d", ["b"], leaseIn: 2_000);
        var before = Seed.Now;

        var changes = await ChangesOfAsync(() =>
        {
            Assert.Equal([RenewAnswer.Renewed, RenewAnswer.Renewed], Store.Renew(0, "w1", [c, d]).Answers);
            return Task.CompletedTask;
        });

        Assert.Equal(["~leases", "~workers"], changes);
        AssertIn(Options.LockDuration, before, await Read.ScoreAsync("leases", "c"));
        AssertIn(Options.LockDuration, before, await Read.ScoreAsync("leases", "d"));
        AssertIn(Options.LockDuration, before, await Read.ScoreAsync("workers", "w1"));
    }

    [Fact]
    public async Task Renew_ByAnIdleWorker_SaysWhenOthersLeasesEndAndWhatIsDue()
    {
        Assert.Equal((null, null), (Store.Renew(0, "w2", []).NextLook, Store.Renew(0, "w2", []).NextDelivery));
        await Seed.RunningAsync("c", ["a"], leaseIn: 20_000);
        await Seed.DeliveryAsync("d", "b1", "reply", 3_000);
        var (lease, delivery) = (Store.Renew(0, "w2", []).NextLook, Store.Renew(0, "w2", []).NextDelivery);
        await Seed.WaitingAsync("e", 10_000, "a");
        var due = Store.Renew(0, "w2", []).NextLook;
        await Seed.ScoreAsync("suspects", "f", Seed.Now - 1);
        var suspect = Store.Renew(0, "w2", []).NextLook;
        await Seed.RemoveAsync("suspects", "f");

        Assert.InRange(lease!.Value, 15 * Second, 20 * Second);
        Assert.InRange(delivery!.Value, TimeSpan.Zero, 3 * Second);
        Assert.InRange(due!.Value, 5 * Second, 10 * Second);
        Assert.Equal(TimeSpan.Zero, suspect);
    }

    [Fact]
    public async Task Renew_NoLease_KeepsTheWorkersRecord()
    {
        var before = Seed.Now;

        Assert.Empty(Store.Renew(0, "w1", []).Answers);

        AssertIn(Options.LockDuration, before, await Read.ScoreAsync("workers", "w1"));
    }

    [Fact]
    public async Task Renew_EndedLeaseThatNobodyClaimed_Succeeds()
    {
        var lease = await Seed.RunningAsync("c", ["a"], leaseIn: -60_000);
        var before = Seed.Now;

        Assert.Equal([RenewAnswer.Renewed], Store.Renew(0, "w1", [lease]).Answers);

        AssertIn(Options.LockDuration, before, await Read.ScoreAsync("leases", "c"));
    }

    [Fact]
    public async Task Renew_SomebodyElsesOrAnEarlierFence_IsLostAndLeavesTheOthers()
    {
        var c = await Seed.RunningAsync("c", ["a"], leaseIn: 3_000);
        var d = await Seed.RunningAsync("d", ["b"], leaseIn: 3_000, worker: "w2");
        var leaseOfD = await Read.ScoreAsync("leases", "d");

        var answers = Store.Renew(0, "w1", [d with { WorkerId = "w1" }, c with { Fence = 6 }, c]).Answers;

        Assert.Equal([RenewAnswer.Lost, RenewAnswer.Lost, RenewAnswer.Renewed], answers);
        Assert.Equal(leaseOfD, await Read.ScoreAsync("leases", "d"));
    }

    [Fact]
    public async Task Renew_TakenOverThread_IsLost()
    {
        var lease = await Seed.RunningAsync("c", ["a"], leaseIn: -1);
        await ClaimAsync("w2");
        Assert.Equal([RenewAnswer.Lost], Store.Renew(0, "w1", [lease]).Answers);

        var taken = await ClaimOneAsync("w2", suspects: true);

        Assert.Equal([RenewAnswer.Lost], Store.Renew(0, "w1", [lease]).Answers);
        Assert.Equal([RenewAnswer.Renewed], Store.Renew(0, "w2", [taken.Lease]).Answers);
    }

    [Theory]
    [InlineData("release")]
    [InlineData("hold")]
    [InlineData("retry")]
    [InlineData("complete")]
    [InlineData("fail")]
    public async Task Renew_FinishedThread_IsLostAndChangesNoLease(string finish)
    {
        var lease = await Seed.RunningAsync("c", ["a"], newer: ["b"]);
        await (finish switch
        {
            "release" => ReleaseAsync(lease, delay: Second),
            "hold" => ReleaseAsync(lease, delay: Second, hold: true),
            "retry" => RetryAsync(lease),
            "complete" => CompleteAsync(lease),
            _ => FailAsync(lease),
        });

        Assert.Equal([RenewAnswer.Lost], Store.Renew(0, "w1", [lease]).Answers);
        Assert.Empty(await Read.MembersAsync("leases"));
    }

    [Fact]
    public async Task Renew_Delivery_ExtendsItsLease()
    {
        await Seed.DeliveryAsync("c", "b1", "reply");
        var delivery = Assert.Single((await Store.ClaimDeliveriesAsync(0, "w1", 5, Ct)).Deliveries);
        await PassAsync("deliveries");
        var before = Seed.Now;

        Assert.Equal([RenewAnswer.Renewed, RenewAnswer.Lost], Store.Renew(0, "w1", [delivery.Lease, delivery.Lease with { Fence = 1 }]).Answers);

        AssertIn(Options.LockDuration, before, await Read.ScoreAsync("deliveries", "c"));
        Assert.Empty(await Read.MembersAsync("leases"));
    }

    [Fact]
    public async Task Renew_ClosedOrPostponedDelivery_IsLost()
    {
        await Seed.DeliveryAsync("c", "b1", "reply");
        await Seed.DeliveryAsync("d", "b2", "reply");
        var open = (await Store.ClaimDeliveriesAsync(0, "w1", 5, Ct)).Deliveries;
        await Store.CloseDeliveryAsync(open[0], Ct);
        await Store.PostponeDeliveryAsync(open[1], Second, countTry: true, Ct);

        Assert.Equal([RenewAnswer.Lost, RenewAnswer.Lost], Store.Renew(0, "w1", [open[0].Lease, open[1].Lease]).Answers);
        Assert.Single(await Read.MembersAsync("deliveries"));
    }

    [Fact]
    public async Task Renew_ForeignKeyOfOneThread_LosesThatOneAndRenewsTheOthers()
    {
        IsConsistent = false;
        var c = await Seed.RunningAsync("c", ["a"], leaseIn: 3_000);
        var d = await Seed.RunningAsync("d", ["b"], leaseIn: 3_000);
        await Seed.ForeignAsync("thread:c");

        Assert.Equal([RenewAnswer.Lost, RenewAnswer.Renewed], Store.Renew(0, "w1", [c, d]).Answers);
    }

    [Fact]
    public async Task Renew_RedisLostItsData_GoesOnUntilSomebodyElseHasTheThread()
    {
        await Seed.WaitingAsync("c", -1, "a");
        var lease = (await ClaimOneAsync()).Lease;
        foreach (var key in (await Snapshot.TakeAsync(Connection, P)).Keys.Keys)
        {
            await Database.KeyDeleteAsync(P + ":" + key);
        }

        Assert.Equal([RenewAnswer.Renewed], Store.Renew(0, "w1", [lease]).Answers);
        Assert.True(await Store.WriteJournalAsync(lease, new JournalWrite("j", false, []), Ct));
        Assert.Empty((await Store.JoinAsync(lease, 1, Ct))!);
        await EnqueueAsync("c", Message("b", flush: true));
        Assert.Equal([RenewAnswer.Renewed], Store.Renew(0, "w1", [lease]).Answers);
        Assert.Empty(await Read.MembersAsync("leases"));
        Assert.False(await Read.ExistsAsync("thread:c"));

        var next = await ClaimOneAsync("w2");

        Assert.Equal([RenewAnswer.Lost], Store.Renew(0, "w1", [lease]).Answers);
        Assert.Equal(FinishAnswer.Vanished, await CompleteAsync(lease));
        Assert.Equal(FinishAnswer.Applied, await CompleteAsync(next.Lease));
    }

    [Fact]
    public async Task Renew_RecordsOfOthersThatEnded_AreForgotten()
    {
        await Seed.WorkerAsync("gone", -5);

        Store.Renew(0, "w1", []);

        Assert.Equal(["w1"], await Read.MembersAsync("workers"));
    }
}

public sealed class RenewOnRedisTests() : RenewTests(StoreServer.Redis);

public sealed class RenewOnGarnetTests() : RenewTests(StoreServer.Garnet);
