using AssistantQueue.Store;
using Microsoft.Extensions.Logging;

namespace AssistantQueue.Tests.Worker;

/// <summary>From a stored message to a delivered reply, on a real store.</summary>
public class WorkerTests
{
    [Fact]
    public async Task Messages_OfOneWindow_BecomeOneRunAndOneReply()
    {
        await using var rig = await StartAsync();
        await rig.AddAsync("c1", "hi", delayMs: 300);
        await rig.AddAsync("c1", "one question", delayMs: 300);
        var last = await rig.AddAsync("c1", "is my order late?", delayMs: 300);

        var reply = await rig.Handler.NextReplyAsync();

        Assert.Equal("hi|one question|is my order late?", reply.Text);
        Assert.Equal(["id-hi", "id-one question", "id-is my order late?"], reply.MessageIds);
        Assert.Equal(last.Sequence, reply.LastSequence);
        Assert.Single(rig.Backend.Runs);
        var stored = await rig.Store.FindReplyAsync("c1", last.Sequence, default);
        Assert.Equal(ReplyState.Replied, stored.State);
    }

    [Fact]
    public async Task Messages_ThatArriveDuringARun_AreAnsweredTogetherWhenItEnds()
    {
        await using var rig = await StartAsync();
        var go = new TaskCompletionSource();
        rig.Backend.Answer = async (run, token) =>
        {
            await go.Task.WaitAsync(token);
            return TestBackend.TextOf(run);
        };
        await rig.AddAsync("c1", "first");
        await rig.Backend.NextAsync();
        await rig.AddAsync("c1", "second", delayMs: 60_000);
        await rig.AddAsync("c1", "third", delayMs: 60_000);
        go.SetResult();

        Assert.Equal("first", (await rig.Handler.NextReplyAsync()).Text);
        Assert.Equal("second|third", (await rig.Handler.NextReplyAsync()).Text);
    }

    [Fact]
    public async Task Threads_OnTwoWorkers_NeverOverlapAndAreAllAnsweredInOrder()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        rig.Options.Concurrency = 4;
        rig.Backend.Answer = async (run, token) =>
        {
            await Task.Yield();
            return TestBackend.TextOf(run);
        };
        await rig.StartWorkerAsync();
        await rig.StartWorkerAsync();
        const int Threads = 40, Messages = 5;
        await Parallel.ForAsync(0, Threads, async (t, _) =>
        {
            for (var m = 0; m < Messages; m++)
            {
                await rig.AddAsync($"c{t}", $"{m}");
            }
        });

        var answered = new Dictionary<string, string>();
        while (answered.Values.Sum(v => v.Length) < Threads * Messages)
        {
            var reply = await rig.Handler.NextReplyAsync();
            answered[reply.ThreadId] = answered.GetValueOrDefault(reply.ThreadId) + reply.Text.Replace("|", "", StringComparison.Ordinal);
        }

