using System.Text.Json;
using AssistantQueue.Emulators;
using AssistantQueue.Store;

namespace AssistantQueue.Tests.OpenAIBackends.Assistants;

/// <summary>Tools over the Assistants API: offered beside the assistant's own, handed in by a post that is looked for before it is repeated.</summary>
public class ToolsTests : BackendTest
{
    public static TheoryData<bool> PolledAndStreamed { get; } = new(false, true);

    protected override void Configure(OpenAIOptions options) => options.AssistantId = "asst_1";

    [Fact]
    public async Task Run_WithTools_OffersThemBesideTheAssistantsOwn()
    {
        Emulator.Options.AssistantTools.Add("file_search");
        var tools = new TestTools().Add("look").Add("book");
        var first = new StoredBatch("t", "hi") { Tools = tools };
        var backend = NewBackend();
        await CompleteAsync(backend, first);
        await CompleteAsync(backend, new StoredBatch("t", "again") { BatchId = "batch-2", Tools = tools, Conversation = first.Conversation });

        var sent = Bodies("create_run")[0].GetProperty("tools").EnumerateArray().ToList();
        Assert.Equal(["file_search", "function", "function"], sent.Select(t => t.GetProperty("type").GetString()));
        var function = sent[1].GetProperty("function");
        Assert.Equal(("look", "Does look."), (function.GetProperty("name").GetString(), function.GetProperty("description").GetString()));
        Assert.True(function.GetProperty("parameters").GetProperty("properties").TryGetProperty("what", out _));
        // what the assistant has is read once for many runs
        Assert.Single(Ledger.Requests, r => r.Operation == "get_assistant");
    }

    [Fact]
    public async Task Run_WithoutTools_LeavesTheAssistantsOwnAlone()
    {
        await CompleteAsync(NewBackend(), new StoredBatch("t", "hi"));

        Assert.False(Bodies("create_run").Single().TryGetProperty("tools", out _));
        Assert.DoesNotContain(Ledger.Requests, r => r.Operation == "get_assistant");
    }

    [Fact]
    public async Task Run_ServerWithoutAssistantsToRead_OffersTheQueuesOnly()
    {
        Emulator.Faults.Add(new() { Operation = "get_assistant", Kind = OpenAIFaultKind.Error, Status = 404, Message = "Not found" });

        await CompleteAsync(NewBackend(), new StoredBatch("t", "hi") { Tools = new TestTools().Add("look") });

        Assert.Equal(1, Bodies("create_run").Single().GetProperty("tools").GetArrayLength());
    }

    [Fact]
    public async Task Run_MoreToolsThanTheApiTakes_PausesTheBackendAndSaysSo()
    {
        Emulator.Options.AssistantTools.Add("file_search");
        var tools = new TestTools();
        for (var i = 0; i < 20; i++)
        {
            tools.Add($"tool{i}");
        }

        var failure = await FailAsync(NewBackend(), new StoredBatch("t", "hi") { Tools = tools });

        Assert.Equal(BackendErrorKind.BackendUnavailable, failure.Kind);
        Assert.Contains("at most 20 tools; the queue has 20 and assistant asst_1 has 1", failure.Message);
        Assert.Empty(Ledger.Runs);
    }

