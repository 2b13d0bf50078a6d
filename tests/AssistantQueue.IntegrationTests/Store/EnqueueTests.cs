using AssistantQueue.IntegrationTests.Redis;
using AssistantQueue.Store;

namespace AssistantQueue.IntegrationTests.Store;

/// <summary>Script enqueue: what is stored, when its thread is due, what a repeated or refused call leaves behind.</summary>
public abstract class EnqueueTests(StoreServer server) : StoreTest(server)
{
    private const int Unchanged = -1;
    private const int Nothing = -2;

    public static TheoryData<string, WindowKind, string, int, int, string[], int?, bool, int> DueTimes { get; } = new()
    {
        // what, window, state, age of the oldest, due in, waiting, own delay, flush, due after the call in (ms)
        { "idle", WindowKind.Fixed, "waiting", 0, 0, [], null, false, 10_000 },
        { "idle, own delay", WindowKind.Fixed, "waiting", 0, 0, [], 86_400_000, false, 86_400_000 },
        { "idle, no delay", WindowKind.Fixed, "waiting", 0, 0, [], 0, false, 0 },
        { "idle, flush", WindowKind.Fixed, "waiting", 0, 0, [], null, true, 0 },
        { "later message", WindowKind.Fixed, "waiting", 4_000, 6_000, ["a"], null, false, Unchanged },
        { "later message after a long delay", WindowKind.Fixed, "waiting", 4_000, 86_400_000, ["a"], null, false, 10_000 },
        { "smaller delay", WindowKind.Fixed, "waiting", 4_000, 60_000, ["a"], 2_000, false, 2_000 },
        { "larger delay", WindowKind.Fixed, "waiting", 4_000, 60_000, ["a"], 90_000, false, Unchanged },
        { "flush", WindowKind.Fixed, "waiting", 4_000, 60_000, ["a"], null, true, 0 },
        { "full by count", WindowKind.Fixed, "waiting", 4_000, 60_000, ["a", "b", "c", "d"], null, false, 0 },
        { "one short of full by count", WindowKind.Fixed, "waiting", 4_000, 6_000, ["a", "b", "c"], null, false, Unchanged },
        { "full by characters", WindowKind.Fixed, "waiting", 4_000, 60_000, ["0123456789012345678901234567890123456789"], null, false, 0 },
        { "one short of full by characters", WindowKind.Fixed, "waiting", 4_000, 6_000, ["01234567890123456789012345678901234567"], null, false, Unchanged },
        { "already due", WindowKind.Fixed, "waiting", 60_000, -3_000, ["a"], null, false, Unchanged },
        { "already due, own delay", WindowKind.Fixed, "waiting", 60_000, -3_000, ["a"], 50_000, false, Unchanged },
        { "retry's pause", WindowKind.Fixed, "pausing", 60_000, 20_000, ["a"], null, false, Unchanged },
        { "retry's pause, flush", WindowKind.Fixed, "pausing", 60_000, 20_000, ["a"], null, true, Unchanged },
        { "retry's pause, full", WindowKind.Fixed, "pausing", 60_000, 20_000, ["a", "b", "c", "d"], null, false, Unchanged },
        { "suspect", WindowKind.Fixed, "suspect", 60_000, 20_000, ["a"], null, true, Unchanged },
        { "held", WindowKind.Fixed, "held", 60_000, 20_000, ["a"], null, true, Nothing },
        // When the run has ended, at once: CompleteTests.Complete_NewerMessages_ArmsTheThreadAtOnceAndLeavesThem.
        { "running", WindowKind.Fixed, "running", 60_000, 0, ["a"], null, true, Nothing },
        { "sliding, idle", WindowKind.Sliding, "waiting", 0, 0, [], null, false, 10_000 },
        { "sliding, idle, own delay above the longest", WindowKind.Sliding, "waiting", 0, 0, [], 90_000, false, 90_000 },
        { "sliding, later message", WindowKind.Sliding, "waiting", 4_000, 6_000, ["a"], null, false, 10_000 },
        { "sliding, end of the window", WindowKind.Sliding, "waiting", 55_000, 3_000, ["a"], null, false, 5_000 },
        { "sliding, own delay", WindowKind.Sliding, "waiting", 55_000, 3_000, ["a"], 30_000, false, 30_000 },
        { "sliding, smaller delay", WindowKind.Sliding, "waiting", 4_000, 60_000, ["a"], 2_000, false, 2_000 },
        { "sliding, flush", WindowKind.Sliding, "waiting", 4_000, 6_000, ["a"], null, true, 0 },
        { "sliding, full", WindowKind.Sliding, "waiting", 4_000, 6_000, ["a", "b", "c", "d"], null, false, 0 },
        { "sliding, already due", WindowKind.Sliding, "waiting", 4_000, -3_000, ["a"], null, false, Unchanged },
        { "sliding, retry's pause", WindowKind.Sliding, "pausing", 4_000, 20_000, ["a"], null, false, Unchanged },
    };

