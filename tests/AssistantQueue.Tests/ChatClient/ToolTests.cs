using System.Collections.Concurrent;
using AssistantQueue.Store;
using AssistantQueue.Tests.Worker;
using Microsoft.Extensions.AI;

namespace AssistantQueue.Tests.ChatClient;

/// <summary>Tools of a chat client are called by the queue: side by side, journalled, and after a crash only those that have no output.</summary>
public class ToolTests
{
    [Fact]
    public async Task Round_OfTwoCalls_RunsThemSideBySideAndHandsInBothInOrder()
    {
        await using var rig = await ChatRig.CreateAsync();
        var both = new Barrier();
        rig.Rig.Tools.Add(AIFunctionFactory.Create(async (string city) => await both.MeetAsync() ? $"sunny in {city}" : "", "weather"));
        rig.Client.Answer = (request, _) => Task.FromResult(request.HasResults
            ? TestChatClient.Say("Sunny in both.")
            : [new TextContent("Let me look."), .. TestChatClient.Ask(("a", "weather", """{"city":"Rome"}"""), ("b", "weather", """{"city":"Oslo"}"""))]);
        await rig.StartWorkerAsync();

        var reply = await rig.AskAsync("Rome or Oslo?");
        await rig.AskAsync("thanks");

        Assert.Equal("Let me look.\n\nSunny in both.", reply.Text);
        Assert.Equal(["Let me look.", "Sunny in both."], reply.Contents.Cast<TextContent>().Select(c => c.Text));
        Assert.Equal(["user: Rome or Oslo?", """assistant: Let me look., call a weather {"city":"Rome"}, call b weather {"city":"Oslo"}""", "tool: a = sunny in Rome, b = sunny in Oslo"], rig.Client.Requests.ElementAt(1).Lines);
        Assert.Equal([.. rig.Client.Requests.ElementAt(1).Lines, "assistant: Sunny in both.", "user: thanks"], rig.Client.Requests.ElementAt(2).Lines);
    }

    [Fact]
    public async Task Usage_OfAllRounds_IsInTheReplyWithModelAndRunId()
    {
        await using var rig = await ChatRig.CreateAsync();
        rig.Rig.Tools.Add(AIFunctionFactory.Create(() => "4711", "order"));
        rig.Client.Answer = (request, _) => Task.FromResult(request.HasResults ? TestChatClient.Say("It is 4711.") : TestChatClient.Ask(("a", "order", "{}")));
        await rig.StartWorkerAsync();

        var reply = await rig.AskAsync("which order?");

        Assert.Equal((20, 2, 22), (reply.Usage!.InputTokenCount, reply.Usage.OutputTokenCount, reply.Usage.TotalTokenCount));
        Assert.Equal(("test-model", "resp_2"), (reply.Model, reply.RunId));
        Assert.Equal("It is 4711.", Assert.IsType<TextContent>(Assert.Single(reply.Contents)).Text);
    }

    [Fact]
    public async Task Interrupt_WhileACallWaitsForApproval_RejectsItAndTheNewMessageGetsItsOwnReply()
    {
        await using var rig = await ChatRig.CreateAsync();
        rig.Rig.Tools.Add(new ApprovalRequiredAIFunction(AIFunctionFactory.Create(() => "refunded", "refund")));
        rig.Client.Answer = (request, _) => Task.FromResult(
            request.HasResults ? TestChatClient.Say("No refund.")
            : request.LastUserTexts == "refund me" ? TestChatClient.Ask(("a", "refund", "{}"))
            : TestChatClient.Say(request.LastUserTexts));
        await rig.StartWorkerAsync();
        await using var watch = new Updates(rig.Rig.Queue(), "c1", "0");
        await rig.Rig.AddAsync("c1", "refund me");
        await watch.NextAsync<ApprovalRequested>();

        await rig.Rig.Queue().EnqueueAsync(new AssistantMessage { ThreadId = "c1", Text = "are you there?", WhenBusy = BusyAction.Interrupt });

        Assert.Equal(["No refund.", "are you there?"], [(await rig.Rig.Handler.NextReplyAsync()).Text, (await rig.Rig.Handler.NextReplyAsync()).Text]);
        Assert.Equal("tool: a = The call was rejected: a newer message came before anybody approved it.", rig.Client.Requests.ElementAt(1).Lines[^1]);
    }

