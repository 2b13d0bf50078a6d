using AssistantQueue.Store;

namespace AssistantQueue.IntegrationTests.Store;

/// <summary>Script claim repeated with the token of a call whose answer was lost.</summary>
public abstract class ClaimTokenTests(StoreServer server) : StoreTest(server)
{
    [Fact]
    public async Task Claim_SameToken_GivesTheSameBatches()
    {
        await Seed.WaitingAsync("c", -2, "a");
        await Seed.WaitingAsync("d", -1, "b");
        var first = await ClaimAsync(max: 2, token: "t1");
        await Seed.WaitingAsync("e", -1, "c");
        await EnqueueAsync("c", Message("later"));

        var again = await ClaimAsync(max: 2, token: "t1");

        Assert.Equal(
            first.Batches.Select(b => (b.Lease.ThreadId, b.Lease.Fence, b.Lease.BatchId, b.LastSequence)),
            again.Batches.Select(b => (b.Lease.ThreadId, b.Lease.Fence, b.Lease.BatchId, b.LastSequence)));
        Assert.Equal(["e"], await Read.MembersAsync("due"));
        Assert.Equal(2, await Read.CounterAsync("active"));
    }

    [Fact]
    public async Task Claim_SameTokenAfterAFinish_GivesWhatIsStillOwned()
    {
        await Seed.WaitingAsync("c", -2, "a");
        await Seed.WaitingAsync("d", -1, "b");
        var first = await ClaimAsync(max: 2, token: "t1");
        await CompleteAsync(first.Batches[0].Lease);

        Assert.Equal(["d"], (await ClaimAsync(max: 2, token: "t1")).Batches.Select(b => b.Lease.ThreadId));
    }

    [Fact]
    public async Task Claim_SameTokenAfterATakeover_GivesNothing()
    {
        await Seed.WaitingAsync("c", -2, "a");
        await ClaimAsync(token: "t1");
        await PassAsync("leases");
        await ClaimAsync("w2");

        Assert.Empty((await ClaimAsync(token: "t1")).Batches);
        Assert.Equal("w2", (await Read.HashAsync("thread:c"))["owner"]);
    }

    [Fact]
    public async Task Claim_SameTokenAgain_BeginsTheLeaseAnew()
    {
        await Seed.WaitingAsync("c", -1, "a");
        await ClaimAsync(token: "t1");
        await PassAsync("leases");
        var before = Seed.Now;

        Assert.Single((await ClaimAsync(token: "t1")).Batches);

        AssertIn(Options.LockDuration, before, await Read.ScoreAsync("leases", "c"));
    }
}

public sealed class ClaimTokenOnRedisTests() : ClaimTokenTests(StoreServer.Redis);

public sealed class ClaimTokenOnGarnetTests() : ClaimTokenTests(StoreServer.Garnet);
