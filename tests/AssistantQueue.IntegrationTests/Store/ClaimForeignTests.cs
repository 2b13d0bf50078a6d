using AssistantQueue.Store;

namespace AssistantQueue.IntegrationTests.Store;

/// <summary>Script claim: keys that somebody else wrote over, threads that are held back for it, and what is left of lost data.</summary>
public abstract class ClaimForeignTests(StoreServer server) : StoreTest(server)
{
    [Fact]
    public async Task Claim_HeldThreadWhoseTimeCame_IsDueAgain()
    {
        await Seed.MessagesAsync("c", "a");
        await Seed.ScoreAsync("held", "c", Seed.Now - 5);

        await ClaimAsync(max: 0);

        Assert.Equal(["c"], await Read.MembersAsync("due"));
        Assert.Empty(await Read.MembersAsync("held"));
    }

    [Fact]
    public async Task Claim_HeldSuspectWhoseTimeCame_IsASuspectAgain()
    {
        await Seed.MessagesAsync("c", "a");
        await Seed.ThreadAsync("c", ("fence", 7), ("deaths", 1));
        await Seed.ScoreAsync("held", "c", Seed.Now - 5);

        await ClaimAsync(max: 1);

        Assert.Equal(["c"], await Read.MembersAsync("suspects"));
        Assert.Equal(1, (await ClaimOneAsync(suspects: true)).Deaths);
    }

    [Theory]
    [InlineData("messages:c")]
    [InlineData("thread:c")]
    [InlineData("conversation:c")]
    public async Task Claim_ForeignKeyOfADueThread_HoldsItBackAndClaimsTheOthers(string key)
    {
        IsConsistent = false;
        await Seed.WaitingAsync("b", -3, "x");
        await Seed.WaitingAsync("c", -2, "a");
        await Seed.WaitingAsync("d", -1, "y");
        await Seed.ForeignAsync(key);
        var before = Seed.Now;

        var outcome = await ClaimAsync();

        Assert.Equal(["b", "d"], outcome.Batches.Select(b => b.Lease.ThreadId));
        Assert.Equal(["c"], outcome.ForeignThreads);
        AssertIn(TimeSpan.FromMinutes(1), before, await Read.ScoreAsync("held", "c"));
        Assert.Null(await Read.ScoreAsync("due", "c"));
        Assert.Equal("foreign", await Read.StringAsync(key));
        Assert.Equal(2, await Read.CounterAsync("active"));
    }

    [Theory]
    [InlineData("count", "many")]
    [InlineData("last", "-1")]
    [InlineData("deaths", "x")]
    [InlineData("attempts", "five")]
    public async Task Claim_ForeignFieldOfADueThread_HoldsItBackAndClaimsTheOthers(string field, string value)
    {
        await Seed.WaitingAsync("c", -2, "a");
        await Seed.WaitingAsync("d", -1, "y");
        await Seed.ThreadAsync("c", (field, value));

        var outcome = await ClaimAsync();

        Assert.Equal(["d"], outcome.Batches.Select(b => b.Lease.ThreadId));
        Assert.Equal(["c"], outcome.ForeignThreads);
        Assert.Equal(["c"], await Read.MembersAsync("held"));
    }

    [Fact]
    public async Task Claim_ForeignDecisionsOfAThread_RunsTheOthers()
    {
        await Seed.WaitingAsync("c", -2, "a");
        await Seed.WaitingAsync("d", -1, "y");
        await Seed.ThreadAsync("c", ("decisions", "call"));

        var outcome = await ClaimAsync();

        Assert.Equal(["d"], outcome.Batches.Select(b => b.Lease.ThreadId));
        Assert.Equal(["c"], outcome.ForeignThreads);
    }

    [Fact]
    public async Task Claim_LineWithoutItsNumbers_IsABatchOfItsOwn()
    {
        await Seed.MessagesAsync("c", "a");
        await Database.ListLeftPushAsync(P + ":messages:c", $"{Seed.FirstSequence - 1} x y hello");
        await Seed.CounterAsync("pending", 1);
        await Seed.ScoreAsync("due", "c", Seed.Now - 1);

        var batch = await ClaimOneAsync();

        Assert.Equal((0L, 0L), (batch.FirstSequence, Assert.Single(batch.Entries).Sequence));
    }

    [Theory]
    [InlineData("messages:c")]
    [InlineData("conversation:c")]
    public async Task Claim_ForeignKeyOfAnEndedLease_TakesItFromItsOwner(string key)
    {
        IsConsistent = false;
        var lease = await Seed.RunningAsync("c", ["a"], leaseIn: -1);
        await Seed.WorkerAsync("w1", 10_000);
        await Seed.ForeignAsync(key);

        await ClaimAsync("w2");

        Assert.Equal(["c"], await Read.MembersAsync("held"));
        Assert.Equal([RenewAnswer.Lost], Store.Renew(0, "w1", [lease]).Answers);
        Assert.Empty(await Read.MembersAsync("leases"));
        Assert.Equal(0, await Read.CounterAsync("active"));
    }

    [Fact]
    public async Task Claim_ThreadWithoutMessages_IsForgotten()
    {
        await Seed.RunningAsync("c", ["a"], leaseIn: -1);
        await Database.KeyDeleteAsync(P + ":messages:c");
        await Seed.CounterAsync("pending", -1);
        await Seed.ScoreAsync("due", "d", Seed.Now - 5);

        Assert.Empty((await ClaimAsync("w2")).Batches);

        Assert.Empty(await Read.MembersAsync("leases"));
        Assert.Empty(await Read.MembersAsync("due"));
        Assert.False(await Read.ExistsAsync("thread:c"));
        Assert.Equal(0, await Read.CounterAsync("active"));
    }

    [Fact]
    public async Task Claim_EntryThatCantBeRead_IsABatchOfItsOwn()
    {
        IsConsistent = false;
        await Seed.WaitingAsync("c", -1, "a");
        await Database.ListLeftPushAsync(P + ":messages:c", "not ours");

        var batch = await ClaimOneAsync();

        Assert.Equal(["not ours"], Texts(batch));
        Assert.Equal(0, batch.Entries[0].Sequence);
    }
}

public sealed class ClaimForeignOnRedisTests() : ClaimForeignTests(StoreServer.Redis);

public sealed class ClaimForeignOnGarnetTests() : ClaimForeignTests(StoreServer.Garnet);