    [Theory]
    [MemberData(nameof(DueTimes))]
    public async Task Enqueue_DueTime_FollowsTheRules(
        string rule, WindowKind window, string state, int age, int dueIn, string[] waiting, int? delay, bool flush, int expected)
    {
        _ = rule;
        (Options.Window, Options.MaxBatchMessages, Options.MaxBatchCharacters) = (window, 5, 50);
        var set = state switch { "suspect" => "suspects", "held" => "held", _ => "due" };
        var before = Seed.Now;
        Seed.FirstSequence = (before - age) * 1000;
        if (state == "running")
        {
            await Seed.RunningAsync("c", waiting);
        }
        else if (waiting.Length > 0)
        {
            await Seed.MessagesAsync("c", waiting);
            await Seed.ScoreAsync(set, "c", Seed.Now + dueIn);
        }

        if (state is "pausing" or "suspect")
        {
            await Seed.ThreadAsync("c", ("fence", 5), ("batch", "b"), ("attempts", $"{Seed.FirstSequence}:1"));
        }

        var (dueBefore, setBefore) = (await Read.ScoreAsync("due", "c"), await Read.ScoreAsync(set, "c"));

        var receipt = Assert.Single((await EnqueueAsync("c", Message("0123456789", delay: delay is { } ms ? TimeSpan.FromMilliseconds(ms) : null, flush: flush))).Receipts);

        var due = await Read.ScoreAsync("due", "c");
        switch (expected)
        {
            case Nothing:
                Assert.Null(due);
                Assert.Null(receipt.DueAt);
                break;
            case Unchanged:
                Assert.Equal(dueBefore, due);
                Assert.Equal(setBefore, receipt.DueAt?.ToUnixTimeMilliseconds());
                break;
            default:
                AssertIn(TimeSpan.FromMilliseconds(expected), before, due);
                Assert.Equal(due, receipt.DueAt?.ToUnixTimeMilliseconds());
                break;
        }

        Assert.Equal(setBefore is null || set == "due" ? await Read.ScoreAsync(set, "c") : setBefore, await Read.ScoreAsync(set, "c"));
        string[] stored = [.. waiting, "0123456789"];
        Assert.Equal(stored, await Read.WaitingAsync("c"));
    }

    [Fact]
    public async Task Enqueue_IdleThread_WritesItsKeysAndNoOther()
    {
        var before = Seed.Now;
        var changes = await ChangesOfAsync(async () => await EnqueueAsync("c", Message("hi", "m1"), Message("there")));

        Assert.Equal(["+counters", "+due", "+message-id:1:c:m1", "+messages:c", "+request"], changes);
        var sequences = await Read.SequencesAsync("c");
        Assert.InRange(sequences[0], before * 1000, (Seed.Now + 1) * 1000);
        Assert.Equal($"{sequences[0]} 2 2 hi", (await Read.ListAsync("messages:c"))[0]);
        Assert.Equal($"{sequences[1]} 7 5 there", (await Read.ListAsync("messages:c"))[1]);
        Assert.Equal(2, await Read.CounterAsync("pending"));
        Assert.Equal(1, await Read.CounterAsync("layout"));
        Assert.InRange((await Read.LifetimeAsync("message-id:1:c:m1"))!.Value, TimeSpan.FromHours(23.9), TimeSpan.FromHours(24));
    }

    [Fact]
    public async Task Enqueue_BehindARun_TouchesNeitherDueNorBatch()
    {
        await Seed.RunningAsync("c", ["a"]);

        var changes = await ChangesOfAsync(async () => await EnqueueAsync("c", Message("b")));

        Assert.Equal(["+request", "~counters", "~messages:c"], changes);
    }

