using AssistantQueue.Store;
using Microsoft.Extensions.AI;

namespace AssistantQueue.Tests.Worker;

/// <summary>New messages that join a run under way.</summary>
public class SteerTests
{
    [Fact]
    public async Task Steer_AtTheNextToolRound_JoinsUpToTheFirstThatDoesNotAskForIt()
    {
        await using var rig = await BusyRig.StartAsync();
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
        await using var rig = await BusyRig.StartAsync(start: false);
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
        await using var rig = await BusyRig.StartAsync(start: false);
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
}
