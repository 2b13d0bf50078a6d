using System.Threading.Channels;
using AssistantQueue.Store;
using Microsoft.Extensions.AI;

namespace AssistantQueue.Tests.Worker;

/// <summary>What watchers get of a run that is under way; producer, watcher and worker have connections of their own.</summary>
public class LiveTests
{
    [Fact]
    public async Task Watcher_FromTheBeginning_SeesTheTextAsItIsWrittenThenTheReply()
    {
        await using var rig = new TellingRig(await TestRedis.ConnectionStringAsync());
        await using var watch = new Updates(rig.Queue(rig.Connect()), "t", "0");
        await rig.StartWorkerAsync();
        await rig.AddAsync("t", "hi");
        var started = await watch.NextAsync<BatchStarted>();

        await rig.TellAsync(new RunTextDelta("Hello"));
        Assert.Equal("Hello", await watch.TextAsync(5));
        await rig.TellAsync(new RunTextDelta(" there"));
        var second = await watch.NextAsync<TextDelta>();
        rig.Answer("Hello there");

        Assert.Equal((5, " there", started.BatchId), (second.Offset, second.Text, second.BatchId));
        Assert.Equal("Hello there", (await watch.NextAsync<BatchReplied>()).Reply.Text);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Run_PublishesWhatItTellsOnlyWhenSomebodyWatches(bool watches)
    {
        await using var rig = new TellingRig(await TestRedis.ConnectionStringAsync());
        var (store, published) = (rig.Connect(), 0);
        store.Before = method => published += method == nameof(IQueueStore.PublishLiveAsync) ? 1 : 0;
        await rig.StartWorkerAsync(store: store);
        var queue = rig.Queue(rig.Connect());
        await using var watch = watches ? new Updates(queue, "t", "0") : null;
        // Who only waits for the reply is no watcher.
        var reply = queue.AskAsync("t", "hi");
        await rig.Backend.NextAsync();
        await rig.TellAsync(new RunTextDelta("Hello"));
        if (watch is not null)
        {
            Assert.Equal("Hello", await watch.TextAsync(5));
        }

        rig.Answer("Hello");
        await rig.Handler.NextReplyAsync();

        Assert.Equal("Hello", (await reply.WaitAsync(TestTimes.Patience)).Text);
        Assert.Equal(watches, published > 0);
    }

    [Fact]
    public async Task Watcher_ThatComesInTheMiddle_GetsWhatWasToldSoFarAndGoesOn()
    {
        await using var rig = new TellingRig(await TestRedis.ConnectionStringAsync());
        await rig.StartWorkerAsync();
        await rig.AddAsync("t", "hi");
        await rig.Backend.NextAsync();
        await rig.TellAsync(new RunTextDelta("Once upon"));

        await using var watch = new Updates(rig.Queue(rig.Connect()), "t");
        var started = await watch.NextAsync();
        Assert.IsType<BatchStarted>(started);
        Assert.Equal("Once upon", await watch.TextAsync(9));
        await rig.TellAsync(new RunTextDelta(" a time"));
        Assert.Equal(" a time", (await watch.NextAsync<TextDelta>()).Text);
        rig.Answer("Once upon a time");
        await watch.NextAsync<BatchReplied>();
    }

    [Fact]
    public async Task Watcher_ThatReconnectsAtEachUpdate_MissesNothingAndSeesNothingTwice()
    {
        await using var rig = new TellingRig(await TestRedis.ConnectionStringAsync());
        await rig.StartWorkerAsync();
        await rig.AddAsync("t", "hi");
        await rig.Backend.NextAsync();
        var after = "0";
        var seen = new List<ThreadUpdate>();
        var store = rig.Connect();

        async Task<ThreadUpdate> NextAsync()
        {
            await using var watch = new Updates(rig.Queue(store), "t", after);
            var update = await watch.NextAsync();
            after = update.Position;
            seen.Add(update);
            return update;
        }

        Assert.IsType<MessagesStored>(await NextAsync());
        Assert.IsType<BatchStarted>(await NextAsync());
        await rig.TellAsync(new RunTextDelta("A"));
        Assert.Equal("A", ((TextDelta)await NextAsync()).Text);
        await rig.TellAsync(new RunToolCalled("c1", "look", "{}"));
        await rig.TellAsync(new RunToolAnswered("c1", "look", false));
        Assert.Equal("c1", ((ToolCalled)await NextAsync()).CallId);
        await rig.AddAsync("t", "more");
        await rig.TellAsync(new RunTextDelta("B"));
        // The message was stored after the call was told, so its place is behind; what is kept is told first.
        Assert.IsType<MessagesStored>(await NextAsync());
        Assert.False(((ToolAnswered)await NextAsync()).IsError);
        Assert.Equal((1, "\n\nB"), (((TextDelta)await NextAsync()).Offset, ((TextDelta)seen[^1]).Text));
        rig.Answer("A\n\nB");

        Assert.Equal("A\n\nB", ((BatchReplied)await NextAsync()).Reply.Text);
        Assert.Equal(seen.Count, seen.Select(u => u.Position).Distinct().Count());
    }

    [Fact]
    public async Task Watcher_ThatComesAfterMoreThanIsKept_IsToldOfTheGapAndGetsTheRest()
    {
        await using var rig = new TellingRig(await TestRedis.ConnectionStringAsync());
        await rig.StartWorkerAsync();
        await rig.AddAsync("t", "hi");
        await rig.Backend.NextAsync();
        for (var i = 0; i < 100; i++)
        {
            await rig.TellAsync(new RunTextDelta(new string((char)('a' + (i % 26)), 1_000)));
        }

        await using var watch = new Updates(rig.Queue(rig.Connect()), "t");
        await watch.NextAsync<BatchStarted>();
        Assert.IsType<UpdatesSkipped>(await watch.NextAsync());
        var delta = await watch.NextAsync<TextDelta>();
        var (first, length) = (delta.Offset, delta.Text.Length);
        while (first + length < 100_000)
        {
            delta = await watch.NextAsync<TextDelta>();
            Assert.Equal(first + length, delta.Offset);
            length += delta.Text.Length;
        }

        Assert.InRange(length, 32 * 1024, 64 * 1024);
        rig.Answer("done");
        await watch.NextAsync<BatchReplied>();
    }

    [Fact]
    public async Task Watcher_ThatGoesAway_DoesNotStopTheRun()
    {
        await using var rig = new TellingRig(await TestRedis.ConnectionStringAsync());
        await rig.StartWorkerAsync();
        await rig.AddAsync("t", "hi");
        await rig.Backend.NextAsync();
        await using (var watch = new Updates(rig.Queue(), "t"))
        {
            await rig.TellAsync(new RunTextDelta("A"));
            await watch.NextAsync<TextDelta>();
        }

        await rig.TellAsync(new RunTextDelta("B"));
        rig.Answer("AB");

        Assert.Equal("AB", (await rig.Handler.NextReplyAsync()).Text);
    }

    [Fact]
    public async Task Run_ThatIsTakenOver_TellsItsTextFromTheBeginning()
    {
        await using var rig = new TellingRig(await TestRedis.ConnectionStringAsync());
        var first = await rig.StartWorkerAsync(shutdown: TimeSpan.Zero);
        await using var watch = new Updates(rig.Queue(), "t", "0");
        await rig.AddAsync("t", "hi");
        await rig.Backend.NextAsync();
        await rig.TellAsync(new RunTextDelta("lost"));
        await watch.TextAsync(4);
        await first.StopAsync(CancellationToken.None);
        await rig.EndLeasesAsync();
        await rig.StartWorkerAsync();
        await rig.Backend.NextAsync();
        await rig.TellAsync(new RunTextDelta("found"));

        await watch.NextAsync<BatchStarted>();
        Assert.Equal("found", await watch.TextAsync(5));
        rig.Answer("found");
        await watch.NextAsync<BatchReplied>();
    }

    [Fact]
    public async Task Interruption_TellsWhatWasWritten_AlsoToAWatcherThatWasAway()
    {
        await using var rig = new TellingRig(await TestRedis.ConnectionStringAsync()) { HasAnId = true };
        await rig.StartWorkerAsync();
        await using var watch = new Updates(rig.Queue(), "t", "0");
        await rig.AddAsync("t", "hi");
        var started = await watch.NextAsync<BatchStarted>();
        await rig.TellAsync(new RunTextDelta("Once "));
        await rig.TellAsync(new RunToolCalled("c1", "look", null));
        await rig.TellAsync(new RunTextDelta("upon\na time"));
        await watch.TextAsync(18);
        var middle = watch.All[^1].Position;
        await rig.Queue().EnqueueAsync(new AssistantMessage { ThreadId = "t", Text = "stop", WhenBusy = BusyAction.Interrupt });

        var interrupted = await watch.NextAsync<BatchInterrupted>();
        rig.Answer("done");
        await watch.NextAsync<BatchReplied>();

        Assert.Equal((started.BatchId, "Once \n\nupon\na time", 0), (interrupted.BatchId, interrupted.Text, interrupted.TextOffset));
        foreach (var after in (string[])["0", started.Position, middle])
        {
            await using var late = new Updates(rig.Queue(rig.Connect()), "t", after);
            Assert.Equal(interrupted, await late.NextAsync<BatchInterrupted>());
            Assert.Equal(["id-hi", watch.All.OfType<MessagesStored>().Last().MessageIds[0]], (await late.NextAsync<BatchStarted>()).MessageIds);
            await late.NextAsync<BatchReplied>();
        }
    }

    [Fact]
    public async Task Interruption_OfALongText_TellsItsEnd()
    {
        await using var rig = new TellingRig(await TestRedis.ConnectionStringAsync()) { HasAnId = true };
        await rig.StartWorkerAsync();
        await using var watch = new Updates(rig.Queue(), "t", "0");
        await rig.AddAsync("t", "hi");
        await watch.NextAsync<BatchStarted>();
        var text = string.Concat(Enumerable.Range(0, 40_000).Select(i => $"{i}😀"));
        await rig.TellAsync(new RunTextDelta(text));
        await rig.Queue().EnqueueAsync(new AssistantMessage { ThreadId = "t", Text = "stop", WhenBusy = BusyAction.Interrupt });

        var interrupted = await watch.NextAsync<BatchInterrupted>();
        rig.Answer("done");

        Assert.InRange(interrupted.Text.Length, (16 * 1024) - 1, 16 * 1024);
        Assert.Equal(text[interrupted.TextOffset..], interrupted.Text);
        await watch.NextAsync<BatchReplied>();
    }

    [Fact]
    public async Task ToolCalls_AreToldToWatchers()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        rig.Tools.Add(AIFunctionFactory.Create((int n) => n > 0 ? n : throw new ArgumentException("no"), "check"));
        rig.Backend.Answer = ToolRounds.Of([("c1", "check", "{\"n\":1}")], [("c2", "check", "{\"n\":0}")]);
        await using var watch = new Updates(rig.Queue(rig.Connect()), "t", "0");
        await rig.StartWorkerAsync();
        await rig.AddAsync("t", "wait", delayMs: 60_000);
        await watch.NextAsync<MessagesStored>();
        await rig.AddAsync("t", "go");

        await watch.NextAsync<BatchReplied>();

        Assert.Equal(
            ["called c1 {\"n\":1}", "answered c1 False", "called c2 {\"n\":0}", "answered c2 True"],
            watch.All.Select(u => u switch
            {
                ToolCalled c => $"called {c.CallId} {c.Arguments}",
                ToolAnswered a => $"answered {a.CallId} {a.IsError}",
                _ => null,
            }).OfType<string>());
    }

