using System.Diagnostics;
using AssistantQueue.Store;

namespace AssistantQueue.Tests.Worker;

/// <summary>Stopping is not failing: what can be adopted is given back at once, the rest gets its time, nothing is counted.</summary>
public class StopTests
{
    [Fact]
    public async Task Stop_AdoptableRun_IsGivenBackAtOnceAndGoesOnElsewhereWithTheSameAttempt()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        var posted = new TaskCompletionSource();
        rig.Backend.Answer = async (run, token) =>
        {
            if (run.Journal.LastRound is { RunId: { } known })
            {
                return "adopted " + known;
            }

            run.Journal.Rounds.Add(new JournalRound { RunId = "run_1" });
            (run.Journal.IsAdoptable, run.Journal.PostedThrough) = (true, run.Messages[^1].Sequence);
            await run.SaveAsync(token);
            posted.SetResult();
            await Task.Delay(Timeout.Infinite, token);
            return "never";
        };
        var first = await rig.StartWorkerAsync();
        await rig.AddAsync("c1", "hi");
        var before = await rig.Backend.NextAsync();
        await posted.Task.WaitAsync(TestTimes.Patience);

        var clock = Stopwatch.StartNew();
        await first.StopAsync(default);
        Assert.True(clock.Elapsed < TimeSpan.FromSeconds(10), $"took {clock.Elapsed} of 30 s");

        // Whoever asks now has it: nobody waits for a lease to end.
        var given = await ClaimAsync(rig);
        Assert.Equal((before.BatchId, 0, 0, true), (given.Lease.BatchId, given.FailedAttempts, given.Deaths, given.IsTakeover));
        await rig.Store.ReleaseAsync(given.Lease, new ReleaseWrite(TimeSpan.Zero, null, IsPosted: true), default);