    [Theory, MemberData(nameof(PolledAndStreamed))]
    public async Task Run_TwoRounds_EachIsAPostOfItsOwnThatIsJournalledFirst(bool stream)
    {
        var batch = new StoredBatch("t", "/tool look {\"what\":\"here\"}\n/tool weigh {}\n/then book {}") { Tools = new TestTools().Add("look").Add("weigh").Add("book") };

        var updates = await UpdatesAsync(NewBackend(o => o.Stream = stream), batch);

        var reply = (RunCompleted)updates[^1];
        Assert.Contains("look returned “look here”", reply.Text);
        Assert.Contains("book returned “book”", reply.Text);
        Assert.Equal(stream ? reply.Text : "", string.Concat(updates.OfType<RunTextDelta>().Select(d => d.Text)));
        Assert.Equal([2, 1], Bodies("submit_tool_outputs").Select(b => b.GetProperty("tool_outputs").GetArrayLength()));
        Assert.Equal(3, Assert.Single(Ledger.Runs).ToolOutputs!.Count);
        Assert.True(reply.Usage!.TotalTokenCount > 0);
        foreach (var round in (int[])[2, 3])
        {
            var intent = batch.Saves.First(s => s.Rounds.Count == round);
            Assert.True(intent.IsOutcomeUnknown);
            Assert.All(intent.Rounds[round - 2].Calls, call => Assert.NotNull(call.Output));
        }

        Assert.All(batch.Saves.Where(s => s.Rounds.SelectMany(r => r.Calls).Any(c => c.State == ToolCallState.Started)), s => Assert.False(s.IsAdoptable));
    }

    [Theory]
    [InlineData(OpenAIFaultKind.Cut, true)]
    [InlineData(OpenAIFaultKind.Cut, false)]
    [InlineData(OpenAIFaultKind.Garbage, true)]
    public async Task Run_AnswerToTheOutputsIsLost_TheRunSaysWhetherItHasThem(OpenAIFaultKind kind, bool afterWork)
    {
        AnswersFitSchema = kind != OpenAIFaultKind.Garbage;
        Emulator.Faults.Add(new() { Operation = "submit_tool_outputs", Kind = kind, AfterWork = afterWork, Count = 1 });
        var tools = new TestTools().Add("look").Add("book");
        var batch = new StoredBatch("t", "/tool look {}\n/then book {}") { Tools = tools };
        var failure = await FailAsync(NewBackend(), batch);
        var before = Time.Waited;

        var reply = await CompleteAsync(NewBackend(), batch);

        Assert.True(failure.IsOutcomeUnknown);
        Assert.Contains("look returned “look”", reply.Text);
        Assert.Equal(2, tools.Calls.Count);
        Assert.Single(Ledger.Runs);
        Assert.Equal(afterWork ? 2 : 3, Ledger.Requests.Count(r => r.Operation == "submit_tool_outputs"));
        // the run itself says it: nobody waits for an unknown outcome
        Assert.True(Time.Waited - before < TimeSpan.FromSeconds(30));
    }

    [Theory, MemberData(nameof(PolledAndStreamed))]
    public async Task Run_NeedsApproval_StopsAndAnotherOwnerGoesOnWithTheDecision(bool stream)
    {
        var tools = new TestTools().Add("look").AddWithApproval("pay");
        var batch = new StoredBatch("t", "/tool look {}\n/tool pay {\"what\":\"100\"}") { Tools = tools };
        var pending = await Assert.ThrowsAsync<ApprovalPendingException>(() => CompleteAsync(NewBackend(o => o.Stream = stream), batch));
        Assert.Equal("requires_action", Assert.Single(Ledger.Runs).Status);

        batch.Decisions[pending.Calls[0].CallId] = new ToolDecision(true, "");
        var reply = await CompleteAsync(NewBackend(o => o.Stream = stream), batch);

        Assert.Contains("pay returned “pay 100”", reply.Text);
        Assert.Equal((1, 1), (tools.TimesCalled("look"), tools.TimesCalled("pay")));
        Assert.Single(Ledger.Runs);
    }

    [Fact]
    public async Task Run_ExpiredWhileItWaitedForApproval_CallsNothingForItAndIsRetriedWithoutTheMessages()
    {
        var tools = new TestTools().AddWithApproval("pay");
        var batch = new StoredBatch("t", "/tool pay {}") { Tools = tools };
        var backend = NewBackend();
        var pending = await Assert.ThrowsAsync<ApprovalPendingException>(() => CompleteAsync(backend, batch));
        Assert.True(Emulator.Expire(Ledger.Runs[0].Id));
        await Emulator.Ledger.WaitForAsync(l => !l.Open.Any(), Ct);
        batch.Decisions[pending.Calls[0].CallId] = new ToolDecision(true, "");

        var failure = await FailAsync(backend, batch);
        var again = await Assert.ThrowsAsync<ApprovalPendingException>(() => CompleteAsync(backend, batch));

        Assert.Equal(BackendErrorKind.Transient, failure.Kind);
        Assert.Contains("expired", failure.Message);
        Assert.Equal(0, tools.TimesCalled("pay"));
        Assert.NotEqual(pending.Calls[0].CallId, again.Calls[0].CallId);
        Assert.Equal(1, Ledger.TimesPosted("/tool pay {}"));
    }