    [Fact]
    public async Task Enqueue_ThreadFull_StoresNothingOfTheUnitAndTheOthersWhole()
    {
        Options.MaxPendingMessages = 3;
        await Seed.WaitingAsync("full", 5_000, "a", "b");

        var outcome = await Calls.RunAsync(
            AssistantQueue.Redis.RedisScript.Enqueue, "r", ScriptCalls.Kept, 10_000, "fixed", 60_000, 100, 200_000, 3, 1_000, 3,
            "one", 1, "x", "0", "", "0", "C", 1, "x",
            "full", 2, "k1", "1", "", "1", "C", 1, "c", "k2", "1", "", "0", "C", 1, "d",
            "full", 1, "k3", "1", "", "0", "C", 1, "e");

        var lines = ((string)outcome!).Split('\n');
        Assert.StartsWith("S ", lines[0], StringComparison.Ordinal);
        Assert.Equal("F", lines[1]);
        Assert.StartsWith("S ", lines[2], StringComparison.Ordinal);
        Assert.Equal(["x"], await Read.WaitingAsync("one"));
        Assert.Equal(["a", "b", "e"], await Read.WaitingAsync("full"));
        AssertIn(TimeSpan.FromSeconds(5), Seed.Now - 60_000 + 5_000, await Read.ScoreAsync("due", "full"));
        Assert.False(await Read.ExistsAsync("message-id:4:full:k1"));
        Assert.Equal(4, await Read.CounterAsync("pending"));
    }

    [Fact]
    public async Task Enqueue_UnitLargerThanTheLimit_IsRefusedWhole()
    {
        Options.MaxPendingMessages = 2;

        var changes = await ChangesOfAsync(async () =>
            Assert.Equal(EnqueueStatus.ThreadFull, (await EnqueueAsync("c", Message("a"), Message("b"), Message("c"))).Status));

        Assert.Equal(["+request"], changes);
    }

    [Fact]
    public async Task Enqueue_OnlyKnownMessagesToAFullThread_GivesTheirReceipts()
    {
        var first = (await EnqueueAsync("c", Message("a", "m1"))).Receipts[0];
        Options.MaxPendingMessages = 1;

        var again = await EnqueueAsync("c", Message("a", "m1"));

        Assert.Equal(EnqueueStatus.Stored, again.Status);
        Assert.Equal(first with { IsDuplicate = true }, again.Receipts[0]);
    }

    [Fact]
    public async Task Enqueue_SeveralUnitsOfAThreadInACall_AreOneList()
    {
        var outcome = await Calls.EnqueueAsync("r", ("c", [("", "a"), ("", "b")]), ("d", [("", "x")]), ("c", [("", "c")]));

        Assert.Equal(3, outcome.Length);
        Assert.Equal(["a", "b", "c"], await Read.WaitingAsync("c"));
        Assert.Equal(["x"], await Read.WaitingAsync("d"));
        Assert.Equal((await Read.SequencesAsync("c"))[2], long.Parse(outcome[2].Split(' ')[1].Split(':')[0]));
        Assert.Equal("3 1", string.Join(' ', (await Read.ListAsync("messages:c"))[2].Split(' ')[1..3]));
        Assert.Equal(4, await Read.CounterAsync("pending"));
    }

    [Fact]
    public async Task Enqueue_ManyMessagesInAUnit_AreAllStoredInOrder()
    {
        Options.MaxPendingMessages = 3_000;
        var texts = Enumerable.Range(0, 2_222).Select(i => $"m{i}").ToArray();

        await EnqueueAsync("c", [.. texts.Select(t => Message(t))]);

        Assert.Equal(texts, await Read.WaitingAsync("c"));
    }

    [Fact]
    public async Task Enqueue_SameIdAgain_GivesTheFirstReceiptAndStoresNothing()
    {
        var first = (await EnqueueAsync("c", Message("a", "m1"))).Receipts[0];
        EnqueueOutcome? again = null;

        var changes = await ChangesOfAsync(async () => again = await EnqueueAsync("c", Message("other text", "m1")));

        Assert.Equal(["+request"], changes);
        Assert.Equal(first with { IsDuplicate = true }, again!.Receipts[0]);
        Assert.Equal(["a"], await Read.WaitingAsync("c"));
    }