        await rig.StartWorkerAsync();
        var reply = await rig.Handler.NextReplyAsync();
        Assert.Equal(("adopted run_1", 1), (reply.Text, reply.Attempt));
        Assert.Equal(before.BatchId, reply.BatchId);
        Assert.Equal(2, rig.Backend.Runs.Count);
    }

    [Fact]
    public async Task Stop_MessagesArriveMeanwhile_AreClaimedByOthersOnly()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        var release = new TaskCompletionSource();
        rig.Backend.Answer = async (run, token) =>
        {
            if (run.ThreadId == "c1")
            {
                await release.Task.WaitAsync(token);
            }

            return TestBackend.TextOf(run);
        };
        var store = rig.Connect();
        var first = await rig.StartWorkerAsync(shutdown: TimeSpan.FromMinutes(5), store: store);
        await rig.AddAsync("c1", "hi");
        await rig.Backend.NextAsync();

        var stop = first.StopAsync(default);
        var claims = 0;
        store.Before = method => claims += method == nameof(IQueueStore.ClaimAsync) ? 1 : 0;
        await rig.AddAsync("c2", "new");
        await rig.StartWorkerAsync();

        Assert.Equal("new", (await rig.Handler.NextReplyAsync()).Text);
        release.SetResult();
        Assert.Equal("hi", (await rig.Handler.NextReplyAsync()).Text);
        await stop.WaitAsync(TestTimes.Patience);
        Assert.Equal(0, claims);
    }

    [Fact]
    public async Task Stop_ARunStillEnds_NobodyWakesThisWorkerAnyMore()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        var (release, rested) = (new TaskCompletionSource(), new TaskCompletionSource());
        rig.Backend.Answer = async (run, token) =>
        {
            await release.Task.WaitAsync(token);
            return TestBackend.TextOf(run);
        };
        var store = rig.Connect();
        store.After = method =>
        {
            if (method == nameof(IQueueStore.LeaveAsync))
            {
                rested.TrySetResult();
            }
        };
        var worker = await rig.StartWorkerAsync(shutdown: TimeSpan.FromMinutes(5), store: store);
        await rig.AddAsync("c1", "hi");
        await rig.Backend.NextAsync();

        var stop = worker.StopAsync(default);
        await rested.Task.WaitAsync(TestTimes.Patience);

        Assert.Empty(await rig.MembersAsync("idle"));
        Assert.Equal([worker.WorkerId], await rig.MembersAsync("workers"));
        Assert.False(stop.IsCompleted);
        release.SetResult();
        await stop.WaitAsync(TestTimes.Patience);
    }

    [Fact]
    public async Task Stop_RunThatBecomesAdoptableWhileStopping_IsGivenBackThen()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        var post = new TaskCompletionSource();
        rig.Backend.Answer = async (run, token) =>
        {
            await post.Task.WaitAsync(token);
            run.Journal.IsAdoptable = true;
            await run.SaveAsync(token);
            await Task.Delay(Timeout.Infinite, token);
            return "never";
        };
        var worker = await rig.StartWorkerAsync(shutdown: TimeSpan.FromMinutes(5));
        await rig.AddAsync("c1", "hi");
        await rig.Backend.NextAsync();

        var stop = worker.StopAsync(default);
        post.SetResult();
        await stop.WaitAsync(TestTimes.Patience);

        Assert.True((await ClaimAsync(rig)).IsTakeover);
    }

    [Fact]
    public async Task Stop_RunThatNobodyCanAdopt_IsWaitedForAndItsReplyIsStored()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        var go = new TaskCompletionSource();
        rig.Backend.Answer = async (_, token) =>
        {
            await go.Task.WaitAsync(token);
            return "in time";
        };
        var worker = await rig.StartWorkerAsync();
        var receipt = await rig.AddAsync("c1", "hi");
        await rig.Backend.NextAsync();
        var later = await rig.AddAsync("c2", "too late");

        // The second thread may be claimed before the stop; its answer waits as well.
        var stop = worker.StopAsync(default);
        go.SetResult();
        await stop.WaitAsync(TestTimes.Patience);

        Assert.Equal(ReplyState.Replied, (await rig.Store.FindReplyAsync("c1", receipt.Sequence, default)).State);
        // Delivered by the stopping worker itself: there may be no other for a while.
        Assert.Equal("in time", (await rig.Handler.NextReplyAsync()).Text);
        Assert.NotEqual(ReplyState.Unknown, (await rig.Store.FindReplyAsync("c2", later.Sequence, default)).State);
    }

    [Fact]
    public async Task Stop_RunThatDoesNotEnd_IsGivenBackBeforeTheShutdownTimeIsOverWithoutCounting()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        rig.Backend.Answer = async (_, token) =>
        {
            await Task.Delay(Timeout.Infinite, token);
            return "never";
        };
        var worker = await rig.StartWorkerAsync(shutdown: TimeSpan.FromSeconds(4));
        await rig.AddAsync("c1", "hi");
        await rig.Backend.NextAsync();

        var clock = Stopwatch.StartNew();
        await worker.StopAsync(default);

        Assert.InRange(clock.Elapsed.TotalSeconds, 1.9, 4);
        var batch = await ClaimAsync(rig);
        Assert.Equal((0, 0, true), (batch.FailedAttempts, batch.Deaths, batch.IsTakeover));
    }

    [Fact]
    public async Task Stop_RedisIsAway_EndsWithinTheShutdownTime()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        var store = rig.Connect();
        rig.Backend.Answer = async (_, token) =>
        {
            await Task.Delay(Timeout.Infinite, token);
            return "never";
        };
        var worker = await rig.StartWorkerAsync(shutdown: TimeSpan.FromSeconds(4), store);
        await rig.AddAsync("c1", "hi");
        await rig.Backend.NextAsync();
        store.Before = _ => TroubledStore.Unavailable();

        var clock = Stopwatch.StartNew();
        await worker.StopAsync(default);

        Assert.InRange(clock.Elapsed.TotalSeconds, 0, 6);
    }

    [Fact]
    public async Task Start_RedisIsAway_DoesNotHoldUpTheHostAndWorksWhenItIsThere()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        var store = rig.Connect();
        store.Before = _ => TroubledStore.Unavailable();
        await rig.StartWorkerAsync(store: store).WaitAsync(TestTimes.Patience);
        await rig.AddAsync("c1", "hi");

        store.Before = _ => { };

        Assert.Equal("hi", (await rig.Handler.NextReplyAsync()).Text);
    }

    [Fact]
    public async Task Stop_HandlerAtWork_GetsItsTimeAndIsRepeatedElsewhereIfThatIsNotEnough()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        var begun = new TaskCompletionSource();
        var slow = new TestHandler
        {
            Reply = async (_, token) =>
            {
                begun.TrySetResult();
                await Task.Delay(Timeout.Infinite, token);
            },
        };
        var worker = await rig.StartWorkerAsync(shutdown: TimeSpan.FromSeconds(4), handler: slow);
        await rig.AddAsync("c1", "hi");
        await begun.Task.WaitAsync(TestTimes.Patience);
        await worker.StopAsync(default);

        await rig.StartWorkerAsync();

        Assert.Equal("hi", (await rig.Handler.NextReplyAsync()).Text);
        Assert.Single(rig.Backend.Runs);
    }

    [Fact]
    public async Task Stop_BackendTakesItsCancellationForABrokenConnection_StillCountsNoAttempt()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        rig.Backend.Answer = async (_, token) =>
        {
            var told = new TaskCompletionSource();
            await using var registration = token.Register(told.SetResult);
            await told.Task;
            throw new AssistantBackendException(BackendErrorKind.Transient, "The connection was closed.");
        };
        var worker = await rig.StartWorkerAsync(shutdown: TimeSpan.FromSeconds(2));
        await rig.AddAsync("c1", "hi");
        await rig.Backend.NextAsync();

        await worker.StopAsync(default);

        Assert.Equal(0, (await ClaimAsync(rig)).FailedAttempts);
    }

    private static async Task<ClaimedBatch> ClaimAsync(WorkerRig rig) => Assert.Single((await rig.ClaimAsDyingWorkerAsync()).Batches);
}