        Assert.All(answered.Values, text => Assert.Equal("01234", text));
        Assert.Equal(0, rig.Backend.Overlaps);
        Assert.InRange(rig.Backend.MostAtOnce, 1, 8);
    }

    [Fact]
    public async Task Partitions_Several_AreAllServedByOneWorkerWithinItsConcurrency()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync(), partitions: 4);
        rig.Options.Concurrency = 2;
        rig.Backend.Answer = async (run, _) =>
        {
            await Task.Yield();
            return TestBackend.TextOf(run);
        };
        for (var i = 0; i < 40; i++)
        {
            await rig.AddAsync($"c{i}", "hi");
        }

        await rig.StartWorkerAsync();
        for (var i = 0; i < 40; i++)
        {
            await rig.Handler.NextReplyAsync();
        }

        Assert.Equal(4, rig.Backend.Runs.Select(r => rig.Store.PartitionOf(r.Thread)).Distinct().Count());
        Assert.InRange(rig.Backend.MostAtOnce, 1, 2);
    }

    [Fact]
    public async Task Instructions_OfABatch_AreDistinctInOrderOrTheDefault()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        rig.Options.DefaultInstructions = "be kind";
        await rig.AddAsync("c1", "a", instructions: "short");
        await rig.AddAsync("c1", "b", instructions: "polite");
        await rig.AddAsync("c1", "c", instructions: "short");
        await rig.StartWorkerAsync();
        Assert.Equal("short\n\npolite", (await rig.Backend.NextAsync()).Journal.Instructions);

        await rig.AddAsync("c2", "a");
        Assert.Equal("be kind", (await rig.Backend.NextAsync()).Journal.Instructions);
    }

    [Fact]
    public async Task Conversation_ThatABackendChanges_IsThereForTheNextRun()
    {
        await using var rig = await StartAsync();
        rig.Backend.Answer = (run, _) =>
        {
            var before = run.Conversation["turns"] ?? "none";
            run.Conversation["turns"] = before + "+";
            return Task.FromResult(before);
        };
        await rig.AddAsync("c1", "a");
        Assert.Equal("none", (await rig.Handler.NextReplyAsync()).Text);
        await rig.AddAsync("c1", "b");
        Assert.Equal("none+", (await rig.Handler.NextReplyAsync()).Text);
    }

    [Fact]
    public async Task Backend_TransientErrors_AreRetriedInPlaceAndHandlersAreTold()
    {
        await using var rig = await StartAsync();
        rig.Backend.Answer = (run, _) => run.Attempt < 3
            ? throw new AssistantBackendException(BackendErrorKind.Transient, "The server had an error.") { Status = 500 }
            : Task.FromResult(TestBackend.TextOf(run));
        await rig.AddAsync("c1", "hi");

        var first = await rig.Handler.NextRetryAsync();
        var reply = await rig.Handler.NextReplyAsync();

        Assert.Equal((1, 500, "The server had an error."), (first.Attempt, first.Status, first.Error));
        Assert.NotNull(first.RetryAt);
        Assert.Equal(3, reply.Attempt);
        Assert.Equal([1, 2, 3], rig.Backend.Runs.Select(r => r.Attempt));
        await rig.StopWorkersAsync();
        AssertLogged(rig, 401, LogLevel.Warning, "The server had an error.", times: 2);
    }

    [Fact]
    public async Task Backend_FailsAtEveryAttempt_EndsAsOneFailureWithAllErrors()
    {
        await using var rig = await StartAsync();
        rig.Backend.Answer = (run, _) => throw new AssistantBackendException(BackendErrorKind.Transient, $"error {run.Attempt}");
        var receipt = await rig.AddAsync("c1", "hi");

        var failure = await rig.Handler.NextFailureAsync();

        Assert.Equal(FailureKind.AttemptsExhausted, failure.Kind);
        Assert.Equal(["error 1", "error 2", "error 3"], failure.Attempts.Select(a => a.Error));
        Assert.Equal(ReplyState.Failed, (await rig.Store.FindReplyAsync("c1", receipt.Sequence, default)).State);
        Assert.Equal(1, (await rig.Store.GetStatusAsync(default)).FailedCount);
    }

    [Fact]
    public async Task Backend_RefusesTheContent_FailsAtTheFirstAttemptAndTheThreadGoesOn()
    {
        await using var rig = await StartAsync();
        rig.Backend.Answer = (run, _) => TestBackend.TextOf(run) == "bad"
            ? throw new AssistantBackendException(BackendErrorKind.Permanent, "Invalid content.") { Status = 400 }
            : Task.FromResult("fine");
        await rig.AddAsync("c1", "bad");
        Assert.Equal(FailureKind.Permanent, (await rig.Handler.NextFailureAsync()).Kind);
        await rig.AddAsync("c1", "good");

        Assert.Equal("fine", (await rig.Handler.NextReplyAsync()).Text);
        Assert.Equal([1, 1], rig.Backend.Runs.Select(r => r.Attempt));
        await rig.StopWorkersAsync();
        AssertLogged(rig, 402, LogLevel.Error, "Invalid content.", times: 1);
    }

    [Fact]
    public async Task Backend_ThreadIsBusy_WaitsWithoutCountingAnAttempt()
    {
        await using var rig = await StartAsync();
        var busy = 2;
        rig.Backend.Answer = (run, _) => Interlocked.Decrement(ref busy) >= 0
            ? throw new AssistantBackendException(BackendErrorKind.ThreadBusy, "already has an active run") { RetryAfter = TimeSpan.FromMilliseconds(20) }
            : Task.FromResult("at last");
        await rig.AddAsync("c1", "hi");

        Assert.Equal(1, (await rig.Handler.NextReplyAsync()).Attempt);
        Assert.Equal(3, rig.Backend.Runs.Count);
        await rig.StopWorkersAsync();
        AssertLogged(rig, 404, LogLevel.Information, "already has an active run", times: 2);
    }

    [Fact]
    public async Task Backend_WrongKey_PausesLosesNothingAndGoesOnWhenItWorks()
    {
        await using var rig = await StartAsync(o => o.Concurrency = 2);
        var isKeyWrong = true;
        rig.Backend.Answer = (run, _) => isKeyWrong
            ? throw new AssistantBackendException(BackendErrorKind.BackendUnavailable, "Incorrect API key provided.") { Status = 401 }
            : Task.FromResult("fine");
        for (var i = 0; i < 6; i++)
        {
            await rig.AddAsync($"c{i}", "hi");
        }

        await rig.Backend.NextAsync();
        // The probe after the first pause sees the key put right.
        isKeyWrong = false;
        for (var i = 0; i < 6; i++)
        {
            Assert.Equal(1, (await rig.Handler.NextReplyAsync()).Attempt);
        }

        Assert.InRange(rig.Backend.Runs.Count, 7, 8);
        Assert.Equal(0, (await rig.Store.GetStatusAsync(default)).FailedCount);
        Assert.Contains("Incorrect API key", Assert.Single(rig.Logged(LogLevel.Error)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Backend_RefusesFiveThreadsInARow_PausesInsteadOfEmptyingTheBacklog()
    {
        await using var rig = await StartAsync(o => o.Concurrency = 1);
        rig.Backend.Answer = (_, _) => throw new AssistantBackendException(BackendErrorKind.Permanent, "Unknown parameter.") { Status = 400 };
        for (var i = 0; i < 20; i++)
        {
            await rig.AddAsync($"c{i}", "hi");
        }

        for (var i = 0; i < 4; i++)
        {
            await rig.Handler.NextFailureAsync();
        }

        for (var i = 0; i < 5; i++)
        {
            await rig.Backend.NextAsync();
        }

        await rig.StopWorkersAsync();
        var status = await rig.Store.GetStatusAsync(default);
        Assert.Equal((4, 16), (status.FailedCount, status.WaitingCount + status.DelayedCount));
    }

    [Fact]
    public async Task Backend_FailsFiveThreadsAtTheirLastAttemptInARow_PausesUntilItWorksAgain()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        (rig.Options.Concurrency, rig.Options.MaxAttempts) = (1, 2);
        var given = 0;
        rig.Backend.Answer = (run, _) =>
        {
            if (given == 5)
            {
                return Task.FromResult("fine");
            }

            // The API works again right after the fifth thread's last attempt.
            given += run.Attempt == 2 ? 1 : 0;
            throw new InvalidOperationException("401, as an SDK says it that the queue doesn't know");
        };
        for (var i = 0; i < 10; i++)
        {
            await rig.AddAsync($"c{i}", "hi");
        }

        // Not before: all of them have their first attempt before any has its second.
        await rig.StartWorkerAsync();
        for (var i = 0; i < 6; i++)
        {
            Assert.Equal(2, (await rig.Handler.NextReplyAsync()).Attempt);
        }

        Assert.Equal(4, (await rig.Store.GetStatusAsync(default)).FailedCount);
        Assert.Single(rig.Logged(LogLevel.Error), r => r.Id.Id == 304);
    }

    [Fact]
    public async Task Backend_RefusesOneBatchAsIfNothingCouldWork_GivesUpThatOneAndAnswersTheOthers()
    {
        await using var rig = await StartAsync();
        var others = 0;
        rig.Backend.Answer = async (run, _) =>
        {
            if (run.ThreadId != "bad")
            {
                return "fine";
            }

            // Somebody else writes meanwhile.
            await rig.AddAsync($"c{++others}", "hi");
            throw new AssistantBackendException(BackendErrorKind.BackendUnavailable, "Forbidden by the firewall.") { Status = 403 };
        };
        await rig.AddAsync("bad", "SELECT * FROM");

        var failure = await rig.Handler.NextFailureAsync();

        Assert.Equal(("bad", FailureKind.Permanent), (failure.ThreadId, failure.Kind));
        Assert.Contains("refused 3 times", failure.Error, StringComparison.Ordinal);
        Assert.EndsWith("Forbidden by the firewall.", failure.Error, StringComparison.Ordinal);
        for (var i = 0; i < others; i++)
        {
            Assert.Equal("fine", (await rig.Handler.NextReplyAsync()).Text);
        }

        await rig.AddAsync("c1", "still there?");
        Assert.Equal("fine", (await rig.Handler.NextReplyAsync()).Text);
    }

    [Fact]
    public async Task Backend_EndsWithoutAReply_CountsAsAFailedAttempt()
    {
        await using var rig = await StartAsync(o => o.MaxAttempts = 1);
        rig.Backend.Answer = (_, _) => throw new InvalidOperationException("stream ended");
        await rig.AddAsync("c1", "hi");

        var failure = await rig.Handler.NextFailureAsync();

        Assert.Contains("stream ended", failure.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task RunTimeout_IsOver_CancelsAtTheApiAndCountsAnAttempt()
    {
        await using var rig = await StartAsync(o => (o.RunTimeout, o.MaxAttempts) = (TimeSpan.FromMilliseconds(300), 2));
        var cancelled = new List<string>();
        rig.Backend.Answer = async (_, token) =>
        {
            await Task.Delay(Timeout.Infinite, token);
            return "never";
        };
        rig.Backend.Cancel = (run, _) =>
        {
            cancelled.Add(run.ThreadId);
            return Task.CompletedTask;
        };
        await rig.AddAsync("c1", "hi");

        var failure = await rig.Handler.NextFailureAsync();

        Assert.Contains("RunTimeout", failure.Error, StringComparison.Ordinal);
        Assert.Equal(["c1", "c1"], cancelled);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Batch_GivenUpWhileItsRunMayStillBeGoing_CancelsItAtTheApi(bool cancelFails)
    {
        await using var rig = await StartAsync(o => o.MaxAttempts = 1);
        var cancelled = new List<string?>();
        rig.Backend.Answer = async (run, token) =>
        {
            run.Journal.IsAdoptable = true;
            run.Journal.Rounds.Add(new JournalRound { RunId = "run_1" });
            await run.SaveAsync(token);
            throw new IOException("can't be followed");
        };
        rig.Backend.Cancel = (run, _) =>
        {
            cancelled.Add(run.Journal.LastRound?.RunId);
            return cancelFails ? throw new IOException("can't be reached") : Task.CompletedTask;
        };
        await rig.AddAsync("c1", "hi");

        Assert.Equal(FailureKind.AttemptsExhausted, (await rig.Handler.NextFailureAsync()).Kind);

        Assert.Equal(["run_1"], cancelled);
        Assert.Equal(cancelFails, rig.Logged(LogLevel.Warning).Any(r => r.Id.Id == 302));
    }

    [Fact]
    public async Task Batch_GivenUpWhoseRunHasEnded_CancelsNothing()
    {
        await using var rig = await StartAsync(o => o.MaxAttempts = 1);
        var cancels = 0;
        rig.Backend.Answer = (run, _) =>
        {
            run.Journal.Rounds.Add(new JournalRound { RunId = "run_1" });
            throw new AssistantBackendException(BackendErrorKind.Transient, "The run failed.");
        };
        rig.Backend.Cancel = (_, _) =>
        {
            cancels++;
            return Task.CompletedTask;
        };
        await rig.AddAsync("c1", "hi");
        await rig.Handler.NextFailureAsync();

        Assert.Equal(0, cancels);
    }

    // What an operator reads: the event, in the API's own words.
    private static void AssertLogged(WorkerRig rig, int id, LogLevel level, string error, int times)
    {
        var records = rig.Logged(LogLevel.Trace).Where(r => r.Id.Id == id).ToList();
        Assert.Equal(times, records.Count);
        Assert.All(records, r => Assert.Equal(level, r.Level));
        Assert.All(records, r => Assert.EndsWith(error, r.Message, StringComparison.Ordinal));
    }

    private static async Task<WorkerRig> StartAsync(Action<AssistantQueueOptions>? configure = null)
    {
        var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        configure?.Invoke(rig.Options);
        await rig.StartWorkerAsync();
        return rig;
    }
}
