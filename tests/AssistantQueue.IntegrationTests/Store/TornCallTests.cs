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
    public Task Enqueue_Torn_WhatIsStoredIsClaimedAndTheRepetitionStoresTheRest() => TearEverywhereAsync(async (thread, store, tearing) =>
    {
        Task<EnqueueOutcome> SendAsync(RedisQueueStore to) => to.EnqueueAsync(new EnqueueUnit(thread, [Message("a", "1"), Message("b", "2")]), Ct);

        await tearing(() => SendAsync(store));
        var claimed = await DrainAsync(thread);
        Assert.Equal(EnqueueStatus.Stored, (await SendAsync(Store)).Status);
        claimed.AddRange(await DrainAsync(thread));

        Assert.Equal(["a", "b"], claimed.Distinct());
    });

    [Fact]
    public Task Enqueue_BehindARunTorn_WhatIsStoredIsClaimedAfterIt() => TearEverywhereAsync(async (thread, store, tearing) =>
    {
        var lease = await Seed.RunningAsync(thread, ["a"]);

        await tearing(() => store.EnqueueAsync(new EnqueueUnit(thread, [Message("b", "2") with { WhenBusy = BusyAction.Interrupt }]), Ct));
        await CompleteAsync(lease);
        await EnqueueAsync(thread, Message("b", "2"));

        Assert.Equal(["b"], (await DrainAsync(thread)).Distinct());
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
