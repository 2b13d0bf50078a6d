using AssistantQueue.Store;
using StackExchange.Redis;

namespace AssistantQueue.IntegrationTests.Store;

/// <summary>Script fail: the batch goes to the failed store with its messages, the thread goes on.</summary>
public abstract class FailTests(StoreServer server) : StoreTest(server)
{
    [Fact]
    public async Task Fail_WholeBatch_MovesItToTheFailedStore()
    {
        var lease = await Seed.RunningAsync("c", ["a", "b"], newer: ["d"]);
        await Store.WriteJournalAsync(lease, new JournalWrite("j1", false, []), Ct);
        var before = Seed.Now;

        var changes = await ChangesOfAsync(async () => Assert.Equal(FinishAnswer.Applied, await FailAsync(lease)));

        Assert.Equal(
            ["+deliveries", "+delivery:c", "+due", "+failed", "+failed:b-c", "+replies:c", "+request", "-leases", "-thread:c", "~counters", "~messages:c"],
            changes);
        var record = await Read.HashAsync("failed:b-c");
        Assert.Equal(("c", "AttemptsExhausted", "2", "failure"), (record["thread"], record["kind"], record["count"], record["body"]));
        Assert.Equal(["a", "b"], record["messages"].Split('\n').Select(line => line.Split(' ', 4)[3]));
        Assert.Equal(("j1", $"{Seed.FirstSequence}", $"{Seed.FirstSequence + 1}"), (record["journal"], record["first"], record["last"]));
        AssertIn(TimeSpan.Zero, before, await Read.ScoreAsync("failed", "b-c"));
        AssertIn(TimeSpan.Zero, before, await Read.ScoreAsync("due", "c"));
        Assert.Equal(["d"], await Read.WaitingAsync("c"));
        Assert.Equal((1, 0, 2), (await Read.CounterAsync("pending"), await Read.CounterAsync("active"), await Read.CounterAsync("failed")));
        var outcome = Assert.Single(await Read.ListAsync("replies:c")).Split(' ', 10);
        Assert.Equal(
            ["f", $"{Seed.FirstSequence}", $"{Seed.FirstSequence + 1}", "b-c", $"{lease.Fence}", "1", $"{Seed.FirstSequence + 1}", $"{Seed.FirstSequence},1", "failure"],
            outcome[1..]);
        var next = await ClaimOneAsync();
        Assert.Equal((0, false), (next.FailedAttempts, next.IsTakeover));
        Assert.Null(next.Journal);
    }

    [Fact]
    public async Task Fail_NothingNewerAndNoDelivery_LeavesTheThreadIdle()
    {
        var lease = await Seed.RunningAsync("c", ["a"]);

        var changes = await ChangesOfAsync(() => FailAsync(lease, deliver: false));

        Assert.Equal(["+failed", "+failed:b-c", "+replies:c", "+request", "-leases", "-messages:c", "-thread:c", "~counters"], changes);
    }

    [Fact]
    public async Task Fail_OlderPartOfTheBatch_LeavesTheNewerWithTheirAttempts()
    {
        await Seed.WaitingAsync("c", -1, "a", "b");
        await RetryAsync((await ClaimOneAsync()).Lease);
        var later = (await EnqueueAsync("c", Message("d"), Message("e"))).Receipts;
        var batch = await ClaimOneAsync();
        Assert.Equal(["a", "b", "d", "e"], Texts(batch));

        Assert.Equal(FinishAnswer.Applied, await FailAsync(batch.Lease, batch.AttemptedThrough));

        Assert.Equal(["d", "e"], await Read.WaitingAsync("c"));
        var record = await Read.HashAsync("failed:" + batch.Lease.BatchId);
        Assert.Equal(["a", "b"], record["messages"].Split('\n').Select(line => line.Split(' ', 4)[3]));
        Assert.Equal(("2", $"{batch.AttemptedThrough}"), (record["count"], record["last"]));
        var outcome = Assert.Single(await Read.ListAsync("replies:c")).Split(' ', 10);
        Assert.Equal([$"{Seed.FirstSequence}", $"{Seed.FirstSequence + 1}"], outcome[2..4]);
        // How the run began that failed for all four, and the two that are given up.
        Assert.Equal([$"{batch.Lease.Fence}", "2", $"{later[1].Sequence}", $"{Seed.FirstSequence},1"], outcome[5..9]);
        Assert.Equal((2, 0, 2), (await Read.CounterAsync("pending"), await Read.CounterAsync("active"), await Read.CounterAsync("failed")));
        var next = await ClaimOneAsync();
        Assert.Equal(["d", "e"], Texts(next));
        Assert.Equal((1, later[1].Sequence), (next.FailedAttempts, next.AttemptedThrough));
        Assert.NotEqual(batch.Lease.BatchId, next.Lease.BatchId);
        Assert.Empty(next.Errors);
        Assert.Null(next.Journal);
    }