    [Fact]
    public async Task Tool_ThatThrowsOrIsUnknown_IsAnsweredWithAnError()
    {
        await using var rig = await ChatRig.CreateAsync();
        rig.Rig.Tools.Add(AIFunctionFactory.Create(string () => throw new InvalidOperationException("secret"), "broken"));
        rig.Client.Answer = (request, _) => Task.FromResult(request.HasResults ? TestChatClient.Say("Sorry.") : TestChatClient.Ask(("a", "broken", "{}"), ("b", "nothing", "{}")));
        await rig.StartWorkerAsync();

        Assert.Equal("Sorry.", (await rig.AskAsync("try")).Text);
        Assert.Equal("tool: a = Error: the tool failed., b = Error: there is no tool named 'nothing'.", rig.Client.Requests.Last().Lines[^1]);
    }

    [Fact]
    public async Task Tool_ReturnsElevenMillionCharacters_TheModelIsToldAndGetsNoneOfThem()
    {
        await using var rig = await ChatRig.CreateAsync();
        rig.Rig.Tools.Add(AIFunctionFactory.Create(() => new string('x', 11_000_000), "book"));
        rig.Client.Answer = (request, _) => Task.FromResult(request.HasResults ? TestChatClient.Say("Too long.") : TestChatClient.Ask(("a", "book", "{}")));
        await rig.StartWorkerAsync();

        Assert.Equal("Too long.", (await rig.AskAsync("read it to me")).Text);
        Assert.Equal("tool: a = Error: the tool's result has 11,000,000 characters, more than the 10,485,760 that can be taken.", rig.Client.Requests.Last().Lines[^1]);
    }

    [Fact]
    public async Task CallIds_MissingOrUsedBefore_AreReplaced()
    {
        await using var rig = await ChatRig.CreateAsync();
        var ids = new ConcurrentQueue<string>();
        rig.Rig.Tools.Add(AIFunctionFactory.Create((AIFunctionArguments arguments) => ids.Enqueue(arguments.GetToolCall()!.CallId), "note"));
        rig.Client.Answer = (_, _) => Task.FromResult(rig.Client.Requests.Count switch
        {
            1 => TestChatClient.Ask(("call_0", "note", "{}"), ("", "note", "{}")),
            2 => TestChatClient.Ask(("call_0", "note", "{}")),
            _ => TestChatClient.Say("Noted."),
        });
        await rig.StartWorkerAsync();

        await rig.AskAsync("note it thrice");

        Assert.Equal(["call-1-2", "call_0", "call_0-2-1"], ids.Order(StringComparer.Ordinal));
        Assert.Equal("""assistant: call call_0-2-1 note {}""", rig.Client.Requests.Last().Lines[^2]);
    }

    [Fact]
    public async Task Pipeline_WithFunctionInvocation_LeavesTheQueuesToolsToTheQueue()
    {
        await using var rig = await ChatRig.CreateAsync();
        var calls = new ConcurrentQueue<ToolCall?>();
        var own = 0;
        rig.Rig.Tools.Add(AIFunctionFactory.Create((AIFunctionArguments arguments) => calls.Enqueue(arguments.GetToolCall()), "ours"));
        rig.Pipeline = new FunctionInvokingChatClient(rig.Client) { AdditionalTools = [AIFunctionFactory.Create(() => ++own, "theirs")] };
        rig.Client.Answer = (_, _) => Task.FromResult(rig.Client.Requests.Count switch
        {
            1 => TestChatClient.Ask(("t", "theirs", "{}")),
            2 => TestChatClient.Ask(("o", "ours", "{}")),
            _ => TestChatClient.Say("Both."),
        });
        await rig.StartWorkerAsync();

        var reply = await rig.AskAsync("both tools");
        await rig.AskAsync("thanks");

        Assert.Equal("o", Assert.Single(calls)!.CallId);
        Assert.Equal((1, "Both."), (own, reply.Text));
        Assert.All(rig.Client.Requests.First().Tools, tool => Assert.IsNotType<AIFunction>(tool, exactMatch: false));
        Assert.Equal(["user: both tools", "assistant: call t theirs {}", "tool: t = not text: 1", "assistant: call o ours {}", "tool: o = ", "assistant: Both.", "user: thanks"], rig.Client.Requests.Last().Lines);
    }