    [Fact]
    public async Task Enqueue_SameIdAndANewOne_StoresTheNewOne()
    {
        await EnqueueAsync("c", Message("a", "m1"));

        var again = await EnqueueAsync("c", Message("a", "m1"), Message("b", "m2"));

        Assert.Equal([true, false], again.Receipts.Select(r => r.IsDuplicate));
        Assert.Equal(["a", "b"], await Read.WaitingAsync("c"));
    }

    [Fact]
    public async Task Enqueue_SameIdTwiceInACall_IsStoredOnce()
    {
        var outcome = await Calls.EnqueueAsync("r", ("c", [("m1", "a")]), ("c", [("m1", "a"), ("m2", "b")]));

        Assert.Equal(["a", "b"], await Read.WaitingAsync("c"));
        Assert.EndsWith(":0", outcome[0], StringComparison.Ordinal);
        Assert.Equal(outcome[0][..^1] + "1", "S " + outcome[1].Split(' ')[1]);
        Assert.Equal(2, await Read.CounterAsync("pending"));
    }

    [Fact]
    public async Task Enqueue_SameIdTwiceInAUnit_IsStoredOnce()
    {
        var outcome = await EnqueueAsync("c", Message("a", "m1"), Message("b"), Message("a again", "m1"));

        Assert.Equal(["a", "b"], await Read.WaitingAsync("c"));
        Assert.Equal([false, false, true], outcome.Receipts.Select(r => r.IsDuplicate));
        Assert.Equal(outcome.Receipts[0].Sequence, outcome.Receipts[2].Sequence);
        Assert.Equal(2, await Read.CounterAsync("pending"));
    }

    [Fact]
    public async Task Enqueue_SameIdInTwoThreads_AreTwoMessages()
    {
        await EnqueueAsync("c", Message("a", "m1"));
        await EnqueueAsync("d", Message("b", "m1"));

        Assert.Equal(["a"], await Read.WaitingAsync("c"));
        Assert.Equal(["b"], await Read.WaitingAsync("d"));
    }

    [Fact]
    public async Task Enqueue_ThreadAndIdThatReadTheSameWhenJoined_AreTwoMessages()
    {
        await EnqueueAsync("whatsapp", Message("a", "49:m1"));

        var other = await EnqueueAsync("whatsapp:49", Message("b", "m1"));

        Assert.False(other.Receipts[0].IsDuplicate);
        Assert.Equal(["b"], await Read.WaitingAsync("whatsapp:49"));
        Assert.Equal(other.Receipts[0].Sequence, await Store.FindMessageAsync("whatsapp:49", "m1", Ct));
        Assert.NotEqual(other.Receipts[0].Sequence, await Store.FindMessageAsync("whatsapp", "49:m1", Ct));
    }

    [Fact]
    public async Task Enqueue_NoDeduplicationWindow_RemembersNoId()
    {
        Options.DeduplicationWindow = TimeSpan.Zero;

        var outcome = await EnqueueAsync("c", Message("a", "m1"), Message("b", "m1"));
        await EnqueueAsync("c", Message("c", "m1"));

        Assert.Equal([false, false], outcome.Receipts.Select(r => r.IsDuplicate));
        Assert.Equal(["a", "b", "c"], await Read.WaitingAsync("c"));
        Assert.False(await Read.ExistsAsync("message-id:1:c:m1"));
    }

    [Fact]
    public async Task Enqueue_RefusedUnit_LeavesItsIdsFree()
    {
        Options.MaxPendingMessages = 1;
        await EnqueueAsync("c", Message("a", "m1"));
        await EnqueueAsync("c", Message("b", "m2"));
        Options.MaxPendingMessages = 2;

        var later = await EnqueueAsync("c", Message("b", "m2"));

        Assert.False(later.Receipts[0].IsDuplicate);
        Assert.Equal(["a", "b"], await Read.WaitingAsync("c"));
    }

