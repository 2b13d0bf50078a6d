using AssistantQueue.IntegrationTests.Faults;
using AssistantQueue.Redis;
using AssistantQueue.Store;

namespace AssistantQueue.IntegrationTests.Store;

/// <summary>Scripts of producers and operators of which a crash left only the beginning, whichever; <see cref="TornScriptTests"/> does it to workers.</summary>
public abstract class TornCallTests(StoreServer server) : StoreTest(server)
{
    public override Task InitializeAsync()
    {
        // What the counters say is set right when nothing waits any more.
        IsConsistent = false;
        return base.InitializeAsync();
    }

    [Fact]
    public Task Enqueue_Torn_WhatIsStoredIsClaimedAndTheRepetitionStoresWhatHasNoIdYet() => TearEverywhereAsync(async (thread, store, tearing) =>
    {
        Task<EnqueueOutcome> SendAsync(RedisQueueStore to) => to.EnqueueAsync(new EnqueueUnit(thread, [Message("a", "1"), Message("b", "2")]), Ct);

        await tearing(() => SendAsync(store));
        var expected = await StoredOnceAgainAsync(thread, ("1", "a"), ("2", "b"));
        var claimed = await DrainAsync(thread);
        Assert.Equal(EnqueueStatus.Stored, (await SendAsync(Store)).Status);
        claimed.AddRange(await DrainAsync(thread));

        Assert.Equal(expected, claimed);
    });

    [Fact]
    public Task Enqueue_BehindARunTorn_WhatIsStoredIsClaimedAfterIt() => TearEverywhereAsync(async (thread, store, tearing) =>
    {
        var lease = await Seed.RunningAsync(thread, ["a"]);

        await tearing(() => store.EnqueueAsync(new EnqueueUnit(thread, [Message("b", "2") with { WhenBusy = BusyAction.Interrupt }]), Ct));
        await CompleteAsync(lease);
        var expected = await StoredOnceAgainAsync(thread, ("2", "b"));
        await EnqueueAsync(thread, Message("b", "2"));

        Assert.Equal(expected, await DrainAsync(thread));
    });

    [Fact]
    public Task Decide_Torn_TheRepetitionWakesTheThread() => TearEverywhereAsync(async (thread, store, tearing) =>
    {
        var lease = await Seed.RunningAsync(thread, ["a"]);
        await Store.ReleaseAsync(lease, new ReleaseWrite(TimeSpan.FromDays(1), "j", true, ReleaseHold.Approval), Ct);

        await tearing(() => store.DecideAsync(thread, lease.BatchId, "c1", new ToolDecision(true, ""), Ct));
        Assert.Equal(DecideAnswer.Stored, await Store.DecideAsync(thread, lease.BatchId, "c1", new ToolDecision(true, ""), Ct));

        var batch = await ClaimOneAsync("w2");
        Assert.True(batch.Decisions["c1"].IsApproved);
        await CompleteAsync(batch.Lease);
        await ClaimAsync("w2");
        Assert.Empty(await Read.MembersAsync("held"));
    });

    [Fact]
    public Task Retry_OfAFailedBatchTorn_ItsMessagesAreClaimedInTheEnd() => TearEverywhereAsync(async (thread, store, tearing) =>
    {
        var lease = await Seed.RunningAsync(thread, ["a", "b"]);
        await FailAsync(lease);
        await EnqueueAsync(thread, Message("c"));

        var entry = (await Store.Failed.ReadAsync(lease.BatchId, Ct))!;

        await tearing(() => store.Failed.RetryAsync(entry, null, Ct));
        var claimed = await DrainAsync(thread);
        await Store.Failed.RetryAsync(entry, null, Ct);
        claimed.AddRange(await DrainAsync(thread));

        Assert.Equal(["a", "b", "c"], claimed.Distinct().Order());
        Assert.Null(await Store.Failed.ReadAsync(lease.BatchId, Ct));
    });

    [Fact]
    public Task Enqueue_TornAndCalledAgain_IsStored() => TearAndCallAgainAsync(async (thread, store) =>
    {
        Assert.Equal(EnqueueStatus.Stored, (await store.EnqueueAsync(new EnqueueUnit(thread, [Message("a", "1"), Message("b", "2")]), Ct)).Status);

        // Once, or those twice whose ids the first call did not come to.
        var lines = (await Read.WaitingAsync(thread)).ToList();
        Assert.Contains(string.Join(' ', lines), (string[])["a b", "a b b", "a b a b"]);
        Assert.Equal(lines, await DrainAsync(thread));
    });

    [Fact]
    public Task Claim_TornAndCalledAgain_GivesEachThreadABatchOfItsOwn() => TearAndCallAgainAsync(async (thread, store) =>
    {
        await EnqueueAsync(thread, Message("a"));
        await EnqueueAsync(thread + "-other", Message("b"));
        await PassAsync("due");

        var request = new ClaimRequest(0, "w1", Guid.NewGuid().ToString("N"), 10, 10, false);
        var batches = new List<ClaimedBatch>();
        try
        {
            batches.AddRange((await store.ClaimAsync(request, Ct)).Batches);
        }
        catch (StoreUnavailableException)
        {
            batches.AddRange((await store.ClaimAsync(request, Ct)).Batches);
        }

        await PassAsync("leases", "due");
        batches.AddRange((await ClaimAsync("w1")).Batches);

        Assert.Equal(2, batches.Select(b => b.Lease.BatchId).Distinct().Count());
        Assert.Equal(2, batches.Select(b => b.Lease.ThreadId).Distinct().Count());
        await DrainAsync(thread);
    });

