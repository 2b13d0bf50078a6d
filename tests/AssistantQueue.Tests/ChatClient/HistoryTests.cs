using AssistantQueue.Store;
using AssistantQueue.Tests.Worker;
using Microsoft.Extensions.AI;

namespace AssistantQueue.Tests.ChatClient;

/// <summary>The history lies in Redis: each request carries it, each reply adds its turn in the script that completes the batch.</summary>
public class HistoryTests
{
    [Fact]
    public async Task Batches_OneAfterAnother_EachRequestCarriesTheTurnsBefore()
    {
        await using var rig = await ChatRig.CreateAsync();
        await rig.StartWorkerAsync();

        await rig.AskAsync("one");
        await rig.AskAsync("two");
        await rig.AskAsync("three");

        Assert.Equal(["user: one"], rig.Client.Requests.ElementAt(0).Lines);
        Assert.Equal(["user: one", "assistant: one", "user: two"], rig.Client.Requests.ElementAt(1).Lines);
        Assert.Equal(["user: one", "assistant: one", "user: two", "assistant: two", "user: three"], rig.Client.Requests.ElementAt(2).Lines);
    }

    [Fact]
    public async Task Batches_OfTwoThreads_HaveHistoriesOfTheirOwn()
    {
        await using var rig = await ChatRig.CreateAsync();
        await rig.StartWorkerAsync();

        await rig.AskAsync("one", "c1");
        await rig.AskAsync("two", "c2");
        await rig.AskAsync("three", "c1");

        Assert.Equal(["user: two"], rig.Client.Requests.ElementAt(1).Lines);
        Assert.Equal(["user: one", "assistant: one", "user: three"], rig.Client.Requests.ElementAt(2).Lines);
    }

    [Fact]
    public async Task Worker_AfterARestart_GoesOnWithTheHistory()
    {
        await using var rig = await ChatRig.CreateAsync();
        await rig.StartWorkerAsync();
        await rig.AskAsync("one");
        await rig.Rig.StopWorkersAsync();
        await rig.StartWorkerAsync();

        await rig.AskAsync("two");

        Assert.Equal(["user: one", "assistant: one", "user: two"], rig.Client.Requests.Last().Lines);
    }

    [Fact]
    public async Task MaxHistoryMessages_Reached_ForgetsWholeTurnsOldestFirst()
    {
        await using var rig = await ChatRig.CreateAsync();
        rig.Options.MaxHistoryMessages = 5;
        await rig.StartWorkerAsync();
        foreach (var text in new[] { "one", "two", "three", "four" })
        {
            await rig.AskAsync(text);
        }

        Assert.Equal(["user: two", "assistant: two", "user: three", "assistant: three", "user: four"], rig.Client.Requests.Last().Lines);
        await rig.Rig.StopWorkersAsync();
        Assert.Equal(["user: three / assistant: three", "user: four / assistant: four"], await rig.TurnsAsync());
    }

    [Fact]
    public async Task MaxHistoryCharacters_Lowered_CountsForWhatIsStoredAlready()
    {
        await using var rig = await ChatRig.CreateAsync();
        await rig.StartWorkerAsync();
        await rig.AskAsync(new string('a', 2_000));
        await rig.AskAsync("two");
        rig.Options.MaxHistoryCharacters = 1_000;

        await rig.AskAsync("three");

        Assert.Equal(["user: two", "assistant: two", "user: three"], rig.Client.Requests.Last().Lines);
    }

    [Fact]
    public async Task MaxHistoryMessages_Zero_RemembersNothing()
    {
        await using var rig = await ChatRig.CreateAsync();
        await rig.StartWorkerAsync();
        await rig.AskAsync("one");
        rig.Options.MaxHistoryMessages = 0;
        await rig.AskAsync("two");
        await rig.Rig.StopWorkersAsync();

        Assert.Equal(["user: two"], rig.Client.Requests.Last().Lines);
        Assert.Empty(await rig.TurnsAsync());
    }

    [Fact]
    public async Task Complete_AnswerWasLost_TurnIsThereOnce()
    {
        await using var rig = await ChatRig.CreateAsync();
        var store = rig.Rig.Connect();
        var calls = 0;
        store.After = method =>
        {
            if (method == nameof(IQueueStore.CompleteAsync) && ++calls < 3)
            {
                TroubledStore.Unavailable();
            }
        };
        await rig.StartWorkerAsync(store);

        await rig.AskAsync("one");
        await rig.Rig.StopWorkersAsync();

        Assert.Equal(3, calls);
        Assert.Single(rig.Client.Requests);
        Assert.Equal(["user: one / assistant: one"], await rig.TurnsAsync());
    }

