using System.Text.Json;
using AssistantQueue.Emulators;
using AssistantQueue.Store;
using Microsoft.Extensions.AI;

namespace AssistantQueue.Tests.OpenAIBackends.Responses;

/// <summary>Tools over Responses: offered, called, answered in rounds; retried, looked for, and a conversation that is never left poisoned.</summary>
public class ToolsTests : BackendTest
{
    public static TheoryData<bool> ConversationAndChain { get; } = new(true, false);

    protected override void Configure(OpenAIOptions options) => options.Model = "gpt-test";

    [Fact]
    public async Task Run_WithTools_OffersThemWithTheirSchema()
    {
        await CompleteAsync(NewBackend(), new StoredBatch("t", "hi") { Tools = new TestTools().Add("look") });

        var tool = Bodies().Single().GetProperty("tools")[0];
        Assert.Equal("function", tool.GetProperty("type").GetString());
        Assert.Equal("look", tool.GetProperty("name").GetString());
        Assert.Equal("Does look.", tool.GetProperty("description").GetString());
        Assert.False(tool.GetProperty("strict").GetBoolean());
        Assert.True(tool.GetProperty("parameters").GetProperty("properties").TryGetProperty("what", out _));
    }

    [Fact]
    public async Task Run_WithoutTools_OffersNone()
    {
        await CompleteAsync(NewBackend(), new StoredBatch("t", "hi"));

        Assert.False(Bodies().Single().TryGetProperty("tools", out _));
    }

    [Theory]
    [InlineData(true, true, false)]
    [InlineData(true, true, true)]
    [InlineData(true, false, true)]
    [InlineData(false, true, false)]
    [InlineData(false, true, true)]
    public async Task Run_TwoRounds_EachIsAPostOfItsOwnThatIsJournalledFirst(bool conversation, bool background, bool stream)
    {
        var batch = new StoredBatch("t", "/tool look {\"what\":\"here\"}\n/tool weigh {}\n/then book {}") { Tools = new TestTools().Add("look").Add("weigh").Add("book") };

        var reply = await CompleteAsync(NewBackend(o => (o.UseConversations, o.Background, o.Stream) = (conversation, background, stream)), batch);

        Assert.Contains("look returned “look here”", reply.Text);
        Assert.Contains("book returned “book”", reply.Text);
        Assert.Equal([null, 2, 1], Ledger.Runs.Select(r => r.ToolOutputs?.Count));
        Assert.Equal([1, 0, 0], Ledger.Runs.Select(r => r.Texts.Count));
        Assert.Equal(reply.RunId, Ledger.Runs[2].Id);
        Assert.Equal(conversation ? [null, null, null] : [null, Ledger.Runs[0].Id, Ledger.Runs[1].Id], Ledger.Runs.Select(r => r.PreviousResponseId));
        // before each post of outputs a round without an id was stored, and the outputs before that
        foreach (var round in (int[])[2, 3])
        {
            var intent = batch.Saves.First(s => s.Rounds.Count == round);
            Assert.True(intent.IsOutcomeUnknown);
            Assert.All(intent.Rounds[round - 2].Calls, call => Assert.NotNull(call.Output));
        }

        // a tool that kills its process must count as a death
        Assert.All(batch.Saves.Where(s => s.Rounds.SelectMany(r => r.Calls).Any(c => c.State == ToolCallState.Started)), s => Assert.False(s.IsAdoptable));

        Assert.Equal("hi", (await CompleteAsync(NewBackend(o => o.UseConversations = conversation), Next(batch, "hi"))).Text[12..14]);
    }

    [Theory]
    [InlineData(true, true, false)]
    [InlineData(true, true, true)]
    [InlineData(true, false, true)]
    [InlineData(false, true, false)]
    [InlineData(false, true, true)]
    public async Task Run_TextBesideCalls_IsInTheReplyAndToldBeforeTheCalls(bool conversation, bool background, bool stream)
    {
        var batch = new StoredBatch("t", "/say Let me look.\n/tool look {}\n/tool weigh {}\n/say And book.\n/then book {}") { Tools = new TestTools().Add("look").Add("weigh").Add("book") };

        var updates = await UpdatesAsync(NewBackend(o => (o.UseConversations, o.Background, o.Stream) = (conversation, background, stream)), batch);

        var reply = (RunCompleted)updates[^1];
        Assert.StartsWith("Let me look.\n\nAnd book.\n\nYou wrote: “/say", reply.Text, StringComparison.Ordinal);
        Assert.Equal(["Let me look.", "And book."], reply.Contents.OfType<TextContent>().Take(2).Select(c => c.Text));
        Assert.Equal(3, reply.Contents.Count);
        var told = string.Concat(updates.OfType<RunTextDelta>().Select(d => d.Text));
        Assert.Equal(stream ? string.Concat(reply.Contents.OfType<TextContent>().Select(c => c.Text)) : "Let me look.And book.", told);
    }

