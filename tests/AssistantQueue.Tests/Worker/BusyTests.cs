using AssistantQueue.Store;
using Microsoft.Extensions.AI;

namespace AssistantQueue.Tests.Worker;

/// <summary>What a new message does to a run under way that it interrupts, or that rejects it.</summary>
public class BusyTests
{
    [Fact]
    public async Task Interrupt_OfARunThatCanBeCancelled_CancelsItAndTheNextRunAnswersBoth()
    {
        await using var rig = await BusyRig.StartAsync();
        var (first, second) = (new TaskCompletionSource(), new List<IReadOnlyList<string>>());
        rig.Backend.Answer = async (run, token) =>
        {
            second.Add([.. run.UnpostedInputs.Select(i => ((TextContent)i.Contents[0]).Text)]);
            if (second.Count > 1)
            {
                return TestBackend.TextOf(run);
            }

            await rig.PostAsync(run, token);
            first.SetResult();
            await Task.Delay(Timeout.InfiniteTimeSpan, token);
            throw new InvalidOperationException("It was cancelled.");
        };
        var cancelled = new List<string?>();
        rig.Backend.Cancel = (run, _) =>
        {
            cancelled.Add(run.Journal.LastRound!.RunId);
            return Task.CompletedTask;
        };
        await using var watch = new Updates(rig.Queue(), "t", "0");
        await rig.AddAsync("t", "order pizza");
        var started = await watch.NextAsync<BatchStarted>();
        await first.Task.WaitAsync(TestTimes.Patience);

        await rig.Queue().EnqueueAsync(new AssistantMessage { ThreadId = "t", Text = "no, pasta", WhenBusy = BusyAction.Interrupt });

        var reply = await rig.Handler.NextReplyAsync();
        Assert.Equal(("order pizza|no, pasta", 1), (reply.Text, reply.Attempt));
        Assert.Equal(["run_1"], cancelled);
        // What the API has is not posted again.
        Assert.Equal([["order pizza"], ["no, pasta"]], second);
        var interrupted = await watch.NextAsync<BatchInterrupted>();
        Assert.Equal((started.BatchId, started.FirstSequence), (interrupted.BatchId, interrupted.FirstSequence));
        Assert.Equal(reply.FirstSequence, interrupted.FirstSequence);
        Assert.NotEqual(reply.BatchId, interrupted.BatchId);
        await watch.NextAsync<BatchReplied>();
        // Also told to a watcher that was away.
        await using var late = new Updates(rig.Queue(), "t", started.Position);
        Assert.Equal(interrupted, await late.NextAsync<BatchInterrupted>());
    }

    [Fact]
    public async Task Interrupt_BeforeTheRunHasAnId_CancelsItAsSoonAsItHas()
    {
        await using var rig = await BusyRig.StartAsync();
        var go = new TaskCompletionSource();
        rig.Backend.Answer = async (run, token) =>
        {
            if (run.Messages.Count > 1)
            {
                return TestBackend.TextOf(run);
            }

            await go.Task.WaitAsync(token);
            await rig.PostAsync(run, token);
            await Task.Delay(Timeout.InfiniteTimeSpan, token);
            return "never";
        };
        await rig.AddAsync("t", "one");
        await rig.Backend.NextAsync();
        await rig.Queue().EnqueueAsync(new AssistantMessage { ThreadId = "t", Text = "two", WhenBusy = BusyAction.Interrupt });
        go.SetResult();

        Assert.Equal("one|two", (await rig.Handler.NextReplyAsync()).Text);
    }

    [Fact]
    public async Task Interrupt_OfARunWithoutAnId_WaitsLikeCollect()
    {
        await using var rig = await BusyRig.StartAsync();
        rig.Options.WhenBusy = BusyAction.Interrupt;
        var go = new TaskCompletionSource();
        rig.Backend.Answer = async (run, token) =>
        {
            await go.Task.WaitAsync(token);
            return TestBackend.TextOf(run);
        };
        await rig.AddAsync("t", "one");
        await rig.Backend.NextAsync();
        await rig.Queue().AddMessageToThreadAsync("t", "two");
        go.SetResult();

        Assert.Equal(["one", "two"], [(await rig.Handler.NextReplyAsync()).Text, (await rig.Handler.NextReplyAsync()).Text]);
    }