    [Fact]
    public async Task Run_ExpiresWhileTheToolWorks_IsATransientFailureOfTheBatch()
    {
        var tools = new TestTools().Add("look");
        tools.AtCall = (_, point) =>
        {
            if (point == 1)
            {
                Emulator.Expire(Ledger.Runs[0].Id);
                Emulator.Ledger.WaitForAsync(l => !l.Open.Any(), Ct).GetAwaiter().GetResult();
            }
        };

        var failure = await FailAsync(NewBackend(), new StoredBatch("t", "/tool look {}") { Tools = tools });

        Assert.Equal(BackendErrorKind.Transient, failure.Kind);
        Assert.Contains("expired", failure.Message);
    }

    [Theory, MemberData(nameof(PolledAndStreamed))]
    public async Task Run_OutputsRefusedForGood_IsCancelledAndTheThreadGoesOn(bool stream)
    {
        Emulator.Faults.Add(new() { Operation = "submit_tool_outputs", Kind = OpenAIFaultKind.Error, Status = 400, Type = "invalid_request_error", Code = "invalid_value", Message = "That is no output.", Count = 1 });
        var batch = new StoredBatch("t", "/tool look {}") { Tools = new TestTools().Add("look") };
        var backend = NewBackend(o => o.Stream = stream);

        var failure = await FailAsync(backend, batch);
        await CompleteAsync(backend, new StoredBatch("t", "still there?") { BatchId = "batch-2", Conversation = batch.Conversation });

        Assert.Equal(("invalid_value", BackendErrorKind.Permanent), (failure.Code, failure.Kind));
        Assert.Equal(["cancelled", "completed"], Ledger.Runs.Select(r => r.Status));
        Assert.Empty(batch.StoredJournal.Rounds);
    }

    [Fact]
    public async Task Run_ModelGoesOnAskingForever_IsCancelledAndTheThreadGoesOn()
    {
        var tools = new TestTools { Options = { MaxRounds = 1 } }.Add("look");
        var batch = new StoredBatch("t", "/tool look {}\n/then look {}\n/then look {}") { Tools = tools };
        var backend = NewBackend();

        var failure = await FailAsync(backend, batch);
        await CompleteAsync(backend, new StoredBatch("t", "still there?") { BatchId = "batch-2", Conversation = batch.Conversation });

        Assert.Equal(("too_many_tool_rounds", BackendErrorKind.Permanent), (failure.Code, failure.Kind));
        Assert.Equal(["cancelled", "completed"], Ledger.Runs.Select(r => r.Status));
        Assert.Equal(1, tools.TimesCalled("look"));
    }

    [Theory, MemberData(nameof(PolledAndStreamed))]
    public async Task Run_EarlierBatchLeftItsRunWaitingForTools_CancelsItAndPosts(bool stream)
    {
        Emulator.Options.CancelTime = TimeSpan.FromMilliseconds(50);
        var backend = NewBackend(o => o.Stream = stream);
        var abandoned = new StoredBatch("t", "/tool pay {}") { Tools = new TestTools().AddWithApproval("pay") };
        await Assert.ThrowsAsync<ApprovalPendingException>(() => CompleteAsync(backend, abandoned));

        var reply = await CompleteAsync(backend, new StoredBatch("t", "hello?") { BatchId = "batch-2", Conversation = abandoned.Conversation });

        Assert.Contains("hello?", reply.Text);
        Assert.Equal(["cancelled", "completed"], Ledger.Runs.Select(r => r.Status));
        Assert.Equal(["/tool pay {}", "hello?"], Ledger.TextsOf("t"));
    }

