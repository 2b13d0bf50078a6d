using AssistantQueue.Emulators;
using AssistantQueue.Store;

namespace AssistantQueue.Tests.OpenAIBackends.Responses;

/// <summary>Newer messages during a run over Responses: they join at a tool round, or interrupt, and nothing that the API has is posted again.</summary>
public class BusyTests : BackendTest
{
    protected override void Configure(OpenAIOptions options) => options.Model = "gpt-test";

    [Theory]
    [InlineData(true, true)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    public async Task Run_MessagesJoinAtTheToolRound_AreAnsweredTogether(bool conversation, bool background)
    {
        var batch = new StoredBatch("t", "/tool look {}\nhi") { Tools = new TestTools().Add("look"), Joining = { "and this", "/tool look {\"what\":\"again\"}" } };

        var reply = await CompleteAsync(NewBackend(o => (o.UseConversations, o.Background) = (conversation, background)), batch);

        Assert.Contains("You wrote 3 messages", reply.Text);
        Assert.Contains("look returned “look again”", reply.Text);
        Assert.Equal([1, 2, 0], Ledger.Runs.Select(r => r.Texts.Count));
        Assert.Equal(3, batch.Saves[^1].LastRound!.Through);
        Assert.Equal(["/tool look {}\nhi", "and this", "/tool look {\"what\":\"again\"}"], Ledger.TextsOf("t"));
    }

    [Fact]
    public async Task Run_AnswerToJoinedMessagesIsLost_NothingIsPostedAgain()
    {
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.Cut, AfterWork = true, Skip = 1, Count = 1 });
        var batch = new StoredBatch("t", "/tool look {}") { Tools = new TestTools().Add("look"), Joining = { "and this" } };
        await FailAsync(NewBackend(), batch);

        var reply = await CompleteAsync(NewBackend(), batch);

