using AssistantQueue.Store;

namespace AssistantQueue.IntegrationTests.Store;

/// <summary>Script claim: ended leases, taken over batches, and who counts as dead with what.</summary>
public abstract class ClaimDeathTests(StoreServer server) : StoreTest(server)
{
    [Fact]
    public async Task Claim_LiveLease_IsLeftAlone()
    {
        await Seed.RunningAsync("c", ["a"]);

        Assert.Empty((await ClaimAsync("w2")).Batches);
        Assert.Equal("w1", (await Read.HashAsync("thread:c"))["owner"]);
    }

    // Its last claim was after the batch's, and a third of a lease before it would have renewed both.
    [Fact]
    public async Task Claim_OwnerTouchedItsRecordAfterTheLeaseAndDied_IsADeath()
    {
        await Seed.RunningAsync("c", ["a"], leaseIn: -1, worker: "old");
        await Seed.WorkerAsync("old", 9_000);

        Assert.Empty(await Calls.ClaimAsync("w2", "t"));

        Assert.Equal(["c"], await Read.MembersAsync("suspects"));
    }

    [Theory]
    [InlineData(false, false, true, 1)]
    [InlineData(true, false, true, 0)]
    [InlineData(false, true, true, 0)]
    [InlineData(false, false, false, 0)]
    public async Task Claim_EndedLease_IsADeathOnlyIfTheOwnerEndedTooAndTheRunCantBeAdopted(bool lives, bool adoptable, bool countDeaths, int deaths)
    {
        await Seed.RunningAsync("c", ["a"], leaseIn: -1, worker: "old");
        if (lives)
        {
            await Seed.WorkerAsync("old", 20_000);
        }

        if (adoptable)
        {
            await Seed.ThreadAsync("c", ("adoptable", "1"));
        }

        var claimed = await Calls.ClaimAsync("w2", "t", countDeaths: countDeaths);

        Assert.Equal(deaths == 0 ? ["c"] : [], claimed);
        Assert.Equal(deaths.ToString(), (await Read.HashAsync("thread:c"))["deaths"]);
        Assert.Equal(deaths == 0 ? [] : ["c"], await Read.MembersAsync("suspects"));
    }

    [Fact]
    public async Task Claim_OwnerDied_MovesTheThreadToTheSuspects()
    {
        await Seed.RunningAsync("c", ["a", "b"], leaseIn: -1);

        var changes = await ChangesOfAsync(async () => Assert.Empty(await Calls.ClaimAsync("w2", "t")));

        Assert.Equal(["+idle", "+suspects", "+workers", "-leases", "~counters", "~thread:c"], changes);
        var hash = await Read.HashAsync("thread:c");
        Assert.Equal(("1", "1", "b-c"), (hash["deaths"], hash["resumed"], hash["batch"]));
        Assert.DoesNotContain("owner", hash.Keys);
        Assert.DoesNotContain("token", hash.Keys);
        Assert.Equal(0, await Read.CounterAsync("active"));
    }

    [Fact]
    public async Task Claim_Alone_TakesOneSuspectAndNothingElse()
    {
        await Seed.WaitingAsync("healthy", -10_000, "a");
        await Seed.RunningAsync("dead1", ["b"], leaseIn: -2, worker: "x");
        await Seed.RunningAsync("dead2", ["c"], leaseIn: -1, worker: "y");
        await Calls.ClaimAsync("w0", "t0", most: 1);
        await Calls.ClaimAsync("w0", "t1", most: 1);
        Assert.Equal(["healthy"], (await Read.MembersAsync("due")).Concat((await Read.MembersAsync("leases")).Where(t => t == "healthy")));

        var outcome = await ClaimAsync("w1", max: 5, suspects: true);

        var batch = Assert.Single(outcome.Batches);
        Assert.Equal(("dead1", 1, true), (batch.Lease.ThreadId, batch.Deaths, batch.IsTakeover));
        Assert.Equal("b-dead1", batch.Lease.BatchId);
        Assert.Equal(["dead2"], await Read.MembersAsync("suspects"));
        Assert.Equal(1, outcome.SuspectsDue);
    }

    [Fact]
    public async Task Claim_AloneAndAnEndedLeaseOfALivingOwner_IsLeftToOthers()
    {
        await Seed.RunningAsync("c", ["a"], leaseIn: -1, worker: "old");
        await Seed.WorkerAsync("old", 20_000);

        Assert.Empty(await Calls.ClaimAsync("w2", "t", alone: true));
        Assert.Equal("old", (await Read.HashAsync("thread:c"))["owner"]);
        Assert.Equal(["c"], await Calls.ClaimAsync("w2", "t2"));
    }

    [Fact]
    public async Task Claim_SecondDeath_IsCountedOnTop()
    {
        await Seed.RunningAsync("c", ["a"], leaseIn: -1, worker: "x");
        await Seed.ThreadAsync("c", ("deaths", 1));

        Assert.Equal(2, (await ClaimOneAsync("w2", suspects: true)).Deaths);
    }

