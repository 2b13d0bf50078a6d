using System.Collections.Concurrent;
using System.Text.Json;
using AssistantQueue.IntegrationTests.Store;
using AssistantQueue.Store;
using Microsoft.Extensions.Logging;

namespace AssistantQueue.Tests.Worker;

/// <summary>Lost answers, dead owners, poison, and what can't be read.</summary>
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
        var isAway = true;
        rig.Backend.Answer = (run, _) => isAway
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
        await rig.Backend.NextAsync();
        isAway = false;
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
    public async Task Message_ThatCanNotBeRead_GoesToTheFailedStoreAndTheThreadGoesOn()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        await rig.AddRawAsync("c1", """{"id":"m1","text":""");
        await rig.StartWorkerAsync();

        var failure = await rig.Handler.NextFailureAsync();
        await rig.AddAsync("c1", "good");

        Assert.Equal(FailureKind.Corrupt, failure.Kind);
        Assert.Equal("good", (await rig.Handler.NextReplyAsync()).Text);
        var kept = await rig.Store.Failed.ReadAsync(failure.BatchId, default);
        Assert.Equal("""{"id":"m1","text":""", Assert.Single(kept!.Messages).Body);
    }

    [Fact]
    public async Task Message_ThatCanNotBeRead_AmongGoodOnes_FailsAloneAndTheyAreAnsweredInOrder()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        await rig.AddAsync("c1", "two");
        await rig.AddAsync("c1", "before");
        var broken = await rig.AddRawAsync("c1", """{"id":"m1","text":""");
        await rig.AddAsync("c1", "behind");
        await rig.AddAsync("c1", "it");
        await rig.StartWorkerAsync();

        var failure = await rig.Handler.NextFailureAsync();
        var (before, behind) = (await rig.Handler.NextReplyAsync(), await rig.Handler.NextReplyAsync());

        Assert.Equal((FailureKind.Corrupt, broken.Sequence, broken.Sequence), (failure.Kind, failure.FirstSequence, failure.LastSequence));
        Assert.Contains($"sequence {broken.Sequence} ", failure.Error, StringComparison.Ordinal);
        Assert.Equal([$"sequence:{broken.Sequence}"], failure.MessageIds);
        Assert.Equal(("two|before", 1), (before.Text, before.Attempt));
        Assert.Equal(("behind|it", 1), (behind.Text, behind.Attempt));
        Assert.Equal("""{"id":"m1","text":""", Assert.Single((await rig.Store.Failed.ReadAsync(failure.BatchId, default))!.Messages).Body);
    }

    [Fact]
    public async Task Message_WithoutAHeader_AmongGoodOnes_FailsAloneAndTheyAreAnsweredInOrder()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        await rig.AddAsync("c1", "before");
        await rig.AddAsync("c1", "broken");
        await rig.AddAsync("c1", "behind");
        await using var redis = await rig.ToRedisAsync();
        await redis.GetDatabase().ListSetByIndexAsync($"{rig.Keys}:messages:c1", 1, "not ours");
        await rig.StartWorkerAsync();

        var failure = await rig.Handler.NextFailureAsync();
        var replies = new[] { await rig.Handler.NextReplyAsync(), await rig.Handler.NextReplyAsync() };

        Assert.Equal(["before", "behind"], replies.Select(r => r.Text));
        Assert.Equal("not ours", Assert.Single((await rig.Store.Failed.ReadAsync(failure.BatchId, default))!.Messages).Body);
        Assert.Single((await rig.Store.Failed.ListAsync(default).ToListAsync()));
    }

    [Fact]
    public async Task Message_ThatCanNotBeRead_BehindWhatAnEarlierOwnerPosted_FailsAloneAndTheRunIsAdopted()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        var first = await rig.AddAsync("c1", "before");
        await rig.AddRawAsync("c1", """{"id":"m1","text":""");
        await rig.AddAsync("c1", "behind");
        var batch = (await rig.ClaimAsDyingWorkerAsync()).Batches[0];
        var journal = new RunJournal { Rounds = { new JournalRound { RunId = "r1", Through = first.Sequence } }, PostedThrough = first.Sequence };
        await rig.Store.WriteJournalAsync(batch.Lease, new JournalWrite(JsonSerializer.Serialize(journal, StoreJson.Journal), true, []), default);
        await rig.EndLeasesAsync();
        await rig.StartWorkerAsync();

        var failure = await rig.Handler.NextFailureAsync();
        var (before, behind) = (await rig.Handler.NextReplyAsync(), await rig.Handler.NextReplyAsync());

        Assert.Single(failure.MessageIds);
        Assert.Equal((batch.Lease.BatchId, "before"), (before.BatchId, before.Text));
        Assert.Equal("behind", behind.Text);
    }

    [Fact]
    public async Task Message_ThatCanNotBeRead_OfABatchThatTheApiMayHave_TakesTheWholeBatchWithIt()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        await rig.AddRawAsync("c1", """{"id":"m1","text":""");
        var last = await rig.AddAsync("c1", "behind");
        var batch = (await rig.ClaimAsDyingWorkerAsync()).Batches[0];
        var journal = new RunJournal { Rounds = { new JournalRound() } };
        await rig.Store.WriteJournalAsync(batch.Lease, new JournalWrite(JsonSerializer.Serialize(journal, StoreJson.Journal), true, []), default);
        await rig.EndLeasesAsync();
        await rig.StartWorkerAsync();

        var failure = await rig.Handler.NextFailureAsync();

        Assert.Equal((FailureKind.Corrupt, last.Sequence), (failure.Kind, failure.LastSequence));
        Assert.Empty(rig.Backend.Runs);
    }

    [Fact]
    public async Task Message_OfANewerVersion_IsHeldWithOneWarningAndStarvesNobody()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        var newer = await rig.AddRawAsync("newer", """{"v":2,"id":"m1","poem":"…"}""");
        await rig.AddRawAsync("newer too", """{"v":2,"id":"m1","poem":"…"}""");
        await rig.StartWorkerAsync();
        await rig.AddAsync("c1", "hi");

        Assert.Equal("hi", (await rig.Handler.NextReplyAsync()).Text);
        await rig.StopWorkersAsync();
        Assert.Equal(ReplyState.Pending, (await rig.Store.FindReplyAsync("newer", newer.Sequence, default)).State);
        Assert.Single(rig.Logged(LogLevel.Warning), r => r.Message.Contains("newer version", StringComparison.Ordinal));
        Assert.Equal(["newer", "newer too"], await HeldAsync(rig));
        Assert.Empty((await rig.ClaimAsDyingWorkerAsync()).Batches);
    }

    [Fact]
    public async Task Message_OfANewerVersion_ComesBackFromBeingHeldAndIsAnsweredByAWorkerThatKnowsIt()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        await using var redis = await rig.ToRedisAsync();
        await rig.AddRawAsync("newer", """{"v":2,"id":"m1","text":"a poem"}""");
        await rig.StartWorkerAsync();
        await rig.AddAsync("c1", "hi");
        await rig.Handler.NextReplyAsync();
        await rig.StopWorkersAsync();

        // A worker of that version would read it as this one reads its own; and the time passes for which it is held.
        var entry = (string)(await redis.GetDatabase().ListGetByIndexAsync(rig.Keys + ":messages:newer", 0))!;
        await redis.GetDatabase().ListSetByIndexAsync(rig.Keys + ":messages:newer", 0, entry.Replace("\"v\":2", "\"v\":0", StringComparison.Ordinal));
        Assert.Equal(["newer"], await HeldAsync(rig));
        await redis.GetDatabase().SortedSetAddAsync(rig.Keys + ":held", "newer", 1);
        await rig.StartWorkerAsync();

        var reply = await rig.Handler.NextReplyAsync();
        Assert.Equal(("newer", "a poem", 1), (reply.ThreadId, reply.Text, reply.Attempt));
        Assert.Equal(0, await redis.GetDatabase().SortedSetLengthAsync(rig.Keys + ":held"));
    }

    [Fact]
    public async Task Message_OfANewerVersion_IsWarnedOfOnceAMinute()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        var clock = new MovedTime();
        var store = rig.Connect(clock);
        var held = new SemaphoreSlim(0);
        store.After = method =>
        {
            if (method == nameof(IQueueStore.ReleaseAsync))
            {
                held.Release();
            }
        };
        await rig.StartWorkerAsync(store: store, time: clock);
        int[] warnings = [0, 0, 0];
        for (var i = 0; i < warnings.Length; i++)
        {
            clock.Ahead += i < 2 ? TimeSpan.Zero : TimeSpan.FromMinutes(1);
            await rig.AddRawAsync($"newer{i}", """{"v":2,"id":"m1","poem":"…"}""");
            Assert.True(await held.WaitAsync(TestTimes.Patience));
            warnings[i] = rig.Logged(LogLevel.Warning).Count(r => r.Message.Contains("newer version", StringComparison.Ordinal));
        }

        Assert.Equal([1, 1, 2], warnings);
    }

    [Fact]
    public async Task Journal_OfANewerVersion_IsHeldWithOneWarningAndStarvesNobody()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        await rig.AddAsync("newer", "hi");
        var batch = (await rig.ClaimAsDyingWorkerAsync()).Batches[0];
        await rig.Store.WriteJournalAsync(batch.Lease, new JournalWrite("""{"version":2,"poem":"…"}""", true, []), default);
        await rig.EndLeasesAsync();
        await rig.StartWorkerAsync();
        await rig.AddAsync("c1", "hi");

        Assert.Equal("c1", (await rig.Handler.NextReplyAsync()).ThreadId);
        await rig.StopWorkersAsync();
        Assert.Equal(ReplyState.Pending, (await rig.Store.FindReplyAsync("newer", batch.FirstSequence, default)).State);
        Assert.Single(rig.Logged(LogLevel.Warning), r => r.Message.Contains("newer version", StringComparison.Ordinal));
        Assert.Equal(["newer"], await HeldAsync(rig));
        Assert.Empty((await rig.ClaimAsDyingWorkerAsync()).Batches);
    }

    [Fact]
    public async Task Reply_ThatIsStoredButNotDelivered_IsDeliveredByTheNextWorkerWithoutARun()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        rig.Options.LockDuration = TimeSpan.FromMilliseconds(500);
        await rig.AddAsync("c1", "hi");
        var batch = (await rig.ClaimAsDyingWorkerAsync()).Batches[0];
        var reply = new AssistantReply
        {
            ThreadId = "c1",
            BatchId = batch.Lease.BatchId,
            Text = "hello",
            MessageIds = ["id-hi"],
            FirstSequence = batch.FirstSequence,
            LastSequence = batch.LastSequence,
        };
        await rig.Store.CompleteAsync(batch.Lease, new CompleteWrite(JsonSerializer.Serialize(reply, StoreJson.Reply), [], true, false), default);

        await rig.StartWorkerAsync();

        var delivered = await rig.Handler.NextReplyAsync();
        Assert.Equal(("hello", batch.Lease.BatchId), (delivered.Text, delivered.BatchId));
        Assert.Empty(rig.Backend.Runs);
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

    [Fact]
    public async Task Handler_ThatFails_GetsTheReplyAgainBeforeTheThreadsNextOne()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        var failures = 2;
        rig.Handler.Reply = (reply, _) => reply.Text == "first" && Interlocked.Decrement(ref failures) >= 0
            ? throw new InvalidOperationException("the shop is closed")
            : Task.CompletedTask;
        var store = rig.Connect();
        var pauses = new ConcurrentQueue<TimeSpan>();
        store.Postponed = pauses.Enqueue;
        await rig.StartWorkerAsync(store: store);
        await rig.AddAsync("c1", "first");
        await rig.Backend.NextAsync();
        await rig.AddAsync("c1", "second");
        // The thread's next run does not wait for the handler.
        await rig.Backend.NextAsync();

        Assert.Equal("first", (await rig.Handler.NextReplyAsync()).Text);
        Assert.Equal("second", (await rig.Handler.NextReplyAsync()).Text);
        Assert.Equal(2, rig.Backend.Runs.Count);
        Assert.Equal([rig.Options.Backoff.Delay, 2 * rig.Options.Backoff.Delay], pauses);
    }

    [Fact]
    public async Task Handler_ThatFailsUntilTheDeliveryIsTooOld_LeavesTheReplyInTheFailedStore()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        rig.Options.DeliveryMaxAge = TimeSpan.FromMilliseconds(200);
        rig.Handler.Reply = (_, _) => throw new InvalidOperationException("for ever");
        var abandoned = new TaskCompletionSource();
        var store = rig.Connect();
        store.After = method =>
        {
            if (method == nameof(IQueueStore.AbandonDeliveryAsync))
            {
                abandoned.TrySetResult();
            }
        };
        await rig.StartWorkerAsync(store: store);
        await rig.AddAsync("c1", "hi");
        await abandoned.Task.WaitAsync(TestTimes.Patience);
        await rig.StopWorkersAsync();
        var failed = new List<string>();
        await foreach (var one in rig.Store.Failed.ListAsync(default))
        {
            failed.Add(one);
        }

        Assert.Equal(FailureKind.Delivery, JsonSerializer.Deserialize(Assert.Single(failed), StoreJson.Failure)!.Kind);
        var log = Assert.Single(rig.Logged(LogLevel.Error));
        Assert.Contains("could not be delivered", log.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Handlers_ThatAreSlow_HoldUpNoRun()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        rig.Options.Concurrency = 1;
        var go = new TaskCompletionSource();
        rig.Handler.Reply = (_, token) => go.Task.WaitAsync(token);
        await rig.StartWorkerAsync();
        for (var i = 0; i < 12; i++)
        {
            await rig.AddAsync($"c{i}", "hi");
        }

        for (var i = 0; i < 12; i++)
        {
            await rig.Backend.NextAsync();
        }

        go.SetResult();
        for (var i = 0; i < 12; i++)
        {
            await rig.Handler.NextReplyAsync();
        }
    }

    /// <summary>The threads that are held, later than now by Redis' clock.</summary>
    private static async Task<string[]> HeldAsync(WorkerRig rig)
    {
        await using var redis = await rig.ToRedisAsync();
        var now = new DateTimeOffset(await redis.GetServers()[0].TimeAsync()).ToUnixTimeMilliseconds();
        return [.. (await redis.GetDatabase().SortedSetRangeByScoreAsync(rig.Keys + ":held", now)).Select(t => (string)t!).Order(StringComparer.Ordinal)];
    }

    /// <summary>The system's clock, ahead by what a test says.</summary>
    private sealed class MovedTime : TimeProvider
    {
        public TimeSpan Ahead { get; set; }

        public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + Ahead;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => System.GetElapsedTime(0).Ticks + Ahead.Ticks;
    }

    /// <summary>A machine whose time of day is wrong.</summary>
    private sealed class ClockAhead(TimeSpan ahead) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + ahead;
    }
}
