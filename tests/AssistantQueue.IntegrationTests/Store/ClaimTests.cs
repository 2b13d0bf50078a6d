using AssistantQueue.Store;

namespace AssistantQueue.IntegrationTests.Store;

/// <summary>Script claim: which threads it takes, and what it seals and gives with them.</summary>
public abstract class ClaimTests(StoreServer server) : StoreTest(server)
{
    [Fact]
    public async Task Claim_OfNewerMessagesThanWhatIsRemembered_BeginsWithNothing()
    {
        await Seed.RunningAsync("c", ["a"], newer: ["b"], leaseIn: -1);
        await Seed.ThreadAsync("c", ("posted", "1"), ("deaths", "2"), ("journal", "j"), ("attempts", "9:4"), ("errors", "e"));
        await Database.ListLeftPopAsync($"{P}:messages:c");
        IsConsistent = false;

        var batch = await ClaimOneAsync("w2");

        Assert.Equal(["b"], Texts(batch));
        Assert.Equal((0, 0, null), (batch.Deaths, batch.FailedAttempts, batch.Journal));
        Assert.Empty(batch.Errors);
    }

    [Fact]
    public async Task Claim_OfAThreadThatHasALease_IsNotMade()
    {
        await Seed.RunningAsync("c", ["a"]);
        await Seed.ScoreAsync("due", "c", Seed.Now - 1_000);

        Assert.Empty((await ClaimAsync("w2")).Batches);
        Assert.Empty(await Read.MembersAsync("due"));
    }

    [Fact]
    public async Task Claim_DueThread_SealsItsMessages()
    {
        var sequences = await Seed.WaitingAsync("c", -1, "a", "b");
        var before = Seed.Now;
        ClaimOutcome? outcome = null;

        var changes = await ChangesOfAsync(async () => outcome = await ClaimAsync(token: "t1"));

        Assert.Equal(["+idle", "+leases", "+request", "+thread:c", "+workers", "-due", "~counters"], changes);
        var batch = Assert.Single(outcome!.Batches);
        Assert.Equal(["a", "b"], Texts(batch));
        Assert.Equal((sequences[0], sequences[1], $"t1-{batch.Lease.Fence}"), (batch.FirstSequence, batch.LastSequence, batch.Lease.BatchId));
        Assert.Equal((0, 0L, 0, false), (batch.FailedAttempts, batch.AttemptedThrough, batch.Deaths, batch.IsTakeover));
        Assert.Null(batch.Journal);
        Assert.Empty(batch.Errors);
        AssertIn(Options.LockDuration, before, await Read.ScoreAsync("leases", "c"));
        AssertIn(Options.LockDuration, before, await Read.ScoreAsync("workers", "w1"));
        Assert.Equal(2, await Read.CounterAsync("active"));
        Assert.Equal(batch.Lease.Fence, await Read.CounterAsync("fence"));
    }

    [Fact]
    public async Task Claim_NothingDue_OnlyLooks()
    {
        await Seed.WaitingAsync("c", 5_000, "a");
        await Seed.DeliveryAsync("d", "b1", "reply", 3_000);
        ClaimOutcome? outcome = null;

        var changes = await ChangesOfAsync(async () => outcome = await ClaimAsync());

        Assert.Equal(["+idle", "+workers"], changes);
        Assert.Empty(outcome!.Batches);
        Assert.InRange(outcome.NextLook!.Value, TimeSpan.Zero, 5 * Second);
        Assert.InRange(outcome.NextDelivery!.Value, TimeSpan.Zero, 3 * Second);
        Assert.True(outcome.IsTimekeeper);
    }

    [Fact]
    public async Task Claim_NothingToGive_LetsBatchesGoThatWereKeptLongEnough()
    {
        (Options.FailedRetention, Options.CompletedRetention) = (TimeSpan.FromMinutes(1), TimeSpan.FromMinutes(2));
        foreach (var store in new[] { "failed", "completed" })
        {
            await Seed.ScoreAsync(store, "old", Seed.Now - 121_000);
            await Seed.ScoreAsync(store, "young", Seed.Now - 30_000);
            await Database.HashSetAsync($"{P}:{store}:old", "count", 2);
        }

        await Seed.CounterAsync("failed", 2);

        var changes = await ChangesOfAsync(() => ClaimAsync());

        Assert.Equal(["+idle", "+workers", "-completed:old", "-failed:old", "~completed", "~counters", "~failed"], changes);
        Assert.Equal(0, await Read.CounterAsync("failed"));
        Assert.Equal(["young"], await Read.MembersAsync("failed"));
    }

    [Fact]
    public async Task Claim_EmptyQueue_HasNoNextLook()
    {
        var outcome = await ClaimAsync();

        Assert.Null(outcome.NextLook);
        Assert.Null(outcome.NextDelivery);
    }

