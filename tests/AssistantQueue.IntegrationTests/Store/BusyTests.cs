using AssistantQueue.Store;

namespace AssistantQueue.IntegrationTests.Store;

/// <summary>What messages do to a run under way: refused and wishing ones (script enqueue), interruptions (release), joining (join); and a typing user (typing).</summary>
public abstract class BusyTests(StoreServer server) : StoreTest(server)
{
    private const string Steering = "{\"busy\":\"steer\",\"id\":\"x\"}";

    [Fact]
    public async Task Enqueue_RejectBehindARun_StoresNothingOfItsUnitAndTheOthersWhole()
    {
        await Seed.RunningAsync("c", ["a"]);

        EnqueueOutcome[] outcomes = [];
        var changes = await ChangesOfAsync(async () => outcomes = await Task.WhenAll(
            Store.EnqueueAsync(new EnqueueUnit("c", [Message("b", "k1"), Message("c", "k2") with { WhenBusy = BusyAction.Reject }]), Ct),
            Store.EnqueueAsync(new EnqueueUnit("d", [Message("b") with { WhenBusy = BusyAction.Reject }]), Ct)));

        Assert.Equal([EnqueueStatus.Busy, EnqueueStatus.Stored], outcomes.Select(o => o.Status));
        Assert.Equal(["a"], await Read.WaitingAsync("c"));
        Assert.DoesNotContain(changes, change => change.Contains("k1", StringComparison.Ordinal) || change.Contains(":c", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Enqueue_RejectWhenNothingRuns_IsStored()
    {
        await Seed.WaitingAsync("waiting", 5_000, "a");
        await Seed.WaitingAsync("pausing", 5_000, "a");
        await Seed.ThreadAsync("pausing", ("batch", "b"), ("fence", 7), ("attempts", "1:1"));

        foreach (var thread in (string[])["idle", "waiting", "pausing"])
        {
            Assert.Equal(EnqueueStatus.Stored, (await EnqueueAsync(thread, Message("b") with { WhenBusy = BusyAction.Reject })).Status);
        }
    }

    [Fact]
    public async Task Enqueue_InterruptAndSteerBehindARun_TellItsWorkerAndAreKeptForTheRenewal()
    {
        var lease = await Seed.RunningAsync("c", ["a"], worker: "w9");
        var told = System.Threading.Channels.Channel.CreateUnbounded<RunSignal>();
        await using var subscription = await Store.SubscribeToRunSignalsAsync("w9", signal => told.Writer.TryWrite(signal), Ct);

        await EnqueueAsync("c", Message("b") with { WhenBusy = BusyAction.Interrupt });
        await EnqueueAsync("c", Message("c") with { WhenBusy = BusyAction.Steer }, Message("d") with { WhenBusy = BusyAction.Steer });
        await EnqueueAsync("c", Message("e"));

        Assert.Equal(new RunSignal("c", 7, RunWish.Interrupt, null), await told.Reader.ReadAsync());
        Assert.Equal(new RunSignal("c", 7, RunWish.Join, null), await told.Reader.ReadAsync());
        Assert.Equal("IS", (await Read.HashAsync("thread:c"))["wish"]);
        Assert.Equal([new Renewal(RenewAnswer.Renewed, RunWish.Interrupt | RunWish.Join)], Store.Renew(0, "w9", [lease]).Answers);
    }

    [Fact]
    public async Task Enqueue_InterruptAndTheRunsKeyIsSomebodyElses_StoresAndSaysSo()
    {
        IsConsistent = false;
        await Seed.RunningAsync("c", ["a"]);
        await Seed.ForeignAsync("thread:c");

        Assert.Equal(EnqueueStatus.Stored, (await EnqueueAsync("c", Message("b") with { WhenBusy = BusyAction.Interrupt })).Status);
        Assert.Equal(["a", "b"], await Read.WaitingAsync("c"));
    }

    [Fact]
    public async Task Enqueue_InterruptWhenNothingRuns_WishesNothing()
    {
        await Seed.WaitingAsync("c", 5_000, "a");

        var changes = await ChangesOfAsync(() => EnqueueAsync("c", Message("b") with { WhenBusy = BusyAction.Interrupt }));

        Assert.DoesNotContain(changes, change => change.Contains("thread:c", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Enqueue_BehindABatchThatRestsAndThatTheApiMayHave_IsRefusedOrWishes()
    {
        var lease = await Seed.RunningAsync("c", ["a"]);
        await RetryAsync(lease, posted: true);

        Assert.Equal(EnqueueStatus.Busy, (await EnqueueAsync("c", Message("b") with { WhenBusy = BusyAction.Reject })).Status);
        await EnqueueAsync("c", Message("c") with { WhenBusy = BusyAction.Interrupt });
        await EnqueueAsync("c", Message("d") with { WhenBusy = BusyAction.Steer });

        var next = await ClaimOneAsync("w2");
        Assert.Equal((lease.BatchId, RunWish.Interrupt | RunWish.Join), (next.Lease.BatchId, next.Wish));
        Assert.Equal(["a"], Texts(next));
    }

    [Fact]
    public async Task Enqueue_InterruptWhileACallWaitsForApproval_MakesTheThreadDue()
    {
        var lease = await Seed.RunningAsync("c", ["a"]);
        await AwaitApprovalAsync(lease);
        await EnqueueAsync("c", Message("b"));

        var changes = await ChangesOfAsync(() => EnqueueAsync("c", Message("c") with { WhenBusy = BusyAction.Interrupt }));

        Assert.Equal(["+due", "+request", "-held", "~counters", "~messages:c", "~thread:c"], changes);
        Assert.Null((await Store.ReadHistoryAsync("c", 0, Ct)).Approval);
        var next = await ClaimOneAsync("w2");
        Assert.Equal(RunWish.Interrupt, next.Wish);
        Assert.Equal(["a"], Texts(next));
    }

    [Fact]
    public async Task Release_ForAnApprovalThatANewerMessageOvertook_IsDueAtOnce()
    {
        var lease = await Seed.RunningAsync("c", ["a"]);
        await EnqueueAsync("c", Message("b") with { WhenBusy = BusyAction.Interrupt });

        await AwaitApprovalAsync(lease);

        Assert.Equal(["c"], await Read.MembersAsync("due"));
        Assert.Empty(await Read.MembersAsync("held"));
        Assert.Equal(RunWish.Interrupt, (await ClaimOneAsync("w2")).Wish);
    }

    [Theory]
    [InlineData(2, 1_000)]
    [InlineData(100, 2)]
    public async Task Enqueue_InterruptThatDoesNotFitIntoTheBatch_WishesNothing(int messages, int characters)
    {
        (Options.MaxBatchMessages, Options.MaxBatchCharacters) = (messages, characters);
        await Seed.RunningAsync("c", ["a", "b"]);

        await EnqueueAsync("c", Message("c") with { WhenBusy = BusyAction.Interrupt }, Message("d") with { WhenBusy = BusyAction.Steer });

        Assert.DoesNotContain("wish", (await Read.HashAsync("thread:c")).Keys);
    }

    [Fact]
    public async Task Claim_AfterAnInterruption_LeavesNothingOfItsBatchOut()
    {
        var lease = await Seed.RunningAsync("c", ["a", "b"], newer: ["c"]);
        await Store.WriteJournalAsync(lease, new JournalWrite("j1", true, []), Ct);
        await Store.ReleaseAsync(lease, new ReleaseWrite(TimeSpan.Zero, "j2", false, ReleaseHold.Interrupted), Ct);
        Options.MaxBatchMessages = 1;

        var next = await ClaimOneAsync("w2");

        Assert.Equal(["a", "b"], Texts(next));
        // Also when its owner dies before it has done anything.
        await PassAsync("leases");
        Assert.Equal(["a", "b"], Texts(await ClaimOneAsync("w3")));
    }

    [Fact]
    public async Task Claim_AfterAnOwnerThatDied_BringsItsWish()
    {
        await Seed.RunningAsync("c", ["a"], leaseIn: -1);
        await Seed.ThreadAsync("c", ("wish", "I"), ("posted", "1"), ("adoptable", "1"));

        Assert.Equal(RunWish.Interrupt, (await ClaimOneAsync("w2")).Wish);
    }

    [Theory]
    [InlineData(false, new[] { "a", "b" }, RunWish.None)]
    [InlineData(true, new[] { "a" }, RunWish.Interrupt)]
    public async Task Claim_OfABatchThatWhoWantedSomethingIsIn_WantsNothingAnyMore(bool posted, string[] messages, object wish)
    {
        var lease = await Seed.RunningAsync("c", ["a"]);
        await EnqueueAsync("c", Message("b") with { WhenBusy = BusyAction.Interrupt });
        await RetryAsync(lease, posted);

        var next = await ClaimOneAsync("w2");

        Assert.Equal(messages, Texts(next));
        Assert.Equal((RunWish)wish, next.Wish);
        Assert.Equal([new Renewal(RenewAnswer.Renewed, (RunWish)wish)], Store.Renew(0, "w2", [next.Lease]).Answers);
    }

    [Fact]
    public async Task Release_Interrupted_UnsealsTheRangeAndForgetsTheWish()
    {
        var lease = await Seed.RunningAsync("c", ["a"], newer: ["b"]);
        await Seed.ThreadAsync("c", ("wish", "I"));
        await Store.WriteJournalAsync(lease, new JournalWrite("j1", true, []), Ct);

        var changes = await ChangesOfAsync(async () => Assert.Equal(
            FinishAnswer.Applied, await Store.ReleaseAsync(lease, new ReleaseWrite(TimeSpan.Zero, "j2", false, ReleaseHold.Interrupted, Told: "3 what it\nhad written"), Ct)));

        Assert.Equal(["+due", "+events:c", "+request", "-leases", "~counters", "~thread:c"], changes);
        Assert.InRange((await Read.LifetimeAsync("events:c"))!.Value, TimeSpan.FromMinutes(59), TimeSpan.FromHours(1));
        var next = await ClaimOneAsync("w2");
        Assert.Equal(("j2", 0, RunWish.None), (next.Journal, next.FailedAttempts, next.Wish));
        Assert.Equal(["a", "b"], Texts(next));
        Assert.NotEqual(lease.BatchId, next.Lease.BatchId);
        var told = Assert.Single((await Store.ReadHistoryAsync("c", 0, Ct)).Events!);
        Assert.Equal((AnnouncementKind.Interrupted, lease.BatchId, "3 what it\nhad written"), (told.Kind, told.BatchId, told.More));
        Assert.InRange(told.Stamp, lease.Fence + 1, next.Lease.Fence - 1);
    }

    [Fact]
    public async Task Events_OfAThread_AreTheLastTwoHundred()
    {
        var lease = await Seed.RunningAsync("c", ["a"]);
        // Each attempt is two: its beginning, kept at the next claim, and its retry.
        for (var i = 0; i < 105; i++)
        {
            await RetryAsync(lease);
            lease = (await ClaimOneAsync("w1")).Lease;
        }

        Assert.Equal(ThreadHistory.KeptEvents, (await Read.ListAsync("events:c")).Length);
        Assert.Equal(200, ThreadHistory.KeptEvents);
    }

    [Fact]
    public async Task Join_WaitingThatAsk_AreSealedUpToTheFirstThatDoesNot()
    {
        var lease = await Seed.RunningAsync("c", ["a"], newer: [Steering, Steering, "{\"id\":\"y\",\"text\":\"{\\\"busy\\\":\\\"steer\\\"\"}", Steering]);
        await Seed.ThreadAsync("c", ("wish", "IS"));

        IReadOnlyList<StoredEntry>? joined = null;
        var changes = await ChangesOfAsync(async () => joined = await Store.JoinAsync(lease, 1, Ct));

        Assert.Equal(["+events:c", "~counters", "~thread:c"], changes);
        Assert.Equal([Steering, Steering], joined!.Select(e => e.Body));
        var told = Assert.Single((await Store.ReadHistoryAsync("c", 0, Ct)).Events!);
        Assert.Equal((AnnouncementKind.Joined, lease.BatchId, Seed.FirstSequence + 1, Seed.FirstSequence + 2), (told.Kind, told.BatchId, told.FirstSequence, told.LastSequence));
        Assert.True(told.Stamp > lease.Fence);
        Assert.InRange((await Read.LifetimeAsync("events:c"))!.Value, TimeSpan.FromMinutes(59), TimeSpan.FromHours(1));
        var thread = await Read.HashAsync("thread:c");
        Assert.Equal(("3", $"{Seed.FirstSequence + 2}", "I", "1"), (thread["count"], thread["last"], thread["wish"], thread["posted"]));
        Assert.Equal(3, await Read.CounterAsync("active"));
        // A repeated call, its answer having been lost.
        Assert.Equal(joined, await Store.JoinAsync(lease, 1, Ct));
        Assert.Empty((await Store.JoinAsync(lease, 3, Ct))!);
        Assert.Single(await Read.ListAsync("events:c"));
        Assert.Equal(FinishAnswer.Applied, await CompleteAsync(lease));
        Assert.Equal(2, (await Read.WaitingAsync("c")).Length);
    }

    [Fact]
    public async Task Join_BehindANewerJournal_ChangesNothing()
    {
        var lease = await Seed.RunningAsync("c", ["a"], newer: [Steering]);
        await Seed.ThreadAsync("c", ("wish", "S"), ("revision", long.MaxValue / 1024));

        Assert.Empty(await ChangesOfAsync(async () => Assert.Empty((await Store.JoinAsync(lease, 1, Ct))!)));
    }

    [Theory]
    [InlineData("complete", 0)]
    [InlineData("fail", 0)]
    [InlineData("retry", 1)]
    [InlineData("retry, posted", 1)]
    [InlineData("release", 0)]
    [InlineData("release, posted", 0)]
    public async Task Finish_ByAnOwnerThatNeverSawWhatJoined_KeepsItForTheNextRun(string finish, int attempts)
    {
        var lease = await Seed.RunningAsync("c", ["a"], newer: [Steering, "later"]);
        Assert.Single((await Store.JoinAsync(lease, 1, Ct))!);
        var last = Seed.FirstSequence;

        Assert.Equal(FinishAnswer.Applied, await (finish switch
        {
            "complete" => Store.CompleteAsync(lease, new CompleteWrite("reply", [], true, true, BatchLast: last), Ct),
            "fail" => Store.FailAsync(lease, new FailWrite("failure", FailureKind.Permanent, [], true, BatchLast: last), Ct),
            "retry" or "retry, posted" => Store.RetryAsync(lease, new RetryWrite(TimeSpan.Zero, "error", "journal", finish != "retry", last), Ct),
            _ => Store.ReleaseAsync(lease, new ReleaseWrite(TimeSpan.Zero, "journal", finish != "release", BatchLast: last), Ct),
        }));

        Assert.Equal(0, await Read.CounterAsync("active"));
        var next = await ClaimOneAsync("w2");
        string[] expected = finish switch
        {
            "complete" or "fail" => [Steering, "later"],
            "retry, posted" or "release, posted" => ["a"],
            _ => ["a", Steering, "later"],
        };
        Assert.Equal(expected, Texts(next));
        Assert.Equal((attempts, attempts == 0 ? 0 : last), (next.FailedAttempts, next.AttemptedThrough));
        Assert.Equal(finish == "fail" ? 1 : 0, await Read.CounterAsync("failed"));
        if (finish == "complete")
        {
            Assert.Equal($"{last} {last}", string.Join(' ', Assert.Single(await Read.ListAsync("replies:c")).Split(' ')[2..4]));
            Assert.EndsWith(" a", (await Read.HashAsync("completed:b-c"))["messages"], StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Join_FullBatch_TakesNoMore()
    {
        Options.MaxBatchMessages = 2;
        var lease = await Seed.RunningAsync("c", ["a"], newer: [Steering, Steering]);

        Assert.Single((await Store.JoinAsync(lease, 1, Ct))!);
    }

    [Theory]
    [InlineData("{\"busy\":\"steer\",\"v\":1,\"id\":\"x\"}")]
    [InlineData("{\"busy\":\"steer\",\"id\":\"x")]
    [InlineData("{\"busy\":\"steer\",\"id\":\"x\",\"text\":\"of the many characters that are more than the batch takes\"}")]
    public async Task Join_NewerBrokenOrTooLong_WaitsForABatchOfItsOwn(string body)
    {
        Options.MaxBatchCharacters = 60;
        var lease = await Seed.RunningAsync("c", ["a"], newer: [Steering, body, Steering]);

        Assert.Equal([Steering], (await Store.JoinAsync(lease, 1, Ct))!.Select(e => e.Body));
    }

    [Fact]
    public async Task Join_FenceOfAnEarlierOwner_ChangesNothing()
    {
        var lease = await Seed.RunningAsync("c", ["a"], newer: [Steering]);

        Assert.Empty(await ChangesOfAsync(async () => Assert.Null(await Store.JoinAsync(lease with { Fence = 6 }, 1, Ct))));
    }

    [Fact]
    public async Task Typing_WaitingThread_IsHeldBackFromNowOn()
    {
        Options.MessageDelay = TimeSpan.FromSeconds(10);
        Options.MaxMessageDelay = TimeSpan.FromHours(2);
        await Seed.WaitingAsync("c", 3_000, "a");
        var before = Seed.Now;

        var changes = await ChangesOfAsync(() => Store.HoldBackAsync("c", Ct));

        Assert.Equal(["~due"], changes);
        AssertIn(10 * Second, before, await Read.ScoreAsync("due", "c"));
    }

    [Fact]
    public async Task Typing_ForLong_EndsAtTheLongestDelay()
    {
        // Seeded messages are an hour old.
        Options.MaxMessageDelay = TimeSpan.FromHours(1) + (5 * Second);
        var sequence = (await Seed.WaitingAsync("c", 1_000, "a"))[0];

        await Store.HoldBackAsync("c", Ct);

        Assert.Equal((sequence / 1000) + (long)Options.MaxMessageDelay.TotalMilliseconds, await Read.ScoreAsync("due", "c"));
    }

    [Fact]
    public async Task Typing_NothingThatCouldWait_ChangesNothing()
    {
        Options.MaxMessageDelay = TimeSpan.FromHours(2);
        await Seed.WaitingAsync("due", -1, "a");
        await Seed.WaitingAsync("far", 60_000, "a");
        await Seed.WaitingAsync("pausing", 1_000, "a");
        await Seed.ThreadAsync("pausing", ("batch", "b"), ("fence", 7));
        await Seed.RunningAsync("running", ["a"]);

        Assert.Empty(await ChangesOfAsync(async () =>
        {
            foreach (var thread in (string[])["due", "far", "pausing", "running", "idle"])
            {
                await Store.HoldBackAsync(thread, Ct);
            }
        }));
    }

    private async Task AwaitApprovalAsync(Lease lease) => Assert.Equal(
        FinishAnswer.Applied, await Store.ReleaseAsync(lease, new ReleaseWrite(60 * Second, "j", true, ReleaseHold.Approval), Ct));
}

public sealed class BusyOnRedisTests() : BusyTests(StoreServer.Redis);

public sealed class BusyOnGarnetTests() : BusyTests(StoreServer.Garnet);