    [Fact]
    public async Task Owner_DiesBetweenRounds_NextOneCallsOnlyWhatHasNoOutputWithTheSameId()
    {
        await using var rig = await ChatRig.CreateAsync();
        var dying = rig.Rig.Connect();
        var calls = new ConcurrentQueue<(string Id, bool IsRepeated)>();
        var slowBegan = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var isDead = false;
        dying.Before = _ =>
        {
            if (Volatile.Read(ref isDead))
            {
                TroubledStore.Unavailable();
            }
        };
        rig.Rig.Tools.Add(AIFunctionFactory.Create((AIFunctionArguments a) => Called(a, "first"), "first"));
        rig.Rig.Tools.Add(AIFunctionFactory.Create(
            async (AIFunctionArguments a) =>
            {
                var output = Called(a, "quick");
                // Its output is kept while the other call is under way.
                await slowBegan.Task;
                return output;
            },
            "quick"));
        rig.Rig.Tools.Add(AIFunctionFactory.Create(
            async (AIFunctionArguments a, CancellationToken token) =>
            {
                var output = Called(a, "slow");
                if (slowBegan.TrySetResult())
                {
                    // the first owner never gets this output
                    await Task.Delay(Timeout.Infinite, token);
                }

                return output;
            },
            "slow"));
        rig.Client.Answer = (request, _) => Task.FromResult(request.Lines.Count switch
        {
            1 => [new TextContent("First."), .. TestChatClient.Ask(("c1", "first", "{}"))],
            3 => [new TextContent("Both."), .. TestChatClient.Ask(("c2", "quick", "{}"), ("c3", "slow", "{}"))],
            _ => TestChatClient.Say("Done."),
        });
        var quickKept = new TaskCompletionSource();
        dying.After = method =>
        {
            if (method == nameof(IQueueStore.WriteJournalAsync) && calls.Count == 3)
            {
                quickKept.TrySetResult();
            }
        };
        await rig.StartWorkerAsync(dying);
        await using var watch = new Updates(rig.Rig.Queue(), "c1", "0");
        await rig.Rig.AddAsync("c1", "go");
        await watch.NextAsync<BatchStarted>();
        await slowBegan.Task.WaitAsync(TestTimes.Patience);
        await quickKept.Task.WaitAsync(TestTimes.Patience);
        Volatile.Write(ref isDead, true);
        await rig.Rig.EndLeasesAsync();
        await rig.StartWorkerAsync();

        var reply = await rig.Rig.Handler.NextReplyAsync();

        Assert.Equal("First.\n\nBoth.\n\nDone.", reply.Text);
        // The second owner's run is told from its beginning.
        await watch.NextAsync<BatchStarted>();
        Assert.Equal(reply.Text, await watch.TextAsync(reply.Text.Length));
        Assert.Equal([("c1", false), ("c2", false), ("c3", false), ("c3", true)], calls.OrderBy(c => c));
        // The model was asked three times in all: its answers of the first owner's time are known.
        Assert.Equal(3, rig.Client.Requests.Count);
        Assert.Equal(["user: go", "assistant: First., call c1 first {}", "tool: c1 = first", "assistant: Both., call c2 quick {}, call c3 slow {}", "tool: c2 = quick, c3 = slow"], rig.Client.Requests.Last().Lines);
        Assert.Equal(33, reply.Usage!.TotalTokenCount);
        Volatile.Write(ref isDead, false);

        string Called(AIFunctionArguments arguments, string output)
        {
            var call = arguments.GetToolCall()!;
            calls.Enqueue((call.CallId, call.IsRepeated));
            return output;
        }
    }

    [Fact]
    public async Task Request_ThatFailsAfterARound_IsRetriedWithoutCallingTheToolsAgain()
    {
        await using var rig = await ChatRig.CreateAsync();
        var calls = 0;
        rig.Rig.Tools.Add(AIFunctionFactory.Create(() => ++calls, "count"));
        rig.Client.Answer = (_, _) => rig.Client.Requests.Count switch
        {
            1 => Task.FromResult(TestChatClient.Ask(("a", "count", "{}"))),
            2 => throw new HttpRequestException("busy", null, System.Net.HttpStatusCode.TooManyRequests),
            _ => Task.FromResult(TestChatClient.Say("One.")),
        };
        await rig.StartWorkerAsync();

        var reply = await rig.AskAsync("count");

        Assert.Equal(("One.", 2, 1), (reply.Text, reply.Attempt, calls));
        Assert.Equal(rig.Client.Requests.ElementAt(1).Lines, rig.Client.Requests.ElementAt(2).Lines);
    }