    [Fact]
    public async Task Claim_FewerSlotsThanThreads_TakesTheEarliestDue()
    {
        await Seed.WaitingAsync("late", -1_000, "a");
        await Seed.WaitingAsync("early", -3_000, "b");
        await Seed.WaitingAsync("middle", -2_000, "c");

        var outcome = await ClaimAsync(max: 2);

        Assert.Equal(["early", "middle"], outcome.Batches.Select(b => b.Lease.ThreadId));
        Assert.Equal(["late"], await Read.MembersAsync("due"));
        Assert.Equal(TimeSpan.Zero, outcome.NextLook);
        Assert.Empty(await Read.MembersAsync("idle"));
    }

    [Fact]
    public async Task Claim_EndedLease_GoesBeforeDueThreads()
    {
        await Seed.WaitingAsync("due", -60_000, "a");
        await Seed.RunningAsync("ended", ["b"], leaseIn: -1, worker: "dead");
        await Seed.WorkerAsync("dead", 20_000);

        var outcome = await ClaimAsync(max: 1);

        var batch = Assert.Single(outcome.Batches);
        Assert.Equal("ended", batch.Lease.ThreadId);
        Assert.True(batch.IsTakeover);
        Assert.Equal(0, batch.Deaths);
        Assert.True(batch.Lease.Fence > 7);
        Assert.Equal(1, await Read.CounterAsync("active"));
    }

    [Fact]
    public async Task Claim_NoMax_OnlyLooks()
    {
        await Seed.WaitingAsync("c", -1, "a");

        var outcome = await ClaimAsync(max: 0);

        Assert.Empty(outcome.Batches);
        Assert.Equal(TimeSpan.Zero, outcome.NextLook);
    }

    [Fact]
    public async Task Claim_SecondIdleWorker_IsNotTheTimekeeper()
    {
        Assert.True((await ClaimAsync("w1")).IsTimekeeper);
        Assert.False((await ClaimAsync("w2")).IsTimekeeper);
        Assert.True((await ClaimAsync("w1")).IsTimekeeper);
    }

    [Fact]
    public async Task Claim_FenceAheadOfTheClock_Grows()
    {
        var ahead = (Seed.Now + 3_600_000) * 1000;
        await Seed.SetCounterAsync("fence", ahead);
        await Seed.WaitingAsync("c", -2, "a");
        await Seed.WaitingAsync("d", -1, "b");

        var outcome = await ClaimAsync();

        Assert.Equal([ahead + 1, ahead + 2], outcome.Batches.Select(b => b.Lease.Fence));
        Assert.Equal(ahead + 2, await Read.CounterAsync("fence"));
    }

    [Fact]
    public async Task Claim_MessageAheadOfTheClock_FenceComesAfterIt()
    {
        Seed.FirstSequence = (Seed.Now + 3_600_000) * 1000;
        await Seed.WaitingAsync("c", -1, "a");

        Assert.True((await ClaimOneAsync()).Lease.Fence > Seed.FirstSequence);
    }

    [Fact]
    public async Task Claim_ConversationJournalErrors_ComeWithTheBatch()
    {
        await Seed.WaitingAsync("c", -1, "a");
        await Database.HashSetAsync(P + ":conversation:c", [new("id", "conv_1"), new("head", "")]);
        await Seed.ThreadAsync("c", ("journal", "j"), ("errors", "e1\ne2"), ("attempts", $"{Seed.FirstSequence}:2"));

        var batch = await ClaimOneAsync();

        Assert.Equal("j", batch.Journal);
        Assert.Equal(["e1", "e2"], batch.Errors);
        Assert.Equal((2, Seed.FirstSequence), (batch.FailedAttempts, batch.AttemptedThrough));
        Assert.Equal(("conv_1", ""), (batch.Conversation["id"], batch.Conversation["head"]));
    }

    [Fact]
    public async Task Claim_BesideEnqueuesToTheSameThread_ReadsItsBatchWhole()
    {
        // A plain read of a list that a script writes ends the connection on some servers, and reads half of it on others.
        (Options.MaxBatchMessages, Options.MaxPendingMessages) = (1_000, 1_000_000);
        await EnqueueAsync("c", [.. Enumerable.Range(0, 1_000).Select(i => Message("m" + i, flush: true))]);
        var first = await ClaimAsync(token: "t");
        await using var other = await Server.ConnectAnewAsync();
        await using var producer = NewStore(Options, other);
        var stop = false;
        var producers = Enumerable.Range(0, 4).Select(i => Task.Run(async () =>
        {
            while (!Volatile.Read(ref stop))
            {
                await producer.EnqueueAsync(new EnqueueUnit("c", [Message("newer")]), Ct);
            }
        })).ToList();

        for (var round = 0; round < 100; round++)
        {
            var again = await ClaimAsync(token: "t");
            Assert.Equal(Texts(first.Batches[0]), Texts(Assert.Single(again.Batches)));
        }

        Volatile.Write(ref stop, true);
        await Task.WhenAll(producers);
        Assert.Equal(0, Broken);
    }
}

public sealed class ClaimOnRedisTests() : ClaimTests(StoreServer.Redis);

public sealed class ClaimOnGarnetTests() : ClaimTests(StoreServer.Garnet);
