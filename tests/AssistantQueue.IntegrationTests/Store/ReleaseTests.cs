using AssistantQueue.Store;

namespace AssistantQueue.IntegrationTests.Store;

/// <summary>Script release: the thread is given back and no attempt is counted.</summary>
public abstract class ReleaseTests(StoreServer server) : StoreTest(server)
{
    [Fact]
    public async Task Release_Owner_GivesTheThreadBackAtOnce()
    {
        var lease = await Seed.RunningAsync("c", ["a"], newer: ["b"]);
        await Store.WriteJournalAsync(lease, new JournalWrite("j1", true, []), Ct);
        var before = Seed.Now;

        var changes = await ChangesOfAsync(async () => Assert.Equal(FinishAnswer.Applied, await ReleaseAsync(lease, posted: true)));

        Assert.Equal(["+due", "+request", "-leases", "~counters", "~thread:c"], changes);
        AssertIn(TimeSpan.Zero, before, await Read.ScoreAsync("due", "c"));
        var next = await ClaimOneAsync("w2");
        Assert.Equal((lease.BatchId, "j1", 0, 0, true), (next.Lease.BatchId, next.Journal, next.FailedAttempts, next.Deaths, next.IsTakeover));
        Assert.Equal(["a"], Texts(next));
    }

    [Fact]
    public async Task Release_WithAJournal_ReplacesTheStoredOne()
    {
        var lease = await Seed.RunningAsync("c", ["a"]);
        await Store.WriteJournalAsync(lease, new JournalWrite("j1", true, []), Ct);

        await ReleaseAsync(lease, journal: "j2");

        Assert.Equal("j2", (await ClaimOneAsync("w2")).Journal);
    }

    [Fact]
    public async Task Release_NothingPosted_NewerMessagesJoin()
    {
        var lease = await Seed.RunningAsync("c", ["a"], newer: ["b"]);

        await ReleaseAsync(lease);
        var next = await ClaimOneAsync("w2");

        Assert.Equal(["a", "b"], Texts(next));
        Assert.NotEqual(lease.BatchId, next.Lease.BatchId);
        Assert.Equal(0, next.FailedAttempts);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Release_WhatCantBeReadLiesBehindTheLastKnown_IsNotInTheNextBatch(bool posted)
    {
        var lease = await Seed.SealedWithUnreadableSecondAsync("c");

        Assert.Equal(FinishAnswer.Applied, await Store.ReleaseAsync(lease, new ReleaseWrite(TimeSpan.Zero, null, IsPosted: posted, BatchLast: Seed.FirstSequence), Ct));

        var next = await ClaimOneAsync();
        Assert.Equal(["a"], Texts(next));
        Assert.Equal((lease.BatchId, Seed.FirstSequence), (next.Lease.BatchId, next.LastSequence));
        Assert.Equal((3, 1), (await Read.CounterAsync("pending"), await Read.CounterAsync("active")));
    }

    [Fact]
    public async Task Release_Pause_IsKept()
    {
        var lease = await Seed.RunningAsync("c", ["a"]);
        var before = Seed.Now;

        await ReleaseAsync(lease, delay: 7 * Second);

        AssertIn(7 * Second, before, await Read.ScoreAsync("due", "c"));
        Assert.Empty((await ClaimAsync()).Batches);
    }

    [Theory]
    [InlineData(0, "due")]
    [InlineData(1, "suspects")]
    public async Task Release_Hold_WaitsAsideAndComesBack(int deaths, string set)
    {
        var lease = await Seed.RunningAsync("c", ["a"]);
        await Seed.ThreadAsync("c", ("deaths", deaths));
        var before = Seed.Now;

        await ReleaseAsync(lease, posted: true, delay: 3_600 * Second, hold: true);

        AssertIn(3_600 * Second, before, await Read.ScoreAsync("held", "c"));
        Assert.Empty(await Read.MembersAsync("due"));
        Assert.InRange((await ClaimAsync()).NextLook!.Value, 3_000 * Second, 3_600 * Second);
        await PassAsync("held");
        await ClaimAsync(max: 0);
        Assert.Equal(["c"], await Read.MembersAsync(set));
        Assert.Equal(lease.BatchId, (await ClaimOneAsync(suspects: deaths > 0)).Lease.BatchId);
    }

    [Fact]
    public async Task Release_BatchWithADeath_StaysASuspect()
    {
        var lease = await Seed.RunningAsync("c", ["a"]);
        await Seed.ThreadAsync("c", ("deaths", 1));

        await ReleaseAsync(lease);

        Assert.Equal(["c"], await Read.MembersAsync("suspects"));
    }

    [Theory]
    [InlineData("fence")]
    [InlineData("worker")]
    [InlineData("batch")]
    public async Task Release_NotTheOwner_ChangesNothing(string wrong)
    {
        var lease = await Seed.RunningAsync("c", ["a"]);

        Assert.Empty(await ChangesOfAsync(async () => Assert.Equal(FinishAnswer.Lost, await ReleaseAsync(CompleteTests.NotOwner(lease, wrong)))));
    }

    [Fact]
    public async Task Release_RedisLostItsData_IsVanished() =>
        Assert.Equal(FinishAnswer.Vanished, await ReleaseAsync(new Lease("c", 0, "w1", 7, "b", 0)));

    [Fact]
    public async Task Release_RepeatedRequest_IsAppliedOnce()
    {
        var lease = await Seed.RunningAsync("c", ["a"]);
        Assert.Equal("1", await Calls.ReleaseAsync("r1", lease));
        Assert.Equal(["c"], await Calls.ClaimAsync("w1", "t"));

        Assert.Empty(await ChangesOfAsync(async () => Assert.Equal("1", await Calls.ReleaseAsync("r1", lease))));
        Assert.Equal(["c"], await Read.MembersAsync("leases"));
    }
}

public sealed class ReleaseOnRedisTests() : ReleaseTests(StoreServer.Redis);

public sealed class ReleaseOnGarnetTests() : ReleaseTests(StoreServer.Garnet);