    [Fact]
    public Task Complete_TornAndCalledAgain_ItsReplyAndItsMessagesAreKept() => TearAndCallAgainAsync(async (thread, store) =>
    {
        var lease = await Seed.RunningAsync(thread, ["a", "b"], newer: ["c"]);

        await store.CompleteAsync(lease, new CompleteWrite("reply", [], OpenDelivery: true, Keep: true), Ct);

        Assert.Equal(["c"], await DrainAsync(thread));
        Assert.Equal(["a", "b"], (await Read.HashAsync("completed:" + lease.BatchId))["messages"].Split('\n').Select(line => line.Split(' ', 4)[3]));
        Assert.Contains(" reply", (string?)await Database.ListGetByIndexAsync($"{P}:replies:{thread}", 0), StringComparison.Ordinal);
    });

    [Fact]
    public Task Fail_TornAndCalledAgain_ItsMessagesAreInTheFailedStore() => TearAndCallAgainAsync(async (thread, store) =>
    {
        var lease = await Seed.RunningAsync(thread, ["a", "b"], newer: ["c"]);

        await store.FailAsync(lease, new FailWrite("failure", FailureKind.AttemptsExhausted, [], true, null), Ct);

        Assert.Equal(["c"], await DrainAsync(thread));
        Assert.Equal(2, (await Store.Failed.ReadAsync(lease.BatchId, Ct))!.Messages.Count);
    });

    [Fact]
    public Task Retry_TornAndCalledAgain_CountsOneAttemptAndNoDeath() => TearAndCallAgainAsync(async (thread, store) =>
    {
        var lease = await Seed.RunningAsync(thread, ["a"]);

        await store.RetryAsync(lease, new RetryWrite(Second * 600, "error", "journal", false), Ct);
        await PassAsync("leases", "due");

        var batch = Assert.Single((await ClaimAsync("w2")).Batches);
        Assert.Equal(0, batch.Deaths);
        Assert.InRange(batch.FailedAttempts, 0, 1);
        await CompleteAsync(batch.Lease);
    });

    [Fact]
    public Task Retry_Torn_TwoWorkersNeverRunTheThreadAtATime() => TearEverywhereAsync(async (thread, store, tearing) =>
    {
        var lease = await Seed.RunningAsync(thread, ["a"]);
        await tearing(() => store.RetryAsync(lease, new RetryWrite(TimeSpan.Zero, "error", "journal", false), Ct));
        await PassAsync("leases");

        var one = (await ClaimAsync("w2")).Batches;
        var other = (await ClaimAsync("w3")).Batches;
        var suspect = (await ClaimAsync("w4", suspects: true)).Batches;

        await CompleteAsync(Assert.Single([.. one, .. other, .. suspect]).Lease);
    });

    // Its first call is torn, once for each number of writes, until it is whole; the store repeats it.
    private async Task TearAndCallAgainAsync(Func<string, RedisQueueStore, Task> act)
    {
        var writes = 0;
        for (var isTorn = true; isTorn; writes++)
        {
            isTorn = false;
            await using var store = NewStore(Options, TornScripts.Once(Connection, writes, () => isTorn = true));
            await act("c" + writes, store);
        }

        Assert.InRange(writes, 4, 30);
    }

    // Once for each number of writes, until the call is whole.
    private async Task TearEverywhereAsync(Func<string, RedisQueueStore, Func<Func<Task>, Task>, Task> act)
    {
        var writes = 0;
        for (var isTorn = true; isTorn; writes++)
        {
            isTorn = false;
            await using (var store = NewStore(Options, TornScripts.After(Connection, writes)))
            {
                await act("c" + writes, store, async call =>
                {
                    try
                    {
                        await call();
                    }
                    catch (Exception e) when (TornScripts.IsTearing(e))
                    {
                        isTorn = true;
                    }
                });
            }
        }

        Assert.InRange(writes, 4, 20);
    }

    // What lies there when these messages are enqueued once more: those again that have no id, although they are stored.
    private async Task<string[]> StoredOnceAgainAsync(string thread, params (string Id, string Text)[] messages)
    {
        var stored = await Read.WaitingAsync(thread);
        var again = new List<string>();
        foreach (var (id, text) in messages)
        {
            if (!await Read.ExistsAsync($"message-id:{thread.Length}:{thread}:{id}"))
            {
                again.Add(text);
            }
        }

        return [.. stored, .. again];
    }

    // Claims and completes until nothing of the thread is left.
    private async Task<List<string>> DrainAsync(string thread)
    {
        var texts = new List<string>();
        for (var round = 0; round < 3; round++)
        {
            await PassAsync("due", "leases", "suspects", "held");
            foreach (var batch in (await ClaimAsync("w2")).Batches)
            {
                texts.AddRange(Texts(batch));
                Assert.Equal(FinishAnswer.Applied, await CompleteAsync(batch.Lease));
            }
        }

        Assert.Equal(0, await Database.ListLengthAsync($"{P}:messages:{thread}"));
        return texts;
    }
}

public sealed class TornCallsOnRedisTests() : TornCallTests(StoreServer.Redis);

public sealed class TornCallsOnGarnetTests() : TornCallTests(StoreServer.Garnet);
