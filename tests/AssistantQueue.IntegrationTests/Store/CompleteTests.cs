using AssistantQueue.Store;

namespace AssistantQueue.IntegrationTests.Store;

/// <summary>Script complete: exactly the sealed messages go, the reply is kept, its delivery opened, the thread goes on.</summary>
public abstract class CompleteTests(StoreServer server) : StoreTest(server)
{
    [Fact]
    public async Task Complete_NothingNewer_LeavesOnlyReplyAndDelivery()
    {
        var lease = await Seed.RunningAsync("c", ["a", "b"]);
        var before = Seed.Now;

        var changes = await ChangesOfAsync(async () => Assert.Equal(FinishAnswer.Applied, await CompleteAsync(lease, "hello")));

        Assert.Equal(["+deliveries", "+delivery:c", "+replies:c", "+request", "-leases", "-messages:c", "-thread:c", "~counters"], changes);
        var reply = Assert.Single(await Read.ListAsync("replies:c")).Split(' ', 10);
        Assert.Equal(["r", $"{Seed.FirstSequence}", $"{Seed.FirstSequence + 1}", "b-c", $"{lease.Fence}", "1", $"{Seed.FirstSequence + 1}", "-", "hello"], reply[1..]);
        Assert.InRange(long.Parse(reply[0]), before * 1000, (Seed.Now + 1) * 1000);
        var delivery = Assert.Single(await Read.ListAsync("delivery:c")).Split(' ', 4);
        Assert.Equal(("b-c", "r", "hello"), (delivery[0], delivery[1], delivery[3]));
        AssertIn(TimeSpan.Zero, before, await Read.ScoreAsync("deliveries", "c"));
        Assert.InRange((await Read.LifetimeAsync("replies:c"))!.Value, TimeSpan.FromMinutes(59), TimeSpan.FromHours(1));
        Assert.Equal((0, 0, 2), (await Read.CounterAsync("pending"), await Read.CounterAsync("active"), await Read.CounterAsync("completed")));
    }

    [Fact]
    public async Task Complete_NewerMessages_ArmsTheThreadAtOnceAndLeavesThem()
    {
        var lease = await Seed.RunningAsync("c", ["a", "b"]);
        await EnqueueAsync("c", Message("d"), Message("e"));
        var before = Seed.Now;

        var changes = await ChangesOfAsync(() => CompleteAsync(lease, deliver: false));

        Assert.Equal(["+due", "+replies:c", "+request", "-leases", "-thread:c", "~counters", "~messages:c"], changes);
        Assert.Equal(["d", "e"], await Read.WaitingAsync("c"));
        AssertIn(TimeSpan.Zero, before, await Read.ScoreAsync("due", "c"));
        var next = await ClaimOneAsync();
        Assert.Equal(["d", "e"], Texts(next));
        Assert.NotEqual(lease.BatchId, next.Lease.BatchId);
        Assert.False(next.IsTakeover);
    }

    [Theory]
    [InlineData("head removed", new[] { "d" })]
    [InlineData("head added", new[] { "d" })]
    [InlineData("all removed", new string[0])]
    [InlineData("only newer left", new[] { "d" })]
    public async Task Complete_SomebodyElseChangedTheList_RemovesTheSealedMessagesAndNoOther(string edit, string[] left)
    {
        var lease = await Seed.RunningAsync("c", ["a", "b"], newer: ["d"]);
        IsConsistent = false;
        switch (edit)
        {
            case "head removed":
                await Database.ListLeftPopAsync(P + ":messages:c");
                break;
            case "head added":
                await Database.ListLeftPushAsync(P + ":messages:c", "5 1 1 earlier");
                break;
            case "all removed":
                await Database.KeyDeleteAsync(P + ":messages:c");
                break;
            default:
                await Database.ListTrimAsync(P + ":messages:c", 2, -1);
                break;
        }

        Assert.Equal(FinishAnswer.Applied, await CompleteAsync(lease));

        Assert.Equal(left, await Read.WaitingAsync("c"));
        Assert.Equal(left.Length == 0 ? [] : ["c"], await Read.MembersAsync("due"));
        Assert.Single(await Read.ListAsync("replies:c"));
    }