    [Fact]
    public async Task Run_LastRoundIsIncomplete_IsMarkedOnItsOwnTextAlone()
    {
        var batch = new StoredBatch("t", "/say Let me look.\n/tool look {}\n/incomplete") { Tools = new TestTools().Add("look") };

        var reply = await CompleteAsync(NewBackend(), batch);

        Assert.Equal("Let me look.", ((TextContent)reply.Contents[0]).Text);
        Assert.Equal([null, "max_output_tokens"], reply.Contents.Select(c => c.AdditionalProperties?["incomplete_reason"]));
    }

    [Fact]
    public async Task Run_TextBesideCallsIsLong_IsInTheReplyAndNotInTheJournal()
    {
        var lengthy = new string('x', 70_000);
        var batch = new StoredBatch("t", $"/say {lengthy}\n/tool look {{}}\n/say And book.\n/then book {{}}") { Tools = new TestTools().Add("look").Add("book") };

        var reply = await CompleteAsync(NewBackend(), batch);

        Assert.StartsWith($"{lengthy}\n\nAnd book.\n\nYou wrote", reply.Text, StringComparison.Ordinal);
        var kept = batch.Saves.Select(save => save.Notes.TryGetValue("said", out var said) ? said : "").ToList();
        Assert.DoesNotContain(kept, said => said.Contains("xxx", StringComparison.Ordinal));
        Assert.Contains(kept, said => said.Contains("And book.", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Run_TwoRounds_UsageIsThatOfAllResponses()
    {
        var batch = new StoredBatch("t", "/tool look {}\n/then book {}") { Tools = new TestTools().Add("look").Add("book") };

        var reply = await CompleteAsync(NewBackend(), batch);

        using var http = new HttpClient { DefaultRequestHeaders = { { "Authorization", "Bearer sk" } } };
        var total = 0L;
        foreach (var run in Ledger.Runs)
        {
            total += JsonElement.Parse(await http.GetStringAsync(new Uri($"{Emulator.BaseUrl}/responses/{run.Id}"), Ct)).GetProperty("usage").GetProperty("total_tokens").GetInt64();
        }

        Assert.Equal(3, Ledger.Runs.Count);
        Assert.Equal(total, reply.Usage!.TotalTokenCount);
        Assert.Equal("gpt-test", reply.Model);
    }

    [Fact]
    public async Task Run_ModelGoesOnAskingForever_FailsAndTheConversationGoesOn()
    {
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.RunCallsFunction, Function = "look", Count = 4 });
        var tools = new TestTools { Options = { MaxRounds = 2 } }.Add("look");
        var batch = new StoredBatch("t", "hi") { Tools = tools };
        var backend = NewBackend();

        var failure = await FailAsync(backend, batch);
        Emulator.Faults.Clear();
        var reply = await CompleteAsync(backend, Next(batch, "still there?"));

        Assert.Equal(("too_many_tool_rounds", BackendErrorKind.Permanent), (failure.Code, failure.Kind));
        Assert.Equal(2, tools.TimesCalled("look"));
        Assert.Contains("still there?", reply.Text);
    }

    [Theory, MemberData(nameof(ConversationAndChain))]
    public async Task Run_NeedsApproval_StopsAndAnotherOwnerGoesOnWithTheDecision(bool conversation)
    {
        var tools = new TestTools().Add("look").AddWithApproval("pay");
        var batch = new StoredBatch("t", "/tool look {}\n/tool pay {\"what\":\"100\"}") { Tools = tools };
        var backend = NewBackend(o => o.UseConversations = conversation);
        var pending = await Assert.ThrowsAsync<ApprovalPendingException>(() => CompleteAsync(backend, batch));
        var call = Assert.Single(pending.Calls);
        Assert.Equal((1, 0), (tools.TimesCalled("look"), tools.TimesCalled("pay")));
        Assert.Equal(ToolCallState.AwaitingApproval, batch.StoredJournal.LastRound!.Calls.Single(c => c.Name == "pay").State);

        batch.Decisions[call.CallId] = new ToolDecision(true, "");
        var reply = await CompleteAsync(NewBackend(o => o.UseConversations = conversation), batch);

        Assert.Contains("pay returned “pay 100”", reply.Text);
        Assert.Equal((1, 1), (tools.TimesCalled("look"), tools.TimesCalled("pay")));
        Assert.Equal(call.CallId, tools.Calls.Single(c => c.Name == "pay").CallId);
        Assert.Equal(2, Ledger.Runs.Count);
    }

    [Fact]
    public async Task Run_Rejected_TellsTheModelWhy()
    {
        var tools = new TestTools().AddWithApproval("pay");
        var batch = new StoredBatch("t", "/tool pay {}") { Tools = tools };
        var pending = await Assert.ThrowsAsync<ApprovalPendingException>(() => CompleteAsync(NewBackend(), batch));

        batch.Decisions[pending.Calls[0].CallId] = new ToolDecision(false, "too dear");
        var reply = await CompleteAsync(NewBackend(), batch);

        Assert.Contains("The call was rejected: too dear", reply.Text);
        Assert.Equal(0, tools.TimesCalled("pay"));
    }

    [Theory, MemberData(nameof(ConversationAndChain))]
    public async Task Run_ResponseToTheOutputsFails_IsRetriedWithTheSameOutputs(bool conversation)
    {
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.RunFails, Skip = 1, Count = 1 });
        var tools = new TestTools().Add("look", new string('x', 70_000));
        var batch = new StoredBatch("t", "/tool look {}") { Tools = tools };
        var backend = NewBackend(o => o.UseConversations = conversation);

