using System.Threading.Channels;
using AssistantQueue.Store;
using Microsoft.Extensions.AI;

namespace AssistantQueue.Tests.Worker;

/// <summary>What a new message does to a run under way, and what keeps a waiting thread waiting.</summary>
public class BusyTests
{
    [Fact]
    public async Task Interrupt_OfARunThatCanBeCancelled_CancelsItAndTheNextRunAnswersBoth()
    {
        await using var rig = await RigAsync();
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
        await using var rig = await RigAsync();
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
        await using var rig = await RigAsync();
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
        await using var rig = await RigAsync();
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
        await using var rig = await RigAsync();
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
        await using var rig = await RigAsync();
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
        await using var rig = await RigAsync(start: false);
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
        await using var rig = await RigAsync(start: false);
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
        await using var rig = await RigAsync(start: false);
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
        await using var rig = await RigAsync(start: false);
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
        await using var rig = await RigAsync(start: false);
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
        await using var rig = await RigAsync(start: false);
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
        await using var rig = await RigAsync();
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

    [Fact]
    public async Task Steer_AtTheNextToolRound_JoinsUpToTheFirstThatDoesNotAskForIt()
    {
        await using var rig = await RigAsync();
        var (asked, go) = (new TaskCompletionSource(), new TaskCompletionSource());
        var instructions = new List<string?>();
        rig.Backend.Answer = async (run, token) =>
        {
            instructions.Add(run.Journal.Instructions);
            if (run.Messages.Count == 1 && asked.TrySetResult())
            {
                await go.Task.WaitAsync(token);
                Assert.True(await run.JoinWaitingAsync(token));
                instructions.Add(run.Journal.Instructions);
                Assert.False(await run.JoinWaitingAsync(token));
            }

            return TestBackend.TextOf(run);
        };
        var queue = rig.Queue();
        await rig.AddAsync("t", "one", instructions: "Be brief.");
        await asked.Task.WaitAsync(TestTimes.Patience);
        await queue.EnqueueAsync(
        [
            new() { ThreadId = "t", Text = "two", MessageId = "m2", WhenBusy = BusyAction.Steer, Instructions = "Be kind." },
            new() { ThreadId = "t", Text = "three", MessageId = "m3", WhenBusy = BusyAction.Steer },
            new() { ThreadId = "t", Text = "four", MessageId = "m4" },
            new() { ThreadId = "t", Text = "five", MessageId = "m5", WhenBusy = BusyAction.Steer },
        ]);
        await rig.WishedAsync("t");
        go.SetResult();

        var reply = await rig.Handler.NextReplyAsync();
        Assert.Equal("one|two|three", reply.Text);
        Assert.Equal(["id-one", "m2", "m3"], reply.MessageIds);
        Assert.Equal("four|five", (await rig.Handler.NextReplyAsync()).Text);
        Assert.Equal(["Be brief.", "Be brief.\n\nBe kind.", null], instructions);
        Assert.Equal(0, (await rig.Store.GetStatusAsync(default)).ActiveCount);
    }

    [Fact]
    public async Task Steer_AnswerOfTheStoreIsLost_GetsTheSameMessagesAgain()
    {
        await using var rig = await RigAsync(start: false);
        var (asked, go, joins) = (new TaskCompletionSource(), new TaskCompletionSource(), 0);
        rig.Backend.Answer = async (run, token) =>
        {
            asked.SetResult();
            await go.Task.WaitAsync(token);
            await run.JoinWaitingAsync(token);
            return TestBackend.TextOf(run);
        };
        var store = rig.Connect();
        store.After = method =>
        {
            if (method == nameof(IQueueStore.JoinAsync) && ++joins == 1)
            {
                TroubledStore.Unavailable();
            }
        };
        await rig.StartWorkerAsync(store: store);
        await rig.AddAsync("t", "one");
        await asked.Task.WaitAsync(TestTimes.Patience);
        await rig.Queue().EnqueueAsync(new AssistantMessage { ThreadId = "t", Text = "two", WhenBusy = BusyAction.Steer });
        await rig.WishedAsync("t");
        go.SetResult();

        Assert.Equal("one|two", (await rig.Handler.NextReplyAsync()).Text);
        Assert.Equal(2, joins);
    }

    [Fact]
    public async Task Steer_OwnerDiesAfterItJoined_TheNextRunHasIt()
    {
        await using var rig = await RigAsync(start: false);
        var (asked, go, joined) = (new TaskCompletionSource(), new TaskCompletionSource(), new TaskCompletionSource());
        string? instructions = null;
        rig.Options.DefaultInstructions = "Be brief.";
        rig.Backend.Answer = async (run, token) =>
        {
            instructions = run.Journal.Instructions;
            if (asked.TrySetResult())
            {
                run.Journal.Rounds.Add(new JournalRound { RunId = "r1", Through = run.Messages[^1].Sequence });
                run.Journal.PostedThrough = run.Messages[^1].Sequence;
                await run.SaveAsync(token);
                await go.Task.WaitAsync(token);
                await run.JoinWaitingAsync(token);
                joined.SetResult();
                await Task.Delay(Timeout.InfiniteTimeSpan, token);
            }

            return TestBackend.TextOf(run);
        };
        var first = await rig.StartWorkerAsync(shutdown: TimeSpan.Zero);
        await rig.AddAsync("t", "one");
        await asked.Task.WaitAsync(TestTimes.Patience);
        await rig.Queue().EnqueueAsync(new AssistantMessage { ThreadId = "t", Text = "two", WhenBusy = BusyAction.Steer, Instructions = "Be kind." });
        await rig.WishedAsync("t");
        go.SetResult();
        await joined.Task.WaitAsync(TestTimes.Patience);
        await first.StopAsync(CancellationToken.None);
        await rig.EndLeasesAsync();
        await rig.StartWorkerAsync();

        Assert.Equal("one|two", (await rig.Handler.NextReplyAsync()).Text);
        Assert.Equal("Be kind.", instructions);
    }

    [Fact]
    public async Task Typing_WhileAMessageWaits_HoldsItBackUntilItIsFlushed()
    {
        await using var rig = await RigAsync();
        (rig.Options.MessageDelay, rig.Options.MaxMessageDelay) = (TimeSpan.FromHours(1), TimeSpan.FromHours(2));
        var queue = rig.Queue();
        var delay = TimeSpan.FromSeconds(3);
        await queue.EnqueueAsync(new AssistantMessage { ThreadId = "t", Text = "hi", Delay = delay });

        await queue.NotifyTypingAsync("t");

        // Another thread tells that the time of the first is over.
        await queue.EnqueueAsync(new AssistantMessage { ThreadId = "later", Text = "tick", Delay = delay });
        Assert.Equal("later", (await rig.Handler.NextReplyAsync()).ThreadId);
        Assert.Equal("later", Assert.Single(rig.Backend.Runs).Thread);
        await queue.EnqueueAsync(new AssistantMessage { ThreadId = "t", Text = "and more", Flush = true });
        Assert.Equal("hi|and more", (await rig.Handler.NextReplyAsync()).Text);
    }

    [Fact]
    public async Task FlushWhen_TheTextSaysSo_SendsWhatWaits()
    {
        await using var rig = await RigAsync();
        rig.Options.MessageDelay = TimeSpan.FromHours(1);
        rig.Options.FlushWhen = text => text.EndsWith('?');
        var queue = rig.Queue();

        await queue.AddMessageToThreadAsync("t", "hi");
        await queue.AddMessageToThreadAsync("t", "are you there?");

        Assert.Equal("hi|are you there?", (await rig.Handler.NextReplyAsync()).Text);
    }

    private static async Task<BusyRig> RigAsync(bool start = true)
    {
        var rig = new BusyRig(await TestRedis.ConnectionStringAsync());
        if (start)
        {
            await rig.StartWorkerAsync();
        }

        return rig;
    }

    /// <summary>A rig whose backend can say that its run has an id at the API.</summary>
    private sealed class BusyRig(string redis) : WorkerRig(redis)
    {
        private readonly Channel<string> _posted = Channel.CreateUnbounded<string>();

        public async Task PostAsync(BatchRun run, CancellationToken cancellationToken)
        {
            run.Journal.Rounds.Add(new JournalRound { RunId = $"run_{run.Messages.Count}" });
            run.Journal.PostedThrough = run.Messages[^1].Sequence;
            run.Journal.IsAdoptable = true;
            await run.SaveAsync(cancellationToken);
            _posted.Writer.TryWrite(run.BatchId);
        }

        /// <summary>Waits until a run has written down its id.</summary>
        public Task<string> PostedAsync() => _posted.Reader.ReadAsync().AsTask().WaitAsync(TestTimes.Patience);
    }

    /// <summary>A store whose signals to runs are lost.</summary>
    private sealed class DeafStore(IQueueStore inner) : TroubledStore(inner)
    {
        public override Task<IAsyncDisposable> SubscribeToRunSignalsAsync(string workerId, Action<RunSignal> onSignal, CancellationToken cancellationToken) =>
            base.SubscribeToRunSignalsAsync(workerId, _ => { }, cancellationToken);
    }
}