    [Fact]
    public async Task Interrupt_WhoseCancellationComesTooLate_TakesTheReplyThatIsThere()
    {
        await using var rig = await BusyRig.StartAsync();
        var runs = 0;
        rig.Backend.Tell = async (run, told, token) =>
        {
            // Also the run that goes on tells its text from the beginning.
            told.TryWrite(new RunTextDelta("You said "));
            if (++runs == 1)
            {
                await rig.PostAsync(run, token);
                await Task.Delay(Timeout.InfiniteTimeSpan, token);
            }

            told.TryWrite(new RunTextDelta(TestBackend.TextOf(run)));
            return "You said " + TestBackend.TextOf(run);
        };
        rig.Backend.Cancel = (_, _) => throw new AssistantBackendException(BackendErrorKind.Transient, "It completed before it could be cancelled.");
        await using var watch = new Updates(rig.Queue(), "t", "0");
        await rig.AddAsync("t", "one");
        await rig.PostedAsync();
        Assert.Equal("You said ", await watch.TextAsync(9));
        await rig.Queue().EnqueueAsync(new AssistantMessage { ThreadId = "t", Text = "two", WhenBusy = BusyAction.Interrupt });

        Assert.Equal(["You said one", "You said two"], [(await rig.Handler.NextReplyAsync()).Text, (await rig.Handler.NextReplyAsync()).Text]);
        await watch.NextAsync<BatchReplied>();
        Assert.Equal("You said one", string.Concat(watch.All.OfType<TextDelta>().Select(delta => delta.Text)));
        Assert.Single(watch.All.OfType<BatchStarted>());
    }

    [Fact]
    public async Task Interrupt_WhoseCancellationComesTooLateForOneRound_InterruptsTheNextRound()
    {
        await using var rig = await BusyRig.StartAsync();
        var rounds = 0;
        rig.Backend.Answer = async (run, token) =>
        {
            if (run.Messages.Count > 1)
            {
                return TestBackend.TextOf(run);
            }

            if (++rounds == 2)
            {
                // The response had ended with a tool call; its output goes with the next one.
                run.Journal.LastRound!.Calls.Add(new JournalToolCall { CallId = "c1", Name = "look", State = ToolCallState.Answered, Output = "done" });
                run.Journal.IsAdoptable = false;
                await run.SaveAsync(token);
            }

            await rig.PostAsync(run, token);
            await Task.Delay(Timeout.InfiniteTimeSpan, token);
            return "never";
        };
        var cancels = 0;
        rig.Backend.Cancel = (_, _) => ++cancels == 1
            ? throw new AssistantBackendException(BackendErrorKind.Transient, "It completed before it could be cancelled.")
            : Task.CompletedTask;
        await rig.AddAsync("t", "one");
        await rig.PostedAsync();
        await rig.Queue().EnqueueAsync(new AssistantMessage { ThreadId = "t", Text = "two", WhenBusy = BusyAction.Interrupt });

        Assert.Equal("one|two", (await rig.Handler.NextReplyAsync()).Text);
        Assert.Equal((2, 2), (rounds, cancels));
    }

    [Fact]
    public async Task Interrupt_AgainAndAgain_CanNotStarveTheReply()
    {
        await using var rig = await BusyRig.StartAsync();
        rig.Options.WhenBusy = BusyAction.Interrupt;
        rig.Options.MaxInterruptions = 2;
        var finish = new TaskCompletionSource();
        rig.Backend.Answer = async (run, token) =>
        {
            run.Journal.Rounds.Clear();
            await rig.PostAsync(run, token);
            await finish.Task.WaitAsync(token);
            return TestBackend.TextOf(run);
        };
        await rig.AddAsync("t", "1");
        for (var i = 2; i <= 3; i++)
        {
            await rig.Backend.NextAsync();
            await rig.PostedAsync();
            await rig.Queue().AddMessageToThreadAsync("t", $"{i}");
        }

        await rig.Backend.NextAsync();
        await rig.Queue().AddMessageToThreadAsync("t", "4");
        finish.SetResult();

        Assert.Equal(["1|2|3", "4"], [(await rig.Handler.NextReplyAsync()).Text, (await rig.Handler.NextReplyAsync()).Text]);
    }