    [Fact]
    public async Task Fail_OlderPartThatCantBeRead_CountsNoAttemptOfTheOthers()
    {
        await Seed.WaitingAsync("c", -1, "a", "b", "d");
        var batch = await ClaimOneAsync();

        var write = new FailWrite("{}", FailureKind.Corrupt, [], OpenDelivery: false, batch.FirstSequence + 1);
        Assert.Equal(FinishAnswer.Applied, await Store.FailAsync(batch.Lease, write, Ct));

        var next = await ClaimOneAsync();
        Assert.Equal(["d"], Texts(next));
        Assert.Equal((0, 0L), (next.FailedAttempts, next.AttemptedThrough));
        Assert.NotEqual(batch.Lease.BatchId, next.Lease.BatchId);
        Assert.Equal((1, 1, 2), (await Read.CounterAsync("pending"), await Read.CounterAsync("active"), await Read.CounterAsync("failed")));
    }

    [Fact]
    public async Task Fail_WhatCantBeReadLiesBehindTheLastKnown_StaysAndIsNotInTheFailedStore()
    {
        var lease = await Seed.SealedWithUnreadableSecondAsync("c");

        var write = new FailWrite("failure", FailureKind.AttemptsExhausted, [], OpenDelivery: false, BatchLast: Seed.FirstSequence);
        Assert.Equal(FinishAnswer.Applied, await Store.FailAsync(lease, write, Ct));

        Assert.Equal(["not ours", "b"], TextsOf(await Read.ListAsync("messages:c")));
        var record = await Read.HashAsync("failed:b-c");
        Assert.Equal(["a"], TextsOf(record["messages"].Split('\n')));
        Assert.Equal("1", record["count"]);
        Assert.Equal($"{Seed.FirstSequence}", Assert.Single(await Read.ListAsync("replies:c")).Split(' ', 10)[8]);
        Assert.Equal(["c"], await Read.MembersAsync("due"));
        Assert.Equal((2, 0, 1), (await Read.CounterAsync("pending"), await Read.CounterAsync("active"), await Read.CounterAsync("failed")));
    }

    [Fact]
    public async Task Fail_OlderPartBeforeWhatCantBeRead_LeavesThat()
    {
        var lease = await Seed.SealedWithUnreadableSecondAsync("c");

        var write = new FailWrite("failure", FailureKind.Corrupt, [], OpenDelivery: false, LastSequence: Seed.FirstSequence, BatchLast: Seed.FirstSequence + 2);
        Assert.Equal(FinishAnswer.Applied, await Store.FailAsync(lease, write, Ct));

        Assert.Equal(["not ours", "b"], TextsOf(await Read.ListAsync("messages:c")));
        Assert.Equal(["a"], TextsOf((await Read.HashAsync("failed:b-c"))["messages"].Split('\n')));
        Assert.Equal((2, 0, 1), (await Read.CounterAsync("pending"), await Read.CounterAsync("active"), await Read.CounterAsync("failed")));
    }