    [Fact]
    public async Task Enqueue_RepeatedRequest_GivesTheSameOutcomeAlsoAfterOtherCalls()
    {
        var first = await Calls.EnqueueAsync("r1", ("c", [("", "a"), ("m", "b")]));
        await Calls.EnqueueAsync("r2", ("c", [("", "c")]));
        await Calls.ClaimAsync("w1", "t");

        var changes = await ChangesOfAsync(async () => Assert.Equal(first, await Calls.EnqueueAsync("r1", ("c", [("", "a"), ("m", "b")]))));

        Assert.Empty(changes);
        Assert.Equal(["a", "b", "c"], await Read.WaitingAsync("c"));
    }

    [Fact]
    public async Task Enqueue_ForeignListInTheSecondOfThreeUnits_StoresTheOthersWholeAndNothingOfIt()
    {
        IsConsistent = false;
        await Seed.ForeignAsync("messages:c");

        await AssertSecondOfThreeIsCorruptAsync();
    }

    [Fact]
    public async Task Enqueue_LastEntryIsNotOurs_IsCorrupt()
    {
        IsConsistent = false;
        await Database.ListRightPushAsync(P + ":messages:c", "not ours");

        var outcome = await EnqueueAsync("c", Message("a"));

        Assert.Equal(EnqueueStatus.Corrupt, outcome.Status);
        Assert.Equal(["not ours"], await Read.ListAsync("messages:c"));
    }

    [Fact]
    public async Task Enqueue_ForeignIdleOrWorkers_IsStoredAllTheSame()
    {
        IsConsistent = false;
        await Seed.ForeignAsync("idle");
        await Seed.ForeignAsync("workers");

        Assert.Equal(EnqueueStatus.Stored, (await EnqueueAsync("c", Message("a"))).Status);
        Assert.Equal(["a"], await Read.WaitingAsync("c"));
    }

    [Theory]
    [InlineData("fence")]
    [InlineData("sequence")]
    public async Task Enqueue_CountersAheadOfTheClock_SequenceComesAfterThem(string counter)
    {
        var ahead = (Seed.Now + 3_600_000) * 1000;
        await Seed.SetCounterAsync(counter, ahead);

        await EnqueueAsync("c", Message("a"), Message("b"));

        Assert.Equal([ahead + 1, ahead + 2], await Read.SequencesAsync("c"));
    }

    [Fact]
    public async Task Enqueue_LastMessageAheadOfTheClock_SequenceComesAfterIt()
    {
        Seed.FirstSequence = (Seed.Now + 3_600_000) * 1000;
        await Seed.WaitingAsync("c", 1_000, "a");

        await EnqueueAsync("c", Message("b"));

        Assert.Equal([Seed.FirstSequence, Seed.FirstSequence + 1], await Read.SequencesAsync("c"));
    }

    [Fact]
    public async Task Enqueue_ThreadThatLostItsDueTime_GetsOneAgain()
    {
        await Seed.MessagesAsync("c", "a");

        await EnqueueAsync("c", Message("b"));

        Assert.NotNull(await Read.ScoreAsync("due", "c"));
    }

    private protected async Task AssertSecondOfThreeIsCorruptAsync()
    {
        var outcome = await Calls.EnqueueAsync("r", ("b", [("", "x")]), ("c", [("m1", "a"), ("m2", "b")]), ("d", [("", "y")]));

        Assert.Equal("C", outcome[1]);
        Assert.Equal(["x"], await Read.WaitingAsync("b"));
        Assert.Equal(["y"], await Read.WaitingAsync("d"));
        Assert.False(await Read.ExistsAsync("message-id:1:c:m1"));
        Assert.Null(await Read.ScoreAsync("due", "c"));
        Assert.Equal(2, await Read.CounterAsync("pending"));
    }
}

public sealed class EnqueueOnRedisTests() : EnqueueTests(StoreServer.Redis)
{
    // Garnet gives null for a string's value where a list lies, and then writes the string.
    [RedisServerFact(ButNotGarnet = true)]
    public async Task Enqueue_ForeignMessageIdInTheSecondOfThreeUnits_StoresTheOthersWholeAndNothingOfIt()
    {
        await Database.ListRightPushAsync(P + ":message-id:1:c:m2", "foreign");

        await AssertSecondOfThreeIsCorruptAsync();
    }
}

public sealed class EnqueueOnGarnetTests() : EnqueueTests(StoreServer.Garnet);
