using AssistantQueue.Emulators;

namespace AssistantQueue.Tests.OpenAIBackends.Responses;

/// <summary>What the real service doesn't document, each way: when items show up, whether a response locks its conversation, what a failed one leaves.</summary>
public class UndocumentedTests : BackendTest
{
    protected override void Configure(OpenAIOptions options) => options.Model = "gpt-test";

    [Fact]
    public async Task Run_ItemsShowUpAtOnceAndTheAnswerIsLost_WaitsForTheReplyWithoutPostingAgain()
    {
        Emulator.Options.ItemsVisible = ItemsVisible.AtOnce;
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.Cut, AfterWork = true, Count = 1 });
        var backend = NewBackend();
        var batch = new StoredBatch("t", "/slow 1.5\nhi");
        await FailAsync(backend, batch);

        var busy = await FailAsync(backend, batch);
        await Emulator.Ledger.WaitForAsync(l => !l.Open.Any(), Ct);
        var reply = await CompleteAsync(backend, batch);

        Assert.Equal(BackendErrorKind.ThreadBusy, busy.Kind);
        Assert.Equal(1, batch.StoredJournal.PostedThrough);
        Assert.Contains("hi", reply.Text);
        Assert.Equal(1, Ledger.TimesPosted("/slow 1.5\nhi"));
    }

    [Fact]
    public async Task Run_NoLockAndTheAnswerIsLostAndTheResponseTakesLonger_IsTheDocumentedCaseOfTwice()
    {
        Emulator.Options.BackgroundLocksConversation = false;
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.Cut, AfterWork = true, Count = 1 });
        var backend = NewBackend();
        var batch = new StoredBatch("t", "/slow 2\nhi");
        await FailAsync(backend, batch);

        await CompleteAsync(backend, batch);

        Assert.Equal(2, Ledger.TimesAccepted("/slow 2\nhi"));
        Assert.True(Time.Waited >= TimeSpan.FromSeconds(60));
    }

    [Theory]
    [InlineData(ItemsVisible.AtOnce, false)]
    [InlineData(ItemsVisible.AtCompletion, true)]
    public async Task Cancel_CancelledResponseLeavesItsInput_IsNotPostedAgain(ItemsVisible visible, bool failedKeepsInput)
    {
        Emulator.Options.ItemsVisible = visible;
        Emulator.Options.FailedKeepsInput = failedKeepsInput;
        var backend = NewBackend();
        var batch = new StoredBatch("t", "/slow 60\nhi");
        await LeaveAsync(backend, batch, update => update is RunStarted);
        var run = batch.NextOwner();

        await backend.CancelAsync(run, Ct);
        batch.Retry(run, new AssistantBackendException(BackendErrorKind.Transient, "time is up"));
        await LeaveAsync(backend, batch, update => update is RunStarted);

        Assert.Equal(2, Ledger.Runs.Count);
        Assert.Equal(1, Ledger.TimesPosted("/slow 60\nhi"));
    }

    [Fact]
    public async Task Cancel_ResponseThatHasCompleted_LeavesItToTheNextAttempt()
    {
        var backend = NewBackend();
        var batch = new StoredBatch("t", "/slow 0.5\nhi");
        await LeaveAsync(backend, batch, update => update is RunStarted);
        await Emulator.Ledger.WaitForAsync(l => l.Runs.Any() && !l.Open.Any(), Ct);
        var run = batch.NextOwner();

        var failure = await Assert.ThrowsAsync<AssistantBackendException>(() => backend.CancelAsync(run, Ct));
        batch.Retry(run, failure);
        await CompleteAsync(backend, batch);

        Assert.True(failure.IsOutcomeUnknown);
        Assert.Single(Ledger.Runs);
    }

    [Fact]
    public async Task Cancel_PostOfUnknownOutcome_KeepsTheJournalForTheNextAttempt()
    {
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.Cut, AfterWork = true, Count = 1 });
        var backend = NewBackend();
        var batch = new StoredBatch("t", "hi");
        await FailAsync(backend, batch);

        var failure = await Assert.ThrowsAsync<AssistantBackendException>(() => backend.CancelAsync(batch.NextOwner(), Ct));

        Assert.True(failure.IsOutcomeUnknown);
    }

    [Fact]
    public async Task Run_AdoptedResponseIsGone_LooksAtTheTailAndWaitsBeforeItPostsAgain()
    {
        var backend = NewBackend();
        var batch = new StoredBatch("t", "/slow 60\nhi");
        await LeaveAsync(backend, batch, update => update is RunStarted);
        using var http = new HttpClient { DefaultRequestHeaders = { { "Authorization", "Bearer sk" } } };
        (await http.DeleteAsync(new Uri($"{Emulator.BaseUrl}/responses/{Ledger.Runs.Single().Id}"), Ct)).EnsureSuccessStatusCode();

        var gone = Ledger.Runs.Single().Id;
        await LeaveAsync(backend, batch, update => update is RunStarted started && started.RunId != gone);

        Assert.Equal(2, Ledger.Runs.Count);
        Assert.Empty(Ledger.Overlaps);
        Assert.True(Time.Waited >= TimeSpan.FromSeconds(60));
    }
}