        var failure = await FailAsync(backend, batch);
        var reply = await CompleteAsync(backend, batch);

        Assert.Equal(BackendErrorKind.Transient, failure.Kind);
        Assert.Contains("look returned", reply.Text);
        Assert.Equal(1, Ledger.TimesPosted("/tool look {}"));
        // too long for the journal, so it was made again, as the same call
        Assert.Single(tools.Calls.Select(c => c.CallId).Distinct());
        Assert.Equal(70_000, Ledger.Runs[^1].ToolOutputs!.Single().Value.Length);
    }

    [Fact]
    public async Task Run_FailedResponseKeepsTheOutputs_IsRetriedWithoutThem()
    {
        Emulator.Options.FailedKeepsInput = true;
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.RunFails, Skip = 1, Count = 1 });
        var tools = new TestTools().Add("look");
        var batch = new StoredBatch("t", "/tool look {}") { Tools = tools };
        await FailAsync(NewBackend(), batch);

        var reply = await CompleteAsync(NewBackend(), batch);

        Assert.Contains("look returned “look”", reply.Text);
        Assert.Equal(1, tools.TimesCalled("look"));
        Assert.Equal([null, 1, null], Ledger.Runs.Select(r => r.ToolOutputs?.Count));
    }

    [Theory]
    [InlineData(OpenAIFaultKind.Cut)]
    [InlineData(OpenAIFaultKind.Garbage)]
    public async Task Run_AnswerToTheOutputsIsLost_IsFoundAndNotPostedAgain(OpenAIFaultKind kind)
    {
        AnswersFitSchema = kind != OpenAIFaultKind.Garbage;
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = kind, AfterWork = true, Skip = 1, Count = 1 });
        var tools = new TestTools().Add("look").Add("book");
        var batch = new StoredBatch("t", "/tool look {}\n/then book {}") { Tools = tools };

        var failure = await FailAsync(NewBackend(), batch);
        var reply = await CompleteAsync(NewBackend(), batch);

        Assert.True(failure.IsOutcomeUnknown);
        Assert.Contains("book returned “book”", reply.Text);
        Assert.Equal(3, Ledger.Runs.Count);
        Assert.Equal(2, tools.Calls.Count);
    }

    [Fact]
    public async Task Run_OutputsLostBeforeTheWork_ArePostedAgainAfterTheWait()
    {
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.Cut, Skip = 1, Count = 1 });
        var tools = new TestTools().Add("look");
        var batch = new StoredBatch("t", "/tool look {}") { Tools = tools };
        await FailAsync(NewBackend(), batch);
        var before = Time.Waited;

        var reply = await CompleteAsync(NewBackend(), batch);

        Assert.True(Time.Waited - before >= TimeSpan.FromSeconds(60));
        Assert.Contains("look returned “look”", reply.Text);
        Assert.Equal(1, tools.TimesCalled("look"));
        Assert.Equal(2, Ledger.Runs.Count);
    }

    [Fact]
    public async Task Run_FirstAnswerIsLostAndItIsCalls_TakesThemFromTheConversation()
    {
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.Cut, AfterWork = true, Count = 1 });
        var batch = new StoredBatch("t", "/tool look {\"what\":\"here\"}") { Tools = new TestTools().Add("look") };
        await FailAsync(NewBackend(), batch);

        var reply = await CompleteAsync(NewBackend(), batch);

        Assert.Contains("look returned “look here”", reply.Text);
        Assert.Equal(2, Ledger.Runs.Count);
    }

    [Fact]
    public async Task Run_ConversationLockedAtTheOutputs_WaitsAndKeepsThem()
    {
        Emulator.Faults.Add(OpenAIFault.ConversationLocked() with { Skip = 1, Count = 1 });
        var tools = new TestTools().Add("look");
        var batch = new StoredBatch("t", "/tool look {}") { Tools = tools };

        var busy = await FailAsync(NewBackend(), batch);
        var reply = await CompleteAsync(NewBackend(), batch);

        Assert.Equal(BackendErrorKind.ThreadBusy, busy.Kind);
        Assert.Contains("look returned", reply.Text);
        Assert.Equal(1, tools.TimesCalled("look"));
    }

    [Fact]
    public async Task Run_ConversationLeftWithUnansweredCalls_IsRepairedCallByCall()
    {
        var backend = NewBackend();
        var abandoned = new StoredBatch("t", "/tool pay {}\n/tool pay {\"what\":\"2\"}") { Tools = new TestTools().AddWithApproval("pay") };
        await Assert.ThrowsAsync<ApprovalPendingException>(() => CompleteAsync(backend, abandoned));

        var reply = await CompleteAsync(backend, Next(abandoned, "hello?"));

        Assert.Contains("hello?", reply.Text);
        Assert.Equal(2, Ledger.Runs[^1].ToolOutputs!.Values.Count(v => v == "This call was interrupted and has no result."));
    }

    [Theory, MemberData(nameof(ConversationAndChain))]
    public async Task Run_HistoryGoneInTheMiddle_BeginsAnew(bool conversation)
    {
        var tools = new TestTools().AddWithApproval("pay");
        const string Text = "/say One moment.\n/tool pay {}";
        var batch = new StoredBatch("t", Text) { Tools = tools };
        var backend = NewBackend(o => o.UseConversations = conversation);
        var pending = await Assert.ThrowsAsync<ApprovalPendingException>(() => CompleteAsync(backend, batch));
        batch.Decisions[pending.Calls[0].CallId] = new ToolDecision(true, "");
        using var http = new HttpClient { DefaultRequestHeaders = { { "Authorization", "Bearer sk" } } };
        var gone = conversation ? $"conversations/{batch.Conversation["conversation"]}" : $"responses/{Ledger.Runs[0].Id}";
        (await http.DeleteAsync(new Uri($"{Emulator.BaseUrl}/{gone}"), Ct)).EnsureSuccessStatusCode();

        // the new history has the message, so the model asks again, with a call of its own
        var again = await Assert.ThrowsAsync<ApprovalPendingException>(() => CompleteAsync(backend, batch));

        Assert.NotEqual(pending.Calls[0].CallId, again.Calls[0].CallId);
        Assert.Equal(2, Ledger.TimesAccepted(Text));
        batch.Decisions[again.Calls[0].CallId] = new ToolDecision(true, "");
        // what the new one never said isn't in the reply
        Assert.StartsWith("One moment.\n\nYou wrote", (await CompleteAsync(backend, batch)).Text, StringComparison.Ordinal);
    }

    private static StoredBatch Next(StoredBatch before, string text) => new("t", text) { BatchId = "batch-2", Conversation = before.Conversation };

    private List<JsonElement> Bodies() => [.. Ledger.Requests.Where(r => r.Operation == "create_response").Select(r => JsonElement.Parse(r.Body!))];
}
