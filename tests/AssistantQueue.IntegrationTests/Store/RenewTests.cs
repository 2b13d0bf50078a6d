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
            Assert.Equal([RenewAnswer.Renewed, RenewAnswer.Renewed], Store.Renew(0, "w1", [c, d]));
            return Task.CompletedTask;
        });

        Assert.Equal(["~leases", "~workers"], changes);
        AssertIn(Options.LockDuration, before, await Read.ScoreAsync("leases", "c"));
        AssertIn(Options.LockDuration, before, await Read.ScoreAsync("leases", "d"));
        AssertIn(Options.LockDuration, before, await Read.ScoreAsync("workers", "w1"));
    }

    [Fact]
    public async Task Renew_NoLease_KeepsTheWorkersRecord()
    {
        var before = Seed.Now;

        Assert.Empty(Store.Renew(0, "w1", []));

        AssertIn(Options.LockDuration, before, await Read.ScoreAsync("workers", "w1"));
    }

    [Fact]
    public async Task Renew_EndedLeaseThatNobodyClaimed_Succeeds()
    {
        var lease = await Seed.RunningAsync("c", ["a"], leaseIn: -60_000);
        var before = Seed.Now;

        Assert.Equal([RenewAnswer.Renewed], Store.Renew(0, "w1", [lease]));

        AssertIn(Options.LockDuration, before, await Read.ScoreAsync("leases", "c"));
    }

    [Fact]
    public async Task Renew_SomebodyElsesOrAnEarlierFence_IsLostAndLeavesTheOthers()
    {
        var c = await Seed.RunningAsync("c", ["a"], leaseIn: 3_000);
        var d = await Seed.RunningAsync("d", ["b"], leaseIn: 3_000, worker: "w2");
        var leaseOfD = await Read.ScoreAsync("leases", "d");

        var answers = Store.Renew(0, "w1", [d with { WorkerId = "w1" }, c with { Fence = 6 }, c]);

        Assert.Equal([RenewAnswer.Lost, RenewAnswer.Lost, RenewAnswer.Renewed], answers);
        Assert.Equal(leaseOfD, await Read.ScoreAsync("leases", "d"));
    }

    [Fact]
    public async Task Renew_TakenOverThread_IsLost()
    {
        var lease = await Seed.RunningAsync("c", ["a"], leaseIn: -1);
        await ClaimAsync("w2");
        Assert.Equal([RenewAnswer.Lost], Store.Renew(0, "w1", [lease]));

        var taken = await ClaimOneAsync("w2", suspects: true);

        Assert.Equal([RenewAnswer.Lost], Store.Renew(0, "w1", [lease]));
        Assert.Equal([RenewAnswer.Renewed], Store.Renew(0, "w2", [taken.Lease]));
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

        Assert.Equal([RenewAnswer.Lost], Store.Renew(0, "w1", [lease]));
        Assert.Empty(await Read.MembersAsync("leases"));
    }

    [Fact]
    public async Task Renew_Delivery_ExtendsItsLease()
    {
        await Seed.DeliveryAsync("c", "b1", "reply");
        var delivery = Assert.Single((await Store.ClaimDeliveriesAsync(0, "w1", 5, Ct)).Deliveries);
        await PassAsync("deliveries");
        var before = Seed.Now;

        Assert.Equal([RenewAnswer.Renewed, RenewAnswer.Lost], Store.Renew(0, "w1", [delivery.Lease, delivery.Lease with { Fence = 1 }]));

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

        Assert.Equal([RenewAnswer.Lost, RenewAnswer.Lost], Store.Renew(0, "w1", [open[0].Lease, open[1].Lease]));
        Assert.Single(await Read.MembersAsync("deliveries"));
    }

    [Fact]
    public async Task Renew_ForeignKeyOfOneThread_LosesThatOneAndRenewsTheOthers()
    {
        IsConsistent = false;
        var c = await Seed.RunningAsync("c", ["a"], leaseIn: 3_000);
        var d = await Seed.RunningAsync("d", ["b"], leaseIn: 3_000);
        await Seed.ForeignAsync("thread:c");

        Assert.Equal([RenewAnswer.Lost, RenewAnswer.Renewed], Store.Renew(0, "w1", [c, d]));
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