    [Fact]
    public async Task Complete_WhatCantBeReadLiesBehindTheLastKnown_StaysWithWhatIsBehindIt()
    {
        var lease = await Seed.SealedWithUnreadableSecondAsync("c");

        var write = new CompleteWrite("reply", [], OpenDelivery: false, Keep: true, BatchLast: Seed.FirstSequence);
        Assert.Equal(FinishAnswer.Applied, await Store.CompleteAsync(lease, write, Ct));

        Assert.Equal(["not ours", "b"], TextsOf(await Read.ListAsync("messages:c")));
        Assert.Equal(["c"], await Read.MembersAsync("due"));
        Assert.Equal(["a"], TextsOf((await Read.HashAsync("completed:b-c"))["messages"].Split('\n')));
        Assert.Equal((2, 0, 1), (await Read.CounterAsync("pending"), await Read.CounterAsync("active"), await Read.CounterAsync("completed")));
    }

    [Fact]
    public async Task Complete_WhatCantBeReadWasPutBeforeTheBatch_RemovesWhatWasAnswered()
    {
        IsConsistent = false;
        var lease = await Seed.RunningAsync("c", ["a", "b", "d"]);
        await Database.ListLeftPushAsync(P + ":messages:c", "not ours");

        var write = new CompleteWrite("reply", [], OpenDelivery: false, Keep: false, BatchLast: Seed.FirstSequence + 1);
        Assert.Equal(FinishAnswer.Applied, await Store.CompleteAsync(lease, write, Ct));

        Assert.Equal(["d"], TextsOf(await Read.ListAsync("messages:c")));
        Assert.Equal(["c"], await Read.MembersAsync("due"));
    }

    [Fact]
    public async Task Complete_NothingIsLeftOfWhatTheOwnerKnows_RecordsAndRemovesNoOther()
    {
        IsConsistent = false;
        var lease = await Seed.RunningAsync("c", ["a", "b"], newer: ["d"]);
        await Database.ListLeftPopAsync(P + ":messages:c");

        var write = new CompleteWrite("reply", [], OpenDelivery: false, Keep: true, BatchLast: Seed.FirstSequence);
        Assert.Equal(FinishAnswer.Applied, await Store.CompleteAsync(lease, write, Ct));

        Assert.Equal(["b", "d"], await Read.WaitingAsync("c"));
        Assert.Equal("", (await Read.HashAsync("completed:b-c"))["messages"]);
    }

    [Theory]
    [InlineData("fence")]
    [InlineData("worker")]
    [InlineData("batch")]
    public async Task Complete_NotTheOwner_ChangesNothing(string wrong)
    {
        var lease = await Seed.RunningAsync("c", ["a"]);

        Assert.Empty(await ChangesOfAsync(async () => Assert.Equal(FinishAnswer.Lost, await CompleteAsync(NotOwner(lease, wrong)))));
    }

    [Fact]
    public async Task Complete_ThreadFinishedByItsNextOwner_IsLost()
    {
        var lease = await Seed.RunningAsync("c", ["a"], leaseIn: -1);
        await CompleteAsync((await ClaimOneAsync("w1")).Lease);

        Assert.Empty(await ChangesOfAsync(async () => Assert.Equal(FinishAnswer.Lost, await CompleteAsync(lease))));
    }

    [Fact]
    public async Task Complete_ConversationsAreKeptForEverByNow_ItsEndIsLifted()
    {
        var lease = await Seed.RunningAsync("c", ["a"]);
        await Database.HashSetAsync(P + ":conversation:c", "id", "conv_1");
        await Database.KeyExpireAsync(P + ":conversation:c", TimeSpan.FromMinutes(5));

        await CompleteAsync(lease);

        Assert.Equal("conv_1", (await Read.HashAsync("conversation:c"))["id"]);
        Assert.Null(await Read.LifetimeAsync("conversation:c"));
    }

    [Fact]
    public async Task Complete_RedisLostItsData_IsVanished()
    {
        await Seed.WaitingAsync("c", -1, "a");
        var lease = (await ClaimOneAsync()).Lease;
        foreach (var key in (await Snapshot.TakeAsync(Connection, P)).Keys.Keys)
        {
            await Database.KeyDeleteAsync(P + ":" + key);
        }

        Assert.Equal(FinishAnswer.Vanished, await CompleteAsync(lease));
        await EnqueueAsync("other", Message("x"));
        Assert.Equal(FinishAnswer.Vanished, await CompleteAsync(lease));
        Assert.False(await Read.ExistsAsync("replies:c"));
    }

