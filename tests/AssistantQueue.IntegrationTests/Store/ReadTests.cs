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
    public async Task History_OfABatchThatWasTriedAgain_TellsHowEachRunBegan()
    {
        var messages = (await EnqueueAsync("c", Message("a", flush: true), Message("b"))).Receipts.Select(r => r.Sequence).ToList();
        var first = await ClaimOneAsync("w1");
        Assert.False(await Read.ExistsAsync("events:c"));
        await RetryAsync(first.Lease);
        Assert.Equal(Began(first, 1), Told((await Store.ReadHistoryAsync("c", 0, Ct)).LastRun!.Value));
        messages.Add((await EnqueueAsync("c", Message("d"))).Receipts[0].Sequence);
        var second = await ClaimOneAsync("w2");
        await PassAsync("leases");
        var third = await ClaimOneAsync("w3");

        var running = await Store.ReadHistoryAsync("c", 0, Ct);

        Assert.Equal([AnnouncementKind.Retrying, AnnouncementKind.Started, AnnouncementKind.Started], running.Events!.Select(e => e.Kind));
        Assert.Equal([Began(first, 1), Began(second, 2)], running.Events!.Skip(1).Select(Told));
        Assert.Equal(Began(third, 2), Told(running.LastRun!.Value));
        await Database.KeyExpireAsync(P + ":events:c", 60 * Second);
        await Store.CompleteAsync(third.Lease, new CompleteWrite("reply", [], OpenDelivery: false, Keep: false, messages), Ct);
        var answered = await Store.ReadHistoryAsync("c", 0, Ct);
        Assert.Null(answered.LastRun);
        var outcome = Assert.Single(answered.Outcomes);
        Assert.Equal((Began(third, 2), "reply"), (Told(outcome.Began), outcome.Reply));
        Assert.Equal(messages, outcome.Sequences);
        // As long as the reply.
        Assert.InRange((await Read.LifetimeAsync("events:c"))!.Value, TimeSpan.FromMinutes(59), TimeSpan.FromHours(1));

        static (long, string, long, long, long) Began(ClaimedBatch batch, int attempt) =>
            (batch.Lease.Fence, batch.Lease.BatchId, batch.FirstSequence, batch.LastSequence, attempt);
        static (long, string, long, long, long) Told(ThreadAnnouncement told) => (told.Stamp, told.BatchId, told.FirstSequence, told.LastSequence, told.Number);
    }

    [Fact]
    public async Task History_BehindAPlace_HasNewerMessagesAndThoseThatARunSinceNames()
    {
        Options.MaxBatchMessages = 3;
        var texts = Enumerable.Range(0, 1_200).Select(i => $"{i}").ToArray();
        var sequences = await Seed.WaitingAsync("c", -1, texts);

        var page = await Store.ReadHistoryAsync("c", sequences[249], Ct);
        Assert.Equal(texts[250..750], page.Waiting.Select(e => e.Body));
        Assert.True(page.HasMore);
        var last = await Store.ReadHistoryAsync("c", sequences[749], Ct);
        Assert.Equal(texts[750..], last.Waiting.Select(e => e.Body));
        Assert.False(last.HasMore);
        var running = await ClaimOneAsync();
        Assert.Equal([.. texts[..3], .. texts[750..]], (await Store.ReadHistoryAsync("c", sequences[749], Ct)).Waiting.Select(e => e.Body));
        Assert.Empty((await Store.ReadHistoryAsync("c", running.Lease.Fence, Ct)).Waiting);
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