    [Fact]
    public async Task Owner_DiesBeforeComplete_LeavesNoTurnAndTheNextOneWritesOne()
    {
        await using var rig = await ChatRig.CreateAsync();
        var dying = rig.Rig.Connect();
        var isDead = new TaskCompletionSource();
        dying.Before = method =>
        {
            // Nothing of this owner arrives any more from the moment when it has its reply.
            if (method == nameof(IQueueStore.CompleteAsync))
            {
                isDead.TrySetResult();
            }

            if (isDead.Task.IsCompleted)
            {
                TroubledStore.Unavailable();
            }
        };
        var answers = 0;
        rig.Client.Answer = (request, _) => Task.FromResult(TestChatClient.Say($"{request.LastUserTexts}, answer {Interlocked.Increment(ref answers)}"));
        await rig.StartWorkerAsync(dying);
        await rig.Rig.AddAsync("c1", "one");
        await isDead.Task.WaitAsync(TestTimes.Patience);
        await rig.Rig.EndLeasesAsync();
        await rig.StartWorkerAsync();

        var reply = await rig.Rig.Handler.NextReplyAsync();

        Assert.Equal("one, answer 2", reply.Text);
        Assert.Equal(["user: one"], rig.Client.Requests.Last().Lines);
        dying.Before = _ => { };
        await rig.Rig.StopWorkersAsync();
        Assert.Equal(["user: one / assistant: one, answer 2"], await rig.TurnsAsync());
        Assert.True(rig.Rig.Handler.HasNothingMore);
    }

    [Fact]
    public async Task Owner_DiesAfterComplete_TurnIsThereWithItsReply()
    {
        await using var rig = await ChatRig.CreateAsync();
        var dying = rig.Rig.Connect();
        var isDead = new TaskCompletionSource();
        dying.Before = _ =>
        {
            if (isDead.Task.IsCompleted)
            {
                TroubledStore.Unavailable();
            }
        };
        dying.After = method =>
        {
            if (method == nameof(IQueueStore.CompleteAsync))
            {
                isDead.TrySetResult();
                TroubledStore.Unavailable();
            }
        };
        await rig.StartWorkerAsync(dying);
        await rig.Rig.AddAsync("c1", "one");
        await isDead.Task.WaitAsync(TestTimes.Patience);
        await rig.Rig.EndLeasesAsync();
        await rig.StartWorkerAsync();

        Assert.Equal("one", (await rig.Rig.Handler.NextReplyAsync()).Text);
        await rig.AskAsync("two");

        Assert.Equal(["user: one", "assistant: one", "user: two"], rig.Client.Requests.Last().Lines);
        Assert.Equal(2, rig.Client.Requests.Count);
        dying.Before = _ => { };
    }

    [Fact]
    public async Task Batch_ThatFails_LeavesNoTurn()
    {
        await using var rig = await ChatRig.CreateAsync();
        rig.Client.Answer = (request, _) => request.LastUserTexts == "bad" ? throw new ArgumentException("no") : Task.FromResult(TestChatClient.Say(request.LastUserTexts));
        await rig.StartWorkerAsync();
        await rig.AskAsync("one");
        await rig.Rig.AddAsync("c1", "bad");
        var failure = await rig.Rig.Handler.NextFailureAsync();

        await rig.AskAsync("two");

        Assert.Equal(("ArgumentException: no", 1), (failure.Error, failure.Attempts.Count));
        Assert.Equal(["user: one", "assistant: one", "user: two"], rig.Client.Requests.Last().Lines);
    }

    [Fact]
    public async Task Turn_ThatCannotBeRead_IsLeftOutAndSaid()
    {
        await using var rig = await ChatRig.CreateAsync();
        await rig.Rig.AddAsync("c1", "seed");
        var batch = Assert.Single((await rig.Rig.ClaimAsDyingWorkerAsync()).Batches);
        await rig.Rig.Store.CompleteAsync(batch.Lease, new CompleteWrite("{}", [new("chat.turn:0000000000000000001", "[{\"contents\":[{\"$type\":\"of a later version\"}]}]")], OpenDelivery: false, Keep: false), CancellationToken.None);
        await rig.StartWorkerAsync();

        await rig.AskAsync("one");

        Assert.Equal(["user: one"], rig.Client.Requests.Last().Lines);
        Assert.Contains(rig.Rig.Log.Collector.GetSnapshot(), r => r.Id.Id == 340);
    }

    [Fact]
    public async Task Contents_ImageAndMetadata_ReachTheModelAndComeBackWithTheHistory()
    {
        await using var rig = await ChatRig.CreateAsync();
        await rig.StartWorkerAsync();
        await rig.Rig.Queue().EnqueueAsync(new AssistantMessage
        {
            ThreadId = "c1",
            Contents = [new TextContent("look"), new UriContent("https://example.org/cat.png", "image/png")],
            Metadata = { ["channel"] = "web" },
        });
        await rig.Rig.Handler.NextReplyAsync();
        await rig.AskAsync("and now?");

        Assert.Equal(["user: look, UriContent", "assistant: look", "user: and now?"], rig.Client.Requests.Last().Lines);
    }
}
