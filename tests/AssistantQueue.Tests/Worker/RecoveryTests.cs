using System.Collections.Concurrent;
using System.Text.Json;
using AssistantQueue.IntegrationTests.Store;
using AssistantQueue.Store;
using Microsoft.Extensions.Logging;

namespace AssistantQueue.Tests.Worker;

/// <summary>Lost answers, dead owners and poison.</summary>
public class RecoveryTests
{
    [Fact]
    public async Task Claim_AnswerWasLost_GetsTheSameBatchesAgainAtOnce()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        var store = rig.Connect();
        await rig.AddAsync("c1", "hi");
        var claims = 0;
        store.After = method =>
        {
            if (method == nameof(IQueueStore.ClaimAsync) && ++claims == 1)
            {
                TroubledStore.Unavailable();
            }
        };
        await rig.StartWorkerAsync(store: store);

        // The lease alone would have held the thread for 30 s.
        Assert.Equal("hi", (await rig.Handler.NextReplyAsync().WaitAsync(TimeSpan.FromSeconds(20))).Text);
        Assert.Single(rig.Backend.Runs);
    }

    [Fact]
    public async Task WakeUps_SubscribingFailsForAnyReason_IsTriedAgain()
    {
        // So many partitions that nothing but a wake-up makes the worker look within this test's patience.
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync(), partitions: 64);
        rig.Options.LockDuration = TimeSpan.FromMinutes(10);
        var store = rig.Connect();
        var tries = 0;
        var subscribed = new TaskCompletionSource();
        store.Before = method =>
        {
            if (method == nameof(IQueueStore.SubscribeToWakeUpsAsync) && ++tries <= 2)
            {
                throw new InvalidOperationException("a bug");
            }
        };
        store.After = method =>
        {
            if (method == nameof(IQueueStore.SubscribeToWakeUpsAsync))
            {
                subscribed.TrySetResult();
            }
        };
        using var looked = new CountdownEvent(64);
        store.Claimed = outcome =>
        {
            if (!looked.IsSet)
            {
                looked.Signal();
            }

            return outcome;
        };
        await rig.StartWorkerAsync(store: store);
        await subscribed.Task.WaitAsync(TestTimes.Patience);
        Assert.True(await Task.Run(() => looked.Wait(TestTimes.Patience)));

        await rig.AddAsync("c1", "hi");

        Assert.Equal("hi", (await rig.Handler.NextReplyAsync()).Text);
        Assert.Equal(3, tries);
    }

    [Fact]
    public async Task Probe_EndsWithAFaultOfTheQueuesOwn_AnotherIsSent()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        var runs = 0;
        rig.Backend.Answer = (run, _) => Interlocked.Increment(ref runs) == 1
            ? throw new AssistantBackendException(BackendErrorKind.BackendUnavailable, "The key is wrong.")
            : Task.FromResult(TestBackend.TextOf(run));
        var store = rig.Connect();
        var claims = 0;
        var broken = new TaskCompletionSource();
        store.Claimed = outcome =>
        {
            if (outcome.Batches is not [var batch] || ++claims != 2)
            {
                return outcome;
            }

            broken.SetResult();
            return outcome with { Batches = [batch with { Entries = null! }] };
        };
        await rig.AddAsync("c1", "first");
        await rig.StartWorkerAsync(store: store);
        await broken.Task.WaitAsync(TestTimes.Patience);

        await rig.AddAsync("c2", "second");

        Assert.Equal("second", (await rig.Handler.NextReplyAsync()).Text);
        Assert.Contains(rig.Logged(LogLevel.Error), r => r.Exception is NullReferenceException);
    }

    [Fact]
    public async Task Journal_AnswerWasLost_IsWrittenAgainAndTheRunGoesOn()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        var store = rig.Connect();
        var writes = 0;
        store.After = method =>
        {
            if (method == nameof(IQueueStore.WriteJournalAsync) && ++writes < 3)
            {
                TroubledStore.Unavailable();
            }
        };
        rig.Backend.Answer = async (run, token) =>
        {
            run.Journal.PostedThrough = run.Messages[^1].Sequence;
            await run.SaveAsync(token);
            return "posted";
        };
        await rig.StartWorkerAsync(store: store);
        await rig.AddAsync("c1", "hi");

        Assert.Equal("posted", (await rig.Handler.NextReplyAsync()).Text);
        Assert.Single(rig.Backend.Runs);
        Assert.Equal(3, writes);
    }

    [Fact]
    public async Task Owner_ThatCanNotRenew_StopsByItsOwnClockBeforeTheNextBegins()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        rig.Options.LockDuration = TimeSpan.FromSeconds(3);
        var halted = rig.Connect();
        var stopped = new TaskCompletionSource();
        var runs = 0;
        rig.Backend.Answer = async (run, token) =>
        {
            if (Interlocked.Increment(ref runs) > 1)
            {
                return "second owner";
            }

            try
            {
                await Task.Delay(Timeout.Infinite, token);
            }
            finally
            {
                Assert.Throws<LeaseLostException>(run.ThrowIfNotOwned);
                stopped.TrySetResult();
            }

            return "never";
        };
        await rig.StartWorkerAsync(store: halted);
        await rig.AddAsync("c1", "hi");
        await rig.Backend.NextAsync();
        // From here on this process knows nothing of Redis, but lives.
        halted.Before = _ => TroubledStore.Unavailable();
        await rig.StartWorkerAsync();

        Assert.Equal("second owner", (await rig.Handler.NextReplyAsync()).Text);
        Assert.True(stopped.Task.IsCompletedSuccessfully);
        Assert.Equal(0, rig.Backend.Overlaps);
        halted.Before = _ => { };
    }

    [Theory]
    [InlineData(BackendErrorKind.Transient, true)]
    [InlineData(BackendErrorKind.Transient, false)]
    [InlineData(BackendErrorKind.Permanent, true)]
    public async Task Owner_WhoseProofEndsBehindItsPost_HandsOnWhatTheApiSaidOnceItIsProvedAgain(BackendErrorKind kind, bool isRefused)
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        rig.Options.LockDuration = TimeSpan.FromSeconds(3);
        var store = rig.Connect();
        var blocked = new HashSet<string>();
        var released = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        store.Before = method =>
        {
            lock (blocked)
            {
                if (blocked.Contains(method))
                {
                    TroubledStore.Unavailable();
                }
            }
        };
        store.After = method =>
        {
            if (method is nameof(IQueueStore.ReleaseAsync) or nameof(IQueueStore.FailAsync))
            {
                released.TrySetResult();
            }
        };
        var known = new List<(string Text, string Rounds)>();
        rig.Backend.Answer = async (run, token) =>
        {
            known.Add((TestBackend.TextOf(run), string.Join(",", run.Journal.Rounds.Select(r => r.RunId ?? "unknown"))));
            if (known.Count > 1)
            {
                return "done";
            }

            run.Journal.Rounds.Add(new JournalRound { PostingAt = DateTimeOffset.UtcNow, Through = run.Messages[^1].Sequence });
            await run.SaveAsync(token);
            lock (blocked)
            {
                blocked.UnionWith([nameof(IQueueStore.Renew), nameof(IQueueStore.ClaimAsync)]);
            }

            await Task.Delay(Timeout.Infinite, token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            // The API's answer comes together with the end of the proof.
            if (isRefused)
            {
                run.Journal.Rounds.Clear();
            }
            else
            {
                run.Journal.Rounds[0].RunId = "resp_1";
            }

            await rig.AddAsync("c1", "more");
            lock (blocked)
            {
                blocked.Remove(nameof(IQueueStore.Renew));
            }

            throw new AssistantBackendException(kind, "The API said so.") { IsOutcomeUnknown = !isRefused };
        };
        await rig.StartWorkerAsync(store: store);
        await rig.AddAsync("c1", "hi");

        await released.Task.WaitAsync(TestTimes.Patience);
        lock (blocked)
        {
            blocked.Clear();
        }

        if (kind == BackendErrorKind.Permanent)
        {
            // It is no reason for another run, which would count no attempt.
            var failure = await rig.Handler.NextFailureAsync();
            await rig.Handler.NextReplyAsync();
            Assert.Equal((FailureKind.Permanent, "id-hi"), (failure.Kind, Assert.Single(failure.MessageIds)));
            Assert.Equal(["hi", "more"], rig.Backend.Runs.Select(r => r.Text));
            return;
        }

        await rig.Handler.NextReplyAsync();
        // What was refused isn't looked for, and newer messages may join it; what was taken goes on by its id.
        Assert.Equal(isRefused ? ("hi|more", "") : ("hi", "resp_1"), known[1]);
        Assert.Equal([1, 1], rig.Backend.Runs.Take(2).Select(r => r.Attempt));
    }

    [Fact]
    public async Task Owner_ThatLearnsThatItsLeaseIsLost_StopsAtOnceAndWritesNothing()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        await using var redis = await rig.ToRedisAsync();
        var frozen = rig.Connect();
        var told = new TaskCompletionSource();
        var release = new TaskCompletionSource();
        rig.Backend.Answer = async (run, token) =>
        {
            await using var registration = token.Register(() => told.TrySetResult());
            // Not the token: it answers although it was told to stop.
            await release.Task;
            return "first owner";
        };
        var worker = await rig.StartWorkerAsync(store: frozen);
        await rig.AddAsync("c1", "hi");
        await rig.Backend.NextAsync();
        frozen.Before = method =>
        {
            if (method is nameof(IQueueStore.Renew) or nameof(IQueueStore.ReleaseAsync) or nameof(IQueueStore.ClaimAsync))
            {
                TroubledStore.Unavailable();
            }
        };
        await rig.EndLeasesAsync();
        await rig.ClaimAsDyingWorkerAsync();
        Assert.Single((await rig.ClaimAsDyingWorkerAsync(suspects: true)).Batches);
        var before = await Snapshot.TakeAsync(redis, rig.Keys);

        frozen.Before = _ => { };
        await told.Task.WaitAsync(TestTimes.Patience);
        release.SetResult();
        await worker.StopAsync(default);

        Assert.True(rig.Handler.HasNothingMore);
        // By the store's word, not by its own clock.
        Assert.Single(rig.Log.Collector.GetSnapshot(), r => r.Id.Name == "LeaseLost");
        Assert.DoesNotContain(rig.Log.Collector.GetSnapshot(), r => r.Id.Name == "LeaseUnproven");
        // Its own record is all that a worker writes that owns nothing.
        Assert.Empty((await Snapshot.TakeAsync(redis, rig.Keys)).ChangesSince(before).Except(["~workers", "+idle", "~idle", "-idle"]));
    }

    [Fact]
    public async Task Poison_AmongHealthyThreads_RunsAloneAndEndsAsTheOnlyDeadLetter()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        await rig.AddAsync("poison", "boom");
        Assert.Single((await rig.ClaimAsDyingWorkerAsync()).Batches);
        for (var deaths = 1; deaths < rig.Options.MaxDeaths; deaths++)
        {
            await rig.EndLeasesAsync();
            await rig.ClaimAsDyingWorkerAsync();
            Assert.Equal(deaths, Assert.Single((await rig.ClaimAsDyingWorkerAsync(suspects: true)).Batches).Deaths);
        }

        // The last death is counted by the first claim of a worker that has just started.
        await rig.EndLeasesAsync();
        for (var i = 0; i < 20; i++)
        {
            await rig.AddAsync($"c{i}", "hi");
        }

        await rig.StartWorkerAsync();
        var failure = await rig.Handler.NextFailureAsync();
        for (var i = 0; i < 20; i++)
        {
            Assert.Equal("hi", (await rig.Handler.NextReplyAsync()).Text);
        }

        Assert.Equal((FailureKind.Poison, "poison"), (failure.Kind, failure.ThreadId));
        Assert.Equal(1, (await rig.Store.GetStatusAsync(default)).FailedCount);
        Assert.DoesNotContain(rig.Backend.Runs, r => r.Thread == "poison");
    }

    [Fact]
    public async Task Suspect_WhoseOwnerDiedOnce_RunsWhileNothingElseRuns()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        await rig.AddAsync("suspect", "innocent");
        Assert.Single((await rig.ClaimAsDyingWorkerAsync()).Batches);
        await rig.EndLeasesAsync();
        Assert.Equal(1, (await rig.ClaimAsDyingWorkerAsync()).SuspectsDue);

        rig.Backend.Answer = async (run, _) =>
        {
            await Task.Yield();
            return run.ThreadId == "suspect" ? $"{rig.Backend.Runs.Last().AtOnce} at once" : "hi";
        };
        for (var i = 0; i < 20; i++)
        {
            await rig.AddAsync($"c{i}", "hi");
        }

        await rig.StartWorkerAsync();
        var replies = new List<AssistantReply>();
        while (replies.Count < 21)
        {
            replies.Add(await rig.Handler.NextReplyAsync());
        }

        Assert.Equal("1 at once", replies.Single(r => r.ThreadId == "suspect").Text);
        Assert.Equal(1, rig.Backend.Runs.Single(r => r.Thread == "suspect").AtOnce);
    }

    [Fact]
    public async Task Run_TakenOverByAWorkerWhoseClockGoesAnHourBefore_IsTimedByTheClockThatBothShare()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        var saved = new TaskCompletionSource<DateTimeOffset>();
        rig.Backend.Answer = async (run, token) =>
        {
            run.Journal.IsAdoptable = true;
            await run.SaveAsync(token);
            saved.SetResult(run.Journal.StartedAt);
            await Task.Delay(Timeout.Infinite, token);
            return "";
        };
        var first = await rig.StartWorkerAsync(time: new ClockAhead(TimeSpan.FromHours(-1)));
        await rig.AddAsync("c1", "hi");
        var startedAt = await saved.Task.WaitAsync(TestTimes.Patience);
        await first.StopAsync(default);

        rig.Backend.Answer = (run, _) => Task.FromResult(TestBackend.TextOf(run));
        await rig.StartWorkerAsync(time: new ClockAhead(TimeSpan.FromHours(1)));
        var reply = await rig.Handler.NextReplyAsync();

        Assert.Equal(startedAt, reply.StartedAt);
        Assert.InRange(reply.CompletedAt - reply.StartedAt, TimeSpan.Zero, TestTimes.Patience);
    }

    /// <summary>A machine whose time of day is wrong.</summary>
    private sealed class ClockAhead(TimeSpan ahead) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + ahead;
    }
}