    [Fact]
    public async Task Complete_RepeatedRequest_IsAppliedOnce()
    {
        var c = await Seed.RunningAsync("c", ["a"], newer: ["b"]);
        var d = await Seed.RunningAsync("d", ["x"]);
        Assert.Equal("1 0 1", await Calls.CompleteAsync("r1", (c, "rc"), (c with { Fence = 3 }, "stale"), (d, "rd")));
        await Calls.ClaimAsync("w2", "t");
        await EnqueueAsync("d", Message("later"));

        Assert.Empty(await ChangesOfAsync(async () => Assert.Equal("1 0 1", await Calls.CompleteAsync("r1", (c, "rc"), (c, "stale"), (d, "rd")))));
        Assert.Single(await Read.ListAsync("replies:c"));
    }

    [Fact]
    public async Task Complete_SameBatchTwiceInACall_IsAppliedOnce()
    {
        var lease = await Seed.RunningAsync("c", ["a"], newer: ["b"]);

        Assert.Equal("1 0", await Calls.CompleteAsync("r1", (lease, "one"), (lease, "two")));

        Assert.Single(await Read.ListAsync("replies:c"));
        Assert.Equal(["b"], await Read.WaitingAsync("c"));
    }

    [Theory]
    [InlineData("conversation:c")]
    [InlineData("replies:c")]
    [InlineData("delivery:c")]
    public async Task Complete_ForeignKeyInTheSecondOfThreeBatches_IsMovedAsideAndAllAreWhole(string key)
    {
        var b = await Seed.RunningAsync("b", ["x"]);
        var c = await Seed.RunningAsync("c", ["a"], newer: ["n"]);
        var d = await Seed.RunningAsync("d", ["y"]);
        await Seed.ForeignAsync(key);

        Assert.Equal("1 1 1", await Calls.CompleteAsync("r1", (b, "rb"), (c, "rc"), (d, "rd")));

        foreach (var thread in new[] { "b", "c", "d" })
        {
            Assert.Single(await Read.ListAsync("replies:" + thread));
            Assert.Single(await Read.ListAsync("delivery:" + thread));
            Assert.Equal("r" + thread, (await Read.HashAsync("conversation:" + thread))["previous"]);
        }

        Assert.Equal("foreign", await Read.StringAsync("foreign:" + key));
        Assert.Equal(["n"], await Read.WaitingAsync("c"));
        Assert.Equal(3, (await Read.MembersAsync("deliveries")).Length);
    }

    [Fact]
    public async Task Complete_ForeignListInTheSecondOfThreeBatches_KeepsAllReplies()
    {
        IsConsistent = false;
        var b = await Seed.RunningAsync("b", ["x"]);
        var c = await Seed.RunningAsync("c", ["a"]);
        var d = await Seed.RunningAsync("d", ["y"]);
        await Seed.ForeignAsync("messages:c");

        Assert.Equal("1 1 1", await Calls.CompleteAsync("r1", (b, "rb"), (c, "rc"), (d, "rd")));

        Assert.Single(await Read.ListAsync("replies:c"));
        Assert.Empty(await Read.MembersAsync("leases"));
        Assert.Equal(0, await Read.CounterAsync("pending"));
    }

    [Fact]
    public async Task Complete_ForeignThreadInTheSecondOfThreeBatches_LosesThatOne()
    {
        IsConsistent = false;
        var b = await Seed.RunningAsync("b", ["x"]);
        var c = await Seed.RunningAsync("c", ["a"]);
        var d = await Seed.RunningAsync("d", ["y"]);
        await Seed.ForeignAsync("thread:c");

        Assert.Equal("1 0 1", await Calls.CompleteAsync("r1", (b, "rb"), (c, "rc"), (d, "rd")));

        Assert.Equal(["a"], await Read.WaitingAsync("c"));
        Assert.False(await Read.ExistsAsync("replies:c"));
    }

    [Theory]
    [InlineData("deliveries")]
    [InlineData("completed")]
    [InlineData("due")]
    public async Task Complete_ForeignKeyOfThePartition_IsRefusedWhole(string key)
    {
        IsConsistent = false;
        var lease = await Seed.RunningAsync("c", ["a"], newer: ["b"]);
        await Seed.ForeignAsync(key);

        Assert.Empty(await ChangesOfAsync(async () =>
            Assert.True((await Assert.ThrowsAsync<StoreUnavailableException>(() => CompleteAsync(lease, keep: true))).IsRefusal)));
    }