    [Fact]
    public async Task Claim_WorkersRecordEnded_IsForgotten()
    {
        await Seed.ScoreAsync("idle", "gone", 1);
        await Seed.WorkerAsync("gone", -5);

        var outcome = await ClaimAsync("w1");

        Assert.Equal(["w1"], await Read.MembersAsync("workers"));
        Assert.Equal(["w1"], await Read.MembersAsync("idle"));
        Assert.True(outcome.IsTimekeeper);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Claim_TakenOverBatchWithAJournalAndNewerMessages_KeepsRangeAndBatchId(bool died)
    {
        // The owner may have posted the batch: the next one looks it up by its id.
        var lease = await Seed.RunningAsync("c", ["a"], newer: ["b"], worker: "old");
        await Store.WriteJournalAsync(lease, new JournalWrite("posting", false, []), Ct);
        await PassAsync(died ? ["leases", "workers"] : ["leases"]);
        if (died)
        {
            Assert.Empty((await ClaimAsync("w2")).Batches);
        }

        var batch = await ClaimOneAsync("w2", suspects: died);

        Assert.Equal(["a"], Texts(batch));
        Assert.Equal((lease.BatchId, "posting"), (batch.Lease.BatchId, batch.Journal));
    }

    [Fact]
    public async Task Claim_TakenOverBatchWithoutAJournalAndNewerMessages_SealsThemTogether()
    {
        var lease = await Seed.RunningAsync("c", ["a"], newer: ["b"], leaseIn: -1, worker: "old");
        await Seed.WorkerAsync("old", 20_000);

        var batch = await ClaimOneAsync("w2");

        Assert.Equal(["a", "b"], Texts(batch));
        Assert.NotEqual(lease.BatchId, batch.Lease.BatchId);
        Assert.Equal(2, await Read.CounterAsync("active"));
    }

    [Fact]
    public async Task Claim_SuspectWithoutAJournalAndNewerMessages_KeepsTheRangeSoThatTheNewerAreNotSuspected()
    {
        var lease = await Seed.RunningAsync("c", ["a"], newer: ["b"], leaseIn: -1, worker: "old");
        Assert.Empty((await ClaimAsync("w2")).Batches);

        var batch = await ClaimOneAsync("w2", suspects: true);

        Assert.Equal(["a"], Texts(batch));
        Assert.Equal((lease.BatchId, 1), (batch.Lease.BatchId, batch.Deaths));
        await FailAsync(batch.Lease);
        var next = await ClaimOneAsync("w2");
        Assert.Equal(["b"], Texts(next));
        Assert.Equal((0, false), (next.Deaths, next.IsTakeover));
    }

    [Fact]
    public async Task Claim_SuspectThatFailedAnAttemptAndNewerMessages_KeepsTheRange()
    {
        await Seed.RunningAsync("c", ["a"], newer: ["b"], leaseIn: -1, worker: "old");
        await ClaimAsync("w2");

        await RetryAsync((await ClaimOneAsync("w2", suspects: true)).Lease);

        Assert.Equal(["a"], Texts(await ClaimOneAsync("w2", suspects: true)));
    }

    // A newer message interrupted it: that one is answered together with it.
    [Fact]
    public async Task Claim_InterruptedSuspect_IsSealedWithTheNewer()
    {
        await Seed.RunningAsync("c", ["a"], newer: ["b"], leaseIn: -1, worker: "old");
        await Seed.ThreadAsync("c", ("posted", "i"));
        await ClaimAsync("w2");

        Assert.Equal(["a", "b"], Texts(await ClaimOneAsync("w2", suspects: true)));
    }

    [Fact]
    public async Task Claim_SealedRangeNoLongerAtTheHead_IsSealedAnew()
    {
        var lease = await Seed.RunningAsync("c", ["a", "b"], newer: ["c"], leaseIn: -1, worker: "old");
        await Seed.WorkerAsync("old", 20_000);
        await Seed.ThreadAsync("c", ("posted", "1"));
        await Database.ListLeftPopAsync(P + ":messages:c");
        await Seed.CounterAsync("pending", -1);

        var batch = await ClaimOneAsync("w2");

        Assert.Equal(["b", "c"], Texts(batch));
        Assert.NotEqual(lease.BatchId, batch.Lease.BatchId);
    }

    [Fact]
    public async Task Claim_OwnThreadWhoseLeaseEnded_IsNoDeath()
    {
        await Seed.RunningAsync("c", ["a"], leaseIn: -1, worker: "w1");

        Assert.Equal(0, (await ClaimOneAsync("w1")).Deaths);
    }

    [Fact]
    public async Task Claim_SuspectInItsPause_IsLookedForInTime()
    {
        await Seed.MessagesAsync("c", "a");
        await Seed.ScoreAsync("suspects", "c", Seed.Now + 3_000);

        Assert.InRange((await ClaimAsync()).NextLook!.Value, TimeSpan.Zero, 3 * Second);
    }
}

public sealed class ClaimDeathOnRedisTests() : ClaimDeathTests(StoreServer.Redis);

public sealed class ClaimDeathOnGarnetTests() : ClaimDeathTests(StoreServer.Garnet);