        Assert.Contains("You wrote 2 messages", reply.Text);
        Assert.Equal(1, Ledger.TimesPosted("and this"));
    }

    [Fact]
    public async Task Run_OutputsOfUnknownOutcomeArePostedAgain_NothingMoreJoinsThem()
    {
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.Cut, Skip = 1, Count = 1 });
        var batch = new StoredBatch("t", "/tool look {}") { Tools = new TestTools().Add("look"), Joining = { "and this" } };
        await FailAsync(NewBackend(), batch);
        batch.Joining.Add("too late");

        await CompleteAsync(NewBackend(), batch);

        Assert.Equal(["too late"], batch.Joining);
        Assert.Equal((2, 1, 0), (Ledger.TimesPosted("and this"), Ledger.TimesAccepted("and this"), Ledger.TimesPosted("too late")));
    }

    [Fact]
    public async Task Run_NoToolRound_NothingJoins()
    {
        var batch = new StoredBatch("t", "hi") { Tools = new TestTools().Add("look"), Joining = { "and this" } };

        await CompleteAsync(NewBackend(), batch);

        Assert.Equal(["and this"], batch.Joining);
        Assert.Equal(0, Ledger.TimesPosted("and this"));
    }

    [Theory]
    [InlineData(true, false)]
    [InlineData(true, true)]
    [InlineData(false, false)]
    public async Task Interrupt_InTheRoundAfterTheTools_TheNextRunHasTheOutputsAndTheNewMessage(bool conversation, bool keepsInput)
    {
        Emulator.Options.FailedKeepsInput = keepsInput;
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.RunNeverEnds, Skip = 1, Count = 1 });
        var tools = new TestTools().Add("look");
        const string Asked = "/say Let me look.\n/tool look {}";
        var batch = new StoredBatch("t", Asked) { Tools = tools };
        var backend = NewBackend(o => o.UseConversations = conversation);
        var started = 0;
        await LeaveAsync(backend, batch, update => update is RunStarted && ++started == 2);

        await batch.InterruptAsync(backend, "wait", Ct);
        var reply = await CompleteAsync(NewBackend(o => o.UseConversations = conversation), batch);

        // what it said before was told with the interruption
        Assert.StartsWith("You wrote 2 messages", reply.Text, StringComparison.Ordinal);
        Assert.Contains("look returned “look”", reply.Text);
        Assert.Equal(1, tools.TimesCalled("look"));
        Assert.Equal(1, Ledger.TimesPosted(Asked));
        Assert.Equal(1, Ledger.TimesPosted("wait"));
        Assert.Equal(["completed", "cancelled", "completed"], Ledger.Runs.Select(r => r.Status));
        Assert.Equal(keepsInput ? 1 : 2, Ledger.Runs.Count(r => r.ToolOutputs is not null));
        Assert.DoesNotContain(Ledger.Requests, r => r.Status == 400);
    }

    [Theory]
    [InlineData(true, false, 2)]
    [InlineData(true, true, 1)]
    [InlineData(false, false, 2)]
    public async Task Interrupt_InTheFirstRound_PostsWhatTheApiDoesNotHave(bool conversation, bool keepsInput, int posts)
    {
        Emulator.Options.FailedKeepsInput = keepsInput;
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.RunNeverEnds, Count = 1 });
        var batch = new StoredBatch("t", "hi");
        var backend = NewBackend(o => o.UseConversations = conversation);
        await LeaveAsync(backend, batch, update => update is RunStarted);

        await batch.InterruptAsync(backend, "wait", Ct);
        var reply = await CompleteAsync(NewBackend(o => o.UseConversations = conversation), batch);

        Assert.Contains("You wrote 2 messages", reply.Text);
        Assert.Equal(posts, Ledger.TimesPosted("hi"));
        if (conversation)
        {
            Assert.Equal(["hi", "wait"], Ledger.TextsOf("t"));
        }
    }

    [Fact]
    public async Task Interrupt_OwnerDiedAfterTheCancel_TheNextOwnerRepeatsItToTheSameEnd()
    {
        Emulator.Options.FailedKeepsInput = true;
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.RunNeverEnds, Count = 1 });
        var batch = new StoredBatch("t", "hi");
        var backend = NewBackend();
        await LeaveAsync(backend, batch, update => update is RunStarted);
        await backend.CancelAsync(batch.NextOwner(), Ct);

        await batch.InterruptAsync(backend, "wait", Ct);
        await CompleteAsync(NewBackend(), batch);

        Assert.Equal(1, Ledger.TimesPosted("hi"));
        Assert.Equal(1, Ledger.TimesPosted("wait"));
    }

    [Fact]
    public async Task Interrupt_ForegroundResponse_CannotBeCancelled()
    {
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.RunTakesLong, Delay = TimeSpan.FromMilliseconds(300), Count = 1 });
        var backend = NewBackend(o => o.Background = false);
        var batch = new StoredBatch("t", "hi");
        await LeaveAsync(backend, batch, update => update is RunStarted);

        Assert.False(batch.StoredJournal.IsAdoptable);
        await Assert.ThrowsAsync<AssistantBackendException>(() => backend.CancelAsync(batch.NextOwner(), Ct));
    }

    [Fact]
    public async Task Cancel_WhileToolsAreCalled_TheNextAttemptGoesOnWithThem()
    {
        var tools = new TestTools().AddWithApproval("pay").Add("look");
        var batch = new StoredBatch("t", "/tool look {}\n/tool pay {}") { Tools = tools };
        var backend = NewBackend();
        var pending = await Assert.ThrowsAsync<ApprovalPendingException>(() => CompleteAsync(backend, batch));
        var run = batch.NextOwner();

        var failure = await Assert.ThrowsAsync<AssistantBackendException>(() => backend.CancelAsync(run, Ct));
        batch.Retry(run, failure);
        batch.Decisions[pending.Calls[0].CallId] = new ToolDecision(true, "");
        await CompleteAsync(backend, batch);

        Assert.Equal((1, 1), (tools.TimesCalled("look"), tools.TimesCalled("pay")));
    }
}