    [Fact]
    public async Task Fail_OlderPartAndMessagesBehindTheBatch_LeavesBoth()
    {
        await Seed.WaitingAsync("c", -1, "a");
        await RetryAsync((await ClaimOneAsync()).Lease);
        await EnqueueAsync("c", Message("b"));
        var batch = await ClaimOneAsync();
        await EnqueueAsync("c", Message("d"));

        await FailAsync(batch.Lease, batch.AttemptedThrough);

        Assert.Equal(["b", "d"], Texts(await ClaimOneAsync()));
    }

    [Fact]
    public async Task Fail_OlderPartOfABatchThatAProcessDiedWith_IsNoSuspectAnyMore()
    {
        await Seed.WaitingAsync("c", -1, "a");
        await RetryAsync((await ClaimOneAsync()).Lease);
        await EnqueueAsync("c", Message("b"));
        var batch = await ClaimOneAsync();
        await Seed.ThreadAsync("c", ("deaths", 1));

        await FailAsync(batch.Lease, batch.AttemptedThrough);

        Assert.Equal(["c"], await Read.MembersAsync("due"));
        Assert.Equal(0, (await ClaimOneAsync()).Deaths);
    }

    [Fact]
    public async Task Fail_LastSequenceOfTheWholeBatch_FailsItWhole()
    {
        var lease = await Seed.RunningAsync("c", ["a", "b"]);

        await FailAsync(lease, Seed.FirstSequence + 1);

        Assert.False(await Read.ExistsAsync("thread:c"));
        Assert.Equal(2, await Read.CounterAsync("failed"));
    }