    [Fact]
    public async Task Interrupt_WhoseSignalIsLost_ComesWithTheNextRenewal()
    {
        await using var rig = await BusyRig.StartAsync(start: false);
        rig.Options.LockDuration = TimeSpan.FromSeconds(3);
        rig.Backend.Answer = async (run, token) =>
        {
            if (run.Messages.Count == 1)
            {
                await rig.PostAsync(run, token);
                await Task.Delay(Timeout.InfiniteTimeSpan, token);
            }

            return TestBackend.TextOf(run);
        };
        await rig.StartWorkerAsync(store: new DeafStore(rig.Connect()));
        await rig.AddAsync("t", "one");
        await rig.PostedAsync();
        await rig.Queue().EnqueueAsync(new AssistantMessage { ThreadId = "t", Text = "two", WhenBusy = BusyAction.Interrupt });

        Assert.Equal("one|two", (await rig.Handler.NextReplyAsync()).Text);
    }

    [Fact]
    public async Task Owner_DiesWhileItInterrupts_TheNextEndsTheRunAndAnswersBoth()
    {
        await using var rig = await BusyRig.StartAsync(start: false);
        var cancelling = new TaskCompletionSource();
        var cancels = 0;
        rig.Backend.Answer = async (run, token) =>
        {
            if (run.Messages.Count == 1)
            {
                Assert.Equal(0, cancels);
                await rig.PostAsync(run, token);
                await Task.Delay(Timeout.InfiniteTimeSpan, token);
            }

            return TestBackend.TextOf(run);
        };
        rig.Backend.Cancel = async (run, token) =>
        {
            Assert.True(run.Journal.IsInterrupting);
            if (++cancels == 1)
            {
                cancelling.SetResult();
                await Task.Delay(Timeout.InfiniteTimeSpan, CancellationToken.None);
            }
        };
        var dying = rig.Connect();
        await rig.StartWorkerAsync(shutdown: TimeSpan.Zero, store: dying);
        await rig.AddAsync("t", "one");
        await rig.PostedAsync();
        await rig.Queue().EnqueueAsync(new AssistantMessage { ThreadId = "t", Text = "two", WhenBusy = BusyAction.Interrupt });
        await cancelling.Task.WaitAsync(TestTimes.Patience);
        dying.Before = _ => TroubledStore.Unavailable();
        await rig.EndLeasesAsync();
        await rig.StartWorkerAsync();

        var reply = await rig.Handler.NextReplyAsync();
        Assert.Equal(("one|two", 1, 2), (reply.Text, reply.Attempt, cancels));
    }

    [Fact]
    public async Task Interrupt_WhileACallWaitsForApproval_RejectsItAndBothAreAnsweredTogether()
    {
        await using var rig = await BusyRig.StartAsync(start: false);
        rig.Tools.Add(new ApprovalRequiredAIFunction(AIFunctionFactory.Create(() => "paid", "pay")));
        var told = new List<string>();
        rig.Backend.Answer = async (run, token) =>
        {
            if (run.Messages.Count > 1)
            {
                return TestBackend.TextOf(run);
            }

            if (run.Journal.Rounds.Count == 0)
            {
                run.Journal.Rounds.Add(new JournalRound { RunId = "asked", Calls = [new JournalToolCall { CallId = "c1", Name = "pay" }] });
            }

            told.AddRange((await run.Tools.CallAsync(run, run.Journal.Rounds[0], token)).Select(o => o.Output));
            await rig.PostAsync(run, token);
            await Task.Delay(Timeout.InfiniteTimeSpan, token);
            return "never";
        };
        await rig.StartWorkerAsync();
        await using var watch = new Updates(rig.Queue(), "t", "0");
        await rig.AddAsync("t", "one");
        await watch.NextAsync<ApprovalRequested>();

        await rig.Queue().EnqueueAsync(new AssistantMessage { ThreadId = "t", Text = "two", WhenBusy = BusyAction.Interrupt });

        Assert.Equal("one|two", (await rig.Handler.NextReplyAsync()).Text);
        Assert.Equal(["The call was rejected: a newer message came before anybody approved it."], told);
    }

    [Fact]
    public async Task Interrupt_BetweenTwoOwners_IsDoneByTheNext()
    {
        await using var rig = await BusyRig.StartAsync(start: false);
        rig.Backend.Answer = async (run, token) =>
        {
            if (run.Messages.Count == 1)
            {
                await rig.PostAsync(run, token);
                await Task.Delay(Timeout.InfiniteTimeSpan, token);
            }

            return TestBackend.TextOf(run);
        };
        var cancelled = new List<string?>();
        rig.Backend.Cancel = (run, _) =>
        {
            cancelled.Add(run.Journal.LastRound!.RunId);
            return Task.CompletedTask;
        };
        var first = await rig.StartWorkerAsync();
        await rig.AddAsync("t", "one");
        await rig.PostedAsync();
        await first.StopAsync(CancellationToken.None);
        await rig.Queue().EnqueueAsync(new AssistantMessage { ThreadId = "t", Text = "two", WhenBusy = BusyAction.Interrupt });
        await rig.StartWorkerAsync();

        var reply = await rig.Handler.NextReplyAsync();
        Assert.Equal(("one|two", 1), (reply.Text, reply.Attempt));
        Assert.Equal(["run_1"], cancelled);
    }

