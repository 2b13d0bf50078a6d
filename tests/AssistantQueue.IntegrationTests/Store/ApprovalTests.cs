using AssistantQueue.Store;

namespace AssistantQueue.IntegrationTests.Store;

/// <summary>Scripts approval-read, approval-decide and release for tool calls that wait for approval.</summary>
public abstract class ApprovalTests(StoreServer server) : StoreTest(server)
{
    private static readonly ToolDecision Yes = new(IsApproved: true, ""), No = new(IsApproved: false, "too much,\nreally");

    [Fact]
    public async Task Release_ForApproval_HoldsTheThreadAndTellsWatchers()
    {
        var lease = await Seed.RunningAsync("c", ["a"], newer: ["b"]);
        var before = Seed.Now;

        var changes = await ChangesOfAsync(() => WaitAsync(lease, 0));

        Assert.Equal(["+events:c", "+held", "+request", "-leases", "~counters", "~thread:c"], changes);
        // As long as the thread may rest, and an hour more.
        Assert.InRange((await Read.LifetimeAsync("events:c"))!.Value, TimeSpan.FromMinutes(60), TimeSpan.FromMinutes(61));
        AssertIn(60 * Second, before, await Read.ScoreAsync("held", "c"));
        var waits = (await Store.ReadHistoryAsync("c", 0, Ct)).Approval!;
        Assert.Equal((lease.BatchId, "j", true), (waits.BatchId, waits.Journal, waits.Stamp > lease.Fence));
        Assert.Empty((await ClaimAsync()).Batches);
    }

    [Fact]
    public async Task Decide_ThreadThatRests_IsDueWithTheDecision()
    {
        var lease = await Seed.RunningAsync("c", ["a"], newer: ["b"]);
        await WaitAsync(lease, 0);

        var changes = await ChangesOfAsync(async () => Assert.Equal(DecideAnswer.Stored, await Store.DecideAsync("c", lease.BatchId, "call 1", No, Ct)));

        Assert.Equal(["+due", "-held", "~thread:c"], changes);
        Assert.Null((await Store.ReadHistoryAsync("c", 0, Ct)).Approval);
        var next = await ClaimOneAsync("w2");
        Assert.Equal((lease.BatchId, "j"), (next.Lease.BatchId, next.Journal));
        Assert.Equal(["a"], Texts(next));
        Assert.Equal(No, Assert.Single(next.Decisions, d => d.Key == "call 1").Value);
    }

    [Fact]
    public async Task Decide_Suspect_IsDueAmongTheSuspects()
    {
        var lease = await Seed.RunningAsync("c", ["a"]);
        await Seed.ThreadAsync("c", ("deaths", 1));
        await WaitAsync(lease, 0);

        await Store.DecideAsync("c", lease.BatchId, "c1", Yes, Ct);

        Assert.Equal(["c"], await Read.MembersAsync("suspects"));
    }

    [Fact]
    public async Task Decide_WhileTheThreadStillRuns_MakesItDueWhenItIsGivenBack()
    {
        var lease = await Seed.RunningAsync("c", ["a"]);

        Assert.Equal(["~thread:c"], await ChangesOfAsync(() => Store.DecideAsync("c", lease.BatchId, "c1", Yes, Ct)));
        await WaitAsync(lease, known: 0);

        Assert.Equal(["c"], await Read.MembersAsync("due"));
        var next = await ClaimOneAsync("w2");
        await WaitAsync(next.Lease, known: 1);
        Assert.Equal(["c"], await Read.MembersAsync("held"));
    }

    [Fact]
    public async Task Decide_Again_ChangesNothing()
    {
        var lease = await Seed.RunningAsync("c", ["a"]);
        await WaitAsync(lease, 0);
        await Store.DecideAsync("c", lease.BatchId, "c1", Yes, Ct);
        await Store.DecideAsync("c", lease.BatchId, "c10", No, Ct);

        Assert.Empty(await ChangesOfAsync(async () =>
        {
            Assert.Equal(DecideAnswer.Stored, await Store.DecideAsync("c", lease.BatchId, "c1", Yes, Ct));
            Assert.Equal(DecideAnswer.DecidedDifferently, await Store.DecideAsync("c", lease.BatchId, "c1", No, Ct));
            Assert.Equal(DecideAnswer.Missing, await Store.DecideAsync("c", "another", "c1", Yes, Ct));
            Assert.Equal(DecideAnswer.Missing, await Store.DecideAsync("nobody", lease.BatchId, "c1", Yes, Ct));
        }));
        Assert.Equal(["c1", "c10"], (await Store.ReadApprovalAsync("c", Ct))!.Decisions.Keys.Order());
        Assert.Null(await Store.ReadApprovalAsync("nobody", Ct));
    }

    [Fact]
    public async Task Decide_AgainWhileAnotherCallWaits_ChangesNothing()
    {
        var lease = await Seed.RunningAsync("c", ["a"]);
        await WaitAsync(lease, 0);
        await Store.DecideAsync("c", lease.BatchId, "c1", Yes, Ct);
        await WaitAsync((await ClaimOneAsync("w2")).Lease, known: 1);

        Assert.Empty(await ChangesOfAsync(() => Store.DecideAsync("c", lease.BatchId, "c1", Yes, Ct)));
        Assert.Equal(["+due", "-held", "~thread:c"], await ChangesOfAsync(() => Store.DecideAsync("c", lease.BatchId, "c2", Yes, Ct)));
    }

    [Fact]
    public async Task Held_UntilTheEnd_ComesBackByItself()
    {
        var lease = await Seed.RunningAsync("c", ["a"]);
        await WaitAsync(lease, 0);
        await PassAsync("held");
        await ClaimAsync(max: 0);

        var next = await ClaimOneAsync("w2");
        Assert.Equal(lease.BatchId, next.Lease.BatchId);
        // Held for another reason, it waits for nobody's approval.
        await Store.ReleaseAsync(next.Lease, new ReleaseWrite(60 * Second, null, true, ReleaseHold.NewerVersion), Ct);
        Assert.Null((await Store.ReadHistoryAsync("c", 0, Ct)).Approval);
    }

    [Fact]
    public async Task Complete_ForgetsTheDecisions()
    {
        var lease = await Seed.RunningAsync("c", ["a"], newer: ["b"]);
        await WaitAsync(lease, 0);
        await Store.DecideAsync("c", lease.BatchId, "c1", Yes, Ct);
        await CompleteAsync((await ClaimOneAsync("w2")).Lease);

        Assert.Empty((await ClaimOneAsync("w2")).Decisions);
    }

    private async Task WaitAsync(Lease lease, int known) => Assert.Equal(
        FinishAnswer.Applied,
        await Store.ReleaseAsync(lease, new ReleaseWrite(60 * Second, "j", true, ReleaseHold.Approval, known, "calls"), Ct));
}

public sealed class ApprovalOnRedisTests() : ApprovalTests(StoreServer.Redis);

public sealed class ApprovalOnGarnetTests() : ApprovalTests(StoreServer.Garnet);