    [Fact]
    public async Task Client_ThatCanNotBeMadeAfterARound_IsWaitedForWithoutCallingTheToolsAgain()
    {
        await using var rig = await ChatRig.CreateAsync();
        var (calls, made) = (0, 0);
        rig.Rig.Tools.Add(AIFunctionFactory.Create(() => ++calls, "count"));
        rig.Make = () => ++made == 2 ? throw new InvalidOperationException("no key") : rig.Client;
        rig.Client.Answer = (request, _) => Task.FromResult(request.HasResults ? TestChatClient.Say("One.") : TestChatClient.Ask(("a", "count", "{}")));
        await rig.StartWorkerAsync();

        var reply = await rig.AskAsync("count");

        Assert.Equal(("One.", 1, 1, 3), (reply.Text, reply.Attempt, calls, made));
        Assert.Equal(["user: count", "assistant: call a count {}", "tool: a = 1"], rig.Client.Requests.ElementAt(1).Lines);
    }

    [Fact]
    public async Task Steer_WhileToolsRun_JoinsTheNextRequest()
    {
        await using var rig = await ChatRig.CreateAsync();
        var called = new TaskCompletionSource();
        var goOn = new TaskCompletionSource();
        rig.Rig.Tools.Add(AIFunctionFactory.Create(
            async () =>
            {
                called.TrySetResult();
                await goOn.Task;
                return "found";
            },
            "find"));
        rig.Client.Answer = (request, _) => Task.FromResult(request.Lines.Count == 1 ? TestChatClient.Ask(("a", "find", "{}")) : TestChatClient.Say("Both answered."));
        await rig.StartWorkerAsync();
        await rig.Rig.AddAsync("c1", "one", instructions: "Be brief.");
        await called.Task.WaitAsync(TestTimes.Patience);
        await rig.Rig.Queue().EnqueueAsync(new AssistantMessage { ThreadId = "c1", Text = "and two", MessageId = "id-two", WhenBusy = BusyAction.Steer, Instructions = "Be kind." });
        await rig.Rig.WishedAsync("c1");
        goOn.SetResult();

        var reply = await rig.Rig.Handler.NextReplyAsync();
        await rig.AskAsync("three");

        Assert.Equal(["id-one", "id-two"], reply.MessageIds);
        Assert.Equal(["user: one", "assistant: call a find {}", "tool: a = found", "user: and two"], rig.Client.Requests.ElementAt(1).Lines);
        Assert.Equal(["Be brief.", "Be brief.\n\nBe kind.", null], rig.Client.Requests.Select(r => r.Instructions));
        Assert.Equal([.. rig.Client.Requests.ElementAt(1).Lines, "assistant: Both answered.", "user: three"], rig.Client.Requests.ElementAt(2).Lines);
    }

    [Fact]
    public async Task MaxRounds_Exceeded_TellsTheModelThenFails()
    {
        await using var rig = await ChatRig.CreateAsync();
        rig.Rig.Options.Tools.MaxRounds = 2;
        rig.Rig.Tools.Add(AIFunctionFactory.Create(() => "again", "loop"));
        rig.Client.Answer = (request, _) => Task.FromResult(TestChatClient.Ask(($"c{request.Lines.Count}", "loop", "{}")));
        await rig.StartWorkerAsync();
        await rig.Rig.AddAsync("c1", "go");

        var failure = await rig.Rig.Handler.NextFailureAsync();

        Assert.Equal("too_many_tool_rounds", Assert.Single(failure.Attempts).Code);
        Assert.Contains("Answer with what you have", rig.Client.Requests.Last().Lines[^1], StringComparison.Ordinal);
    }

    /// <summary>Lets two pass when both are there.</summary>
    private sealed class Barrier
    {
        private readonly TaskCompletionSource _both = new();
        private int _count;

        public async Task<bool> MeetAsync()
        {
            if (Interlocked.Increment(ref _count) == 2)
            {
                _both.SetResult();
            }

            await _both.Task.WaitAsync(TestTimes.Patience);
            return true;
        }
    }
}