    [Theory]
    [InlineData("head removed", new[] { "b" })]
    [InlineData("all removed", new string[0])]
    public async Task Fail_SomebodyElseChangedTheList_MovesWhatIsLeftAndNoNewer(string edit, string[] moved)
    {
        IsConsistent = false;
        var lease = await Seed.RunningAsync("c", ["a", "b"], newer: ["d"]);
        if (edit == "head removed")
        {
            await Database.ListLeftPopAsync(P + ":messages:c");
        }
        else
        {
            await Database.KeyDeleteAsync(P + ":messages:c");
        }

        Assert.Equal(FinishAnswer.Applied, await FailAsync(lease));

        Assert.Equal(moved, (await Read.HashAsync("failed:b-c"))["messages"].Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Split(' ', 4)[3]));
        Assert.Equal(edit == "head removed" ? ["d"] : [], await Read.WaitingAsync("c"));
        Assert.Empty(await Read.MembersAsync("leases"));
    }

    [Fact]
    public async Task Fail_EntriesThatCantBeRead_KeepTheirBytesOneAfterTheOther()
    {
        IsConsistent = false;
        await Seed.WaitingAsync("c", -1, "a");
        await Database.ListLeftPushAsync(P + ":messages:c", "second broken");
        await Database.ListLeftPushAsync(P + ":messages:c", "first broken");

        foreach (var bytes in new[] { "first broken", "second broken" })
        {
            var batch = await ClaimOneAsync();
            Assert.Equal(FinishAnswer.Applied, await FailAsync(batch.Lease));
            Assert.Equal(bytes, (await Read.HashAsync("failed:" + batch.Lease.BatchId))["messages"]);
        }

        Assert.Equal(["a"], Texts(await ClaimOneAsync()));
    }

    [Fact]
    public async Task Fail_OldOnes_LeaveTheFailedStore()
    {
        Options.FailedRetention = TimeSpan.FromMinutes(1);
        var lease = await Seed.RunningAsync("c", ["a"]);
        await SeedFailedAsync("old", Seed.Now - 61_000, 3);
        await SeedFailedAsync("young", Seed.Now - 30_000, 2);

        await FailAsync(lease);

        Assert.Equal(["young", "b-c"], await Read.MembersAsync("failed"));
        Assert.False(await Read.ExistsAsync("failed:old"));
        Assert.Equal(3, await Read.CounterAsync("failed"));
    }

    [Fact]
    public async Task Fail_MoreThanTenThousand_LetsTheOldestGo()
    {
        IsConsistent = false;
        var lease = await Seed.RunningAsync("c", ["a"]);
        var oldest = Seed.Now - 20_000;
        await Database.SortedSetAddAsync(P + ":failed", [.. Enumerable.Range(0, 10_003).Select(i => new SortedSetEntry("old" + i, oldest + i))]);
        await SeedFailedAsync("old0", oldest, 5);

        await FailAsync(lease);

        var kept = await Read.MembersAsync("failed");
        Assert.Equal(10_000, kept.Length);
        Assert.Equal("old4", kept[0]);
        Assert.Equal("b-c", kept[^1]);
        Assert.False(await Read.ExistsAsync("failed:old0"));
        Assert.Equal(1, await Read.CounterAsync("failed"));
    }

    [Theory]
    [InlineData("fence")]
    [InlineData("worker")]
    [InlineData("batch")]
    public async Task Fail_NotTheOwner_ChangesNothing(string wrong)
    {
        var lease = await Seed.RunningAsync("c", ["a"]);

        Assert.Empty(await ChangesOfAsync(async () => Assert.Equal(FinishAnswer.Lost, await FailAsync(CompleteTests.NotOwner(lease, wrong)))));
    }

    [Fact]
    public async Task Fail_RedisLostItsData_IsVanished() =>
        Assert.Equal(FinishAnswer.Vanished, await FailAsync(new Lease("c", 0, "w1", 7, "b", 0)));

    [Fact]
    public async Task Fail_JournalOfTheLastAttempt_IsKeptInsteadOfTheStoredOne()
    {
        var lease = await Seed.RunningAsync("c", ["a"]);

        await Store.FailAsync(lease, new FailWrite("failure", FailureKind.Permanent, [], true, Journal: "refused"), Ct);

        Assert.Equal("refused", (await Store.Failed.ReadAsync("b-c", Ct))!.Journal);
    }

    [Fact]
    public async Task Fail_RepeatedRequest_IsAppliedOnce()
    {
        var lease = await Seed.RunningAsync("c", ["a"], newer: ["b"]);
        Assert.Equal("1", await Calls.FailAsync("r1", lease));
        await Calls.ClaimAsync("w1", "t");

        Assert.Empty(await ChangesOfAsync(async () => Assert.Equal("1", await Calls.FailAsync("r1", lease))));
        Assert.Equal(1, await Read.CounterAsync("failed"));
    }

    [Theory]
    [InlineData("replies:c")]
    [InlineData("delivery:c")]
    public async Task Fail_ForeignKey_IsMovedAside(string key)
    {
        var lease = await Seed.RunningAsync("c", ["a"]);
        await Seed.ForeignAsync(key);

        Assert.Equal(FinishAnswer.Applied, await FailAsync(lease));

        Assert.Equal("foreign", await Read.StringAsync("foreign:" + key));
        Assert.Single(await Read.ListAsync(key));
    }

    [Theory]
    [InlineData("failed")]
    [InlineData("deliveries")]
    public async Task Fail_ForeignKeyOfThePartition_IsRefusedWhole(string key)
    {
        IsConsistent = false;
        var lease = await Seed.RunningAsync("c", ["a"]);
        await Seed.ForeignAsync(key);

        Assert.Empty(await ChangesOfAsync(() => Assert.ThrowsAsync<StoreUnavailableException>(() => FailAsync(lease))));
    }

    private async Task SeedFailedAsync(string batch, long at, int count)
    {
        await Seed.ScoreAsync("failed", batch, at);
        await Database.HashSetAsync(P + ":failed:" + batch, "count", count);
        await Seed.CounterAsync("failed", count);
    }
}

public sealed class FailOnRedisTests() : FailTests(StoreServer.Redis);

public sealed class FailOnGarnetTests() : FailTests(StoreServer.Garnet);