    [Fact]
    public async Task Run_SomebodyElsesRunWaitsForTools_IsLeftAloneAndTheThreadIsBusy()
    {
        var first = new StoredBatch("t", "hi");
        await CompleteAsync(NewBackend(), first);
        Emulator.Faults.Add(new() { Kind = OpenAIFaultKind.RunCallsFunction, Count = 1 });
        using var http = new HttpClient { DefaultRequestHeaders = { { "Authorization", "Bearer sk" }, { "OpenAI-Beta", "assistants=v2" } } };
        using var body = new StringContent("""{"assistant_id":"asst_1"}""", System.Text.Encoding.UTF8, "application/json");
        (await http.PostAsync(new Uri($"{Emulator.BaseUrl}/threads/{first.Conversation["thread"]}/runs"), body, Ct)).EnsureSuccessStatusCode();
        await Emulator.Ledger.WaitForAsync(l => l.Runs.Any(r => r.Status == "requires_action"), Ct);

        var failure = await FailAsync(NewBackend(), new StoredBatch("t", "hello?") { BatchId = "batch-2", Conversation = first.Conversation });

        Assert.Equal(BackendErrorKind.ThreadBusy, failure.Kind);
        Assert.Equal("requires_action", Ledger.Runs[1].Status);
    }

    [Fact]
    public async Task Run_MessagesWaitToJoin_AreNotTakenIn()
    {
        var batch = new StoredBatch("t", "/tool look {}") { Tools = new TestTools().Add("look"), Joining = { "and this" } };

        await CompleteAsync(NewBackend(), batch);

        Assert.Equal(["and this"], batch.Joining);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Interrupt_RunningRun_TheNextRunAnswersAllAndNothingIsPostedAgain(bool diesAfterTheCancel)
    {
        Emulator.Options.CancelTime = TimeSpan.FromMilliseconds(50);
        Emulator.Faults.Add(new() { Operation = "create_run", Kind = OpenAIFaultKind.RunNeverEnds, Count = 1 });
        var backend = NewBackend();
        var batch = new StoredBatch("t", "hi");
        await LeaveAsync(backend, batch, update => update is RunStarted);
        if (diesAfterTheCancel)
        {
            await backend.CancelAsync(batch.NextOwner(), Ct);
        }

        await batch.InterruptAsync(backend, "wait", Ct);
        var reply = await CompleteAsync(NewBackend(), batch);

        Assert.Contains("wait", reply.Text);
        Assert.Equal(["hi", "wait"], Ledger.TextsOf("t"));
        Assert.Equal(["cancelled", "completed"], Ledger.Runs.Select(r => r.Status));
        Assert.Empty(Ledger.Overlaps);
        Assert.Equal(2, batch.StoredJournal.PostedThrough);
    }

    [Fact]
    public async Task Interrupt_InTheRoundAfterTheTools_CancelsTheRunAndPostsTheNewMessageOnly()
    {
        // the round after the tool lasts until it is cancelled, however slow the machine is
        var tools = new TestTools { AtCall = (_, _) => Emulator.Options.Latency = TimeSpan.FromMinutes(10) }.Add("look");
        var batch = new StoredBatch("t", "/tool look {}") { Tools = tools };
        var backend = NewBackend();
        // the second update with the run's id comes with the outputs' post
        var started = 0;
        await LeaveAsync(backend, batch, update => update is RunStarted && ++started == 2);

        await batch.InterruptAsync(backend, "wait", Ct);
        await LeaveAsync(NewBackend(), batch, update => update is RunStarted);

        Assert.Equal("cancelled", Ledger.Runs[0].Status);
        Assert.Equal(["/tool look {}", "wait"], Ledger.TextsOf("t"));
    }

    private List<JsonElement> Bodies(string operation) => [.. Ledger.Requests.Where(r => r.Operation == operation).Select(r => JsonElement.Parse(r.Body!))];
}