    /// <summary>A rig whose backend tells what the test says.</summary>
    private sealed class TellingRig : WorkerRig
    {
        private readonly Channel<object> _words = Channel.CreateUnbounded<object>();

        public TellingRig(string redis)
            : base(redis) =>
            Backend.Tell = async (run, updates, cancellationToken) =>
            {
                if (HasAnId)
                {
                    run.Journal.Rounds.Add(new JournalRound { RunId = "run_1" });
                    run.Journal.PostedThrough = run.Messages[^1].Sequence;
                    run.Journal.IsAdoptable = true;
                    await run.SaveAsync(cancellationToken);
                }

                await foreach (var word in _words.Reader.ReadAllAsync(cancellationToken))
                {
                    if (word is string answer)
                    {
                        return answer;
                    }

                    var (update, told) = ((RunUpdate, TaskCompletionSource))word;
                    updates.TryWrite(update);
                    told.SetResult();
                }

                throw new InvalidOperationException("The test ended.");
            };

        /// <summary>Whether the runs have an id at the API, by which they can be cancelled.</summary>
        public bool HasAnId { get; init; }

        /// <summary>Lets the run tell something.</summary>
        public async Task TellAsync(RunUpdate update)
        {
            var told = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _words.Writer.TryWrite((update, told));
            await told.Task.WaitAsync(TestTimes.Patience);
        }

        public void Answer(string text) => _words.Writer.TryWrite(text);
    }
}