    [Fact]
    public async Task Interrupt_BetweenTwoAttempts_TheNextAnswersBoth()
    {
        await using var rig = await BusyRig.StartAsync(start: false);
        rig.Options.Backoff = new BackoffOptions { Delay = TimeSpan.FromHours(1), MaxDelay = TimeSpan.FromHours(1), UseJitter = false };
        rig.Backend.Answer = async (run, token) =>
        {
            if (run.Messages.Count > 1)
            {
                return TestBackend.TextOf(run);
            }

            await rig.PostAsync(run, token);
            throw new AssistantBackendException(BackendErrorKind.Transient, "It failed.");
        };
        var first = await rig.StartWorkerAsync();
        await using var watch = new Updates(rig.Queue(), "t", "0");
        await rig.AddAsync("t", "one");
        await watch.NextAsync<BatchRetrying>();
        await first.StopAsync(CancellationToken.None);
        await rig.Queue().EnqueueAsync(new AssistantMessage { ThreadId = "t", Text = "two", WhenBusy = BusyAction.Interrupt });
        await rig.EndPausesAsync();
        await rig.StartWorkerAsync();

        var reply = await rig.Handler.NextReplyAsync();
        Assert.Equal(("one|two", 2), (reply.Text, reply.Attempt));
        // Nothing was begun only to be cancelled.
        Assert.Equal(["one", "one|two"], rig.Backend.Runs.Select(r => r.Text));
    }

    [Fact]
    public async Task Reject_WhileACallWaitsForApproval_StoresNothing()
    {
        await using var rig = await BusyRig.StartAsync(start: false);
        rig.Tools.Add(new ApprovalRequiredAIFunction(AIFunctionFactory.Create(() => "paid", "pay")));
        rig.Backend.Answer = ToolRounds.Of([("c1", "pay", "{}")]);
        await rig.StartWorkerAsync();
        await using var watch = new Updates(rig.Queue(), "t", "0");
        await rig.AddAsync("t", "one");
        await watch.NextAsync<ApprovalRequested>();

        await Assert.ThrowsAsync<ThreadBusyException>(() => rig.Queue().EnqueueAsync(new AssistantMessage { ThreadId = "t", Text = "two", WhenBusy = BusyAction.Reject }));
    }

    [Fact]
    public async Task Reject_WhileARunIsUnderWay_StoresNothing()
    {
        await using var rig = await BusyRig.StartAsync();
        var go = new TaskCompletionSource();
        rig.Backend.Answer = async (run, token) =>
        {
            await go.Task.WaitAsync(token);
            return TestBackend.TextOf(run);
        };
        var queue = rig.Queue();
        var message = new AssistantMessage { ThreadId = "t", Text = "one", MessageId = "m1", Delay = TimeSpan.Zero, WhenBusy = BusyAction.Reject };
        await queue.EnqueueAsync(message);
        await rig.Backend.NextAsync();

        var e = await Assert.ThrowsAsync<ThreadBusyException>(() => queue.EnqueueAsync(new AssistantMessage { ThreadId = "t", Text = "two", MessageId = "m2", WhenBusy = BusyAction.Reject }));
        // What is known already is no new message.
        Assert.True((await queue.EnqueueAsync(message)).IsDuplicate);
        Assert.Equal("t", e.ThreadId);
        go.SetResult();
        Assert.Equal("one", (await rig.Handler.NextReplyAsync()).Text);
        Assert.False((await queue.EnqueueAsync(new AssistantMessage { ThreadId = "t", Text = "two", MessageId = "m2", WhenBusy = BusyAction.Reject })).IsDuplicate);
    }

    /// <summary>A store whose signals to runs are lost.</summary>
    private sealed class DeafStore(IQueueStore inner) : TroubledStore(inner)
    {
        public override Task<IAsyncDisposable> SubscribeToRunSignalsAsync(string workerId, Action<RunSignal> onSignal, CancellationToken cancellationToken) =>
            base.SubscribeToRunSignalsAsync(workerId, _ => { }, cancellationToken);
    }
}
