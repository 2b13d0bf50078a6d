using AssistantQueue.Store;

namespace AssistantQueue.IntegrationTests.Store;

/// <summary>Scripts find-reply, find-message and history: they read and change nothing.</summary>
public abstract class ReadTests(StoreServer server) : StoreTest(server)
{
    [Fact]
    public async Task FindReply_EachStateOfAMessage_IsTold()
    {
        await Seed.WaitingAsync("c", -1, "a", "b");
        await CompleteAsync((await ClaimOneAsync()).Lease, "first reply");
        var second = (await EnqueueAsync("c", Message("d", flush: true))).Receipts[0].Sequence;
        await FailAsync((await ClaimOneAsync()).Lease, failure: "a failure");
        var third = (await EnqueueAsync("c", Message("e", flush: true))).Receipts[0].Sequence;

        Assert.Empty(await ChangesOfAsync(async () =>
        {
            Assert.Equal(new ReplyLookup(ReplyState.Replied, Reply: "first reply"), await FindAsync(Seed.FirstSequence));
            Assert.Equal(new ReplyLookup(ReplyState.Replied, Reply: "first reply"), await FindAsync(Seed.FirstSequence + 1));
            Assert.Equal(new ReplyLookup(ReplyState.Failed, Failure: "a failure"), await FindAsync(second));
            Assert.Equal(new ReplyLookup(ReplyState.Pending), await FindAsync(third));
            Assert.Equal(new ReplyLookup(ReplyState.Unknown), await FindAsync(third + 1));
            Assert.Equal(new ReplyLookup(ReplyState.Unknown), await FindAsync(Seed.FirstSequence - 1));
        }));
        await ClaimOneAsync();
        Assert.Equal(ReplyState.Pending, (await FindAsync(third)).State);
    }

    [Fact]
    public async Task FindReply_BatchFailedInPart_TellsThePartsApart()
    {
        await Seed.WaitingAsync("c", -1, "a");
        await RetryAsync((await ClaimOneAsync()).Lease);
        var later = (await EnqueueAsync("c", Message("b"))).Receipts[0].Sequence;
        var batch = await ClaimOneAsync();
        await FailAsync(batch.Lease, batch.AttemptedThrough);

        Assert.Equal(ReplyState.Failed, (await FindAsync(Seed.FirstSequence)).State);
        Assert.Equal(ReplyState.Pending, (await FindAsync(later)).State);
        await CompleteAsync((await ClaimOneAsync()).Lease, "later reply");
        Assert.Equal("later reply", (await FindAsync(later)).Reply);
    }

    [Fact]
    public async Task FindReply_UnknownThread_IsUnknown() => Assert.Equal(ReplyState.Unknown, (await FindAsync(5)).State);

    [Fact]
    public async Task FindMessage_RememberedId_GivesItsSequence()
    {
        var receipt = (await EnqueueAsync("c", Message("a", "m1"))).Receipts[0];

        Assert.Empty(await ChangesOfAsync(async () =>
        {
            Assert.Equal(receipt.Sequence, await Store.FindMessageAsync("c", "m1", Ct));
            Assert.Null(await Store.FindMessageAsync("c", "m2", Ct));
            Assert.Null(await Store.FindMessageAsync("d", "m1", Ct));
        }));
    }

    [Fact]
    public async Task History_EverythingThatIsKept_InItsOrder()
    {
        await Seed.WaitingAsync("c", -1, "a");
        await CompleteAsync((await ClaimOneAsync()).Lease, "reply with spaces");
        await EnqueueAsync("c", Message("b", flush: true));
        await FailAsync((await ClaimOneAsync()).Lease, failure: "failure");
        await EnqueueAsync("c", Message("d", flush: true));
        var running = await ClaimOneAsync();
        await EnqueueAsync("c", Message("e"));
        ThreadHistory? history = null;

        Assert.Empty(await ChangesOfAsync(async () => history = await Store.ReadHistoryAsync("c", 0, Ct)));

        Assert.Equal([("reply with spaces", null), (null, "failure")], history!.Outcomes.Select(o => (o.Reply, o.Failure)));
        Assert.Equal(Seed.FirstSequence, history.Outcomes[0].FirstSequence);
        Assert.Equal(new HistoryBatch(running.Lease.Fence, running.Lease.BatchId, running.FirstSequence, running.LastSequence, 0, "w1"), history.Running);
        Assert.Equal(["d", "e"], history.Waiting.Select(w => w.Body));
        long[] stamps = [history.Outcomes[0].Stamp, history.Outcomes[1].Stamp, history.Waiting[0].Sequence, history.Running!.Stamp, history.Waiting[1].Sequence];
        Assert.Equal(stamps.Distinct().Order(), stamps);
        Assert.InRange(history.Now, stamps[^1], (Seed.Now + 1) * 1000);
    }

    [Fact]
    public async Task History_RetryPausing_HasNoRunningBatch()
    {
        var lease = await Seed.RunningAsync("c", ["a"]);
        await RetryAsync(lease, delay: 5 * Second);

        var history = await Store.ReadHistoryAsync("c", 0, Ct);

        Assert.Null(history.Running);
        Assert.Single(history.Waiting);
    }

    [Fact]
    public async Task History_SecondAttempt_TellsHowManyFailed()
    {
        var lease = await Seed.RunningAsync("c", ["a"]);
        await RetryAsync(lease);
        await ClaimOneAsync();

        Assert.Equal(1, (await Store.ReadHistoryAsync("c", 0, Ct)).Running!.FailedAttempts);
    }

    [Fact]
    public async Task History_UnknownThread_IsEmpty()
    {
        var history = await Store.ReadHistoryAsync("nobody", 0, Ct);

        Assert.Empty(history.Outcomes);
        Assert.Empty(history.Waiting);
        Assert.Null(history.Running);
        Assert.True(history.Now > 0);
    }

    private Task<ReplyLookup> FindAsync(long sequence) => Store.FindReplyAsync("c", sequence, Ct);
}

public sealed class ReadOnRedisTests() : ReadTests(StoreServer.Redis);

public sealed class ReadOnGarnetTests() : ReadTests(StoreServer.Garnet);