    [Fact]
    public async Task Complete_ManyReplies_KeepsTheLastTwenty()
    {
        for (var i = 0; i < 25; i++)
        {
            await EnqueueAsync("c", Message("m" + i, flush: true));
            await CompleteAsync((await ClaimOneAsync()).Lease, "r" + i);
        }

        var kept = await Read.ListAsync("replies:c");
        Assert.Equal(Enumerable.Range(5, 20).Select(i => "r" + i), kept.Select(k => k.Split(' ', 10)[9]));
        Assert.Equal(25, (await Read.ListAsync("delivery:c")).Length);
    }

    [Fact]
    public async Task Complete_ConversationChanges_AreWrittenAndKept()
    {
        Options.ConversationRetention = TimeSpan.FromDays(2);
        var lease = await Seed.RunningAsync("c", ["a"]);
        await Database.HashSetAsync(P + ":conversation:c", [new("head", "1"), new("old", "x")]);

        await CompleteAsync(lease, conversation: [new("head", "2"), new("old", null)]);

        Assert.Equal(new Dictionary<string, string> { ["head"] = "2" }, await Read.HashAsync("conversation:c"));
        Assert.InRange((await Read.LifetimeAsync("conversation:c"))!.Value, TimeSpan.FromDays(1.9), TimeSpan.FromDays(2));
    }

    [Fact]
    public async Task Complete_SecondReplyOfAThread_WaitsBehindTheFirstDelivery()
    {
        await Seed.DeliveryAsync("c", "b0", "first", dueIn: 60_000);
        var due = await Read.ScoreAsync("deliveries", "c");
        var lease = await Seed.RunningAsync("c", ["a"]);

        await CompleteAsync(lease, "second");

        Assert.Equal(["first", "second"], (await Read.ListAsync("delivery:c")).Select(d => d.Split(' ', 4)[3]));
        Assert.Equal(due, await Read.ScoreAsync("deliveries", "c"));
    }

    [Fact]
    public async Task Complete_Keep_RecordsTheBatchWithItsMessages()
    {
        var lease = await Seed.RunningAsync("c", ["a", "b"], newer: ["d"]);

        await CompleteAsync(lease, "hello", keep: true);

        var record = await Read.HashAsync("completed:b-c");
        Assert.Equal(("c", "reply", "2", "hello"), (record["thread"], record["kind"], record["count"], record["body"]));
        Assert.Equal(["a", "b"], record["messages"].Split('\n').Select(line => line.Split(' ', 4)[3]));
        Assert.Equal(["b-c"], await Read.MembersAsync("completed"));
    }

    [Fact]
    public async Task Complete_KeepMoreThanAThousand_LetsTheOldestGo()
    {
        var lease = await Seed.RunningAsync("c", ["a"]);
        await Database.SortedSetAddAsync(P + ":completed", [.. Enumerable.Range(0, 1_000).Select(i => new StackExchange.Redis.SortedSetEntry("old" + i, Seed.Now - 2_000 + i))]);
        await Database.HashSetAsync(P + ":completed:old0", "count", 1);

        await CompleteAsync(lease, keep: true);

        var kept = await Read.MembersAsync("completed");
        Assert.Equal(1_000, kept.Length);
        Assert.DoesNotContain("old0", kept);
        Assert.Contains("b-c", kept);
        Assert.False(await Read.ExistsAsync("completed:old0"));
    }

    [Fact]
    public async Task Complete_KeepAndOldOnes_LetsThoseGoWhoseTimeIsOver()
    {
        Options.CompletedRetention = TimeSpan.FromMinutes(1);
        var lease = await Seed.RunningAsync("c", ["a"]);
        await Seed.ScoreAsync("completed", "old", Seed.Now - 61_000);
        await Seed.ScoreAsync("completed", "young", Seed.Now - 30_000);
        await Database.HashSetAsync(P + ":completed:old", "count", 1);

        await CompleteAsync(lease, keep: true);

        Assert.Equal(["young", "b-c"], await Read.MembersAsync("completed"));
        Assert.False(await Read.ExistsAsync("completed:old"));
    }

    internal static Lease NotOwner(Lease lease, string wrong) => wrong switch
    {
        "fence" => lease with { Fence = lease.Fence - 1 },
        "worker" => lease with { WorkerId = "w2" },
        _ => lease with { BatchId = "b-other" },
    };
}

public sealed class CompleteOnRedisTests() : CompleteTests(StoreServer.Redis);

public sealed class CompleteOnGarnetTests() : CompleteTests(StoreServer.Garnet);
