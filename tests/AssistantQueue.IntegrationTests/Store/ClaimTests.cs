using AssistantQueue.Store;

namespace AssistantQueue.IntegrationTests.Store;

/// <summary>Script claim: which threads, in which order, what is sealed, what counts as a death.</summary>
public abstract class ClaimTests(StoreServer server) : StoreTest(server)
{
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
        Assert.Equal((sequences[0], sequences[1], "t1-1"), (batch.FirstSequence, batch.LastSequence, batch.Lease.BatchId));
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
        await Seed.WorkerAsync("dead", 10_000);

        var outcome = await ClaimAsync(max: 1);

        var batch = Assert.Single(outcome.Batches);
        Assert.Equal("ended", batch.Lease.ThreadId);
        Assert.True(batch.IsTakeover);
        Assert.Equal(0, batch.Deaths);
        Assert.True(batch.Lease.Fence > 7);
        Assert.Equal(1, await Read.CounterAsync("active"));
    }

    [Fact]
    public async Task Claim_LiveLease_IsLeftAlone()
    {
        await Seed.RunningAsync("c", ["a"]);

        Assert.Empty((await ClaimAsync("w2")).Batches);
        Assert.Equal("w1", (await Read.HashAsync("thread:c"))["owner"]);
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
    public async Task Claim_MoreThanABatchHolds_SealsTheOldest()
    {
        Options.MaxBatchMessages = 2;
        await Seed.WaitingAsync("c", -1, "a", "b", "c");

        Assert.Equal(["a", "b"], Texts(await ClaimOneAsync()));
        Assert.Equal(["a", "b", "c"], await Read.WaitingAsync("c"));
    }

    [Theory]
    [InlineData(10, new[] { "12345", "67890", "x" }, 2)]
    [InlineData(9, new[] { "12345", "67890", "x" }, 1)]
    [InlineData(11, new[] { "12345", "67890", "x" }, 3)]
    [InlineData(3, new[] { "12345", "67890", "x" }, 1)]
    [InlineData(5, new[] { "1", "234567", "8" }, 1)]
    public async Task Claim_MoreCharactersThanABatchHolds_SealsWhatFitsAndAtLeastOne(int characters, string[] texts, int expected)
    {
        Options.MaxBatchCharacters = characters;
        await Seed.WaitingAsync("c", -1, texts);

        Assert.Equal(texts[..expected], Texts(await ClaimOneAsync()));
    }

    [Fact]
    public async Task Claim_RunningSumsOfAThreadThatWasTrimmed_CountFromItsOldest()
    {
        Options.MaxBatchCharacters = 6;
        await Seed.WaitingAsync("c", -1, "12345", "678", "901", "2");
        await Database.ListLeftPopAsync(P + ":messages:c");
        await Seed.CounterAsync("pending", -1);

        Assert.Equal(["678", "901"], Texts(await ClaimOneAsync()));
    }

    [Fact]
    public async Task Claim_ManyLargeThreads_StopsAtTheBudget()
    {
        var large = new string('x', 190_000);
        for (var i = 0; i < 10; i++)
        {
            await Seed.WaitingAsync("c" + i, -100 + i, large);
        }

        var outcome = await ClaimAsync(max: 10);

        Assert.InRange(outcome.Batches.Count, 5, 7);
        Assert.Equal(10 - outcome.Batches.Count, (await Read.MembersAsync("due")).Length);
        Assert.Equal(TimeSpan.Zero, outcome.NextLook);
    }

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
            await Seed.WorkerAsync("old", 10_000);
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
        await Seed.WorkerAsync("old", 10_000);

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

    [Fact]
    public async Task Claim_SecondIdleWorker_IsNotTheTimekeeper()
    {
        Assert.True((await ClaimAsync("w1")).IsTimekeeper);
        Assert.False((await ClaimAsync("w2")).IsTimekeeper);
        Assert.True((await ClaimAsync("w1")).IsTimekeeper);
    }

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
        await Seed.WorkerAsync("old", 10_000);

        var batch = await ClaimOneAsync("w2");

        Assert.Equal(["a", "b"], Texts(batch));
        Assert.NotEqual(lease.BatchId, batch.Lease.BatchId);
        Assert.Equal(2, await Read.CounterAsync("active"));
    }

    [Fact]
    public async Task Claim_SealedRangeNoLongerAtTheHead_IsSealedAnew()
    {
        var lease = await Seed.RunningAsync("c", ["a", "b"], newer: ["c"], leaseIn: -1, worker: "old");
        await Seed.WorkerAsync("old", 10_000);
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
    public async Task Claim_SameTokenAgain_BeginsTheLeaseAnew()
    {
        await Seed.WaitingAsync("c", -1, "a");
        await ClaimAsync(token: "t1");
        await PassAsync("leases");
        var before = Seed.Now;

        Assert.Single((await ClaimAsync(token: "t1")).Batches);

        AssertIn(Options.LockDuration, before, await Read.ScoreAsync("leases", "c"));
    }

    [Fact]
    public async Task Claim_SuspectInItsPause_IsLookedForInTime()
    {
        await Seed.MessagesAsync("c", "a");
        await Seed.ScoreAsync("suspects", "c", Seed.Now + 3_000);

        Assert.InRange((await ClaimAsync()).NextLook!.Value, TimeSpan.Zero, 3 * Second);
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
        Assert.Equal([RenewAnswer.Lost], Store.Renew(0, "w1", [lease]));
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
