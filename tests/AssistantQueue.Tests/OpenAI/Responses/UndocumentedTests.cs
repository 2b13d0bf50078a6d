using AssistantQueue.Emulators;
using Microsoft.Extensions.DependencyInjection;

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
        using var again = new PostedAgain();
        var backend = NewBackend();
        var batch = new StoredBatch("t", "/slow 2\nhi") { QueueName = again.Queue };
        await FailAsync(backend, batch);

        await CompleteAsync(backend, batch);

        Assert.Equal(2, Ledger.TimesAccepted("/slow 2\nhi"));
        Assert.True(Time.Waited >= TimeSpan.FromSeconds(60));
        Assert.Equal(["responses unknown_outcome"], again.Counts);
    }

    [Theory]
    [InlineData("failed")]
    [InlineData("cancelled")]
    public async Task Run_EndedResponseWhoseItemsShowUpLaterThanTheLooks_IsTheDocumentedCaseOfTwice(string reason)
    {
        Emulator.Options.FailedKeepsInput = true;
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = reason == "failed" ? OpenAIFaultKind.RunFails : OpenAIFaultKind.RunNeverEnds, Count = 1 });
        using var again = new PostedAgain();
        var backend = NewBackend(services: s => s.AddKeyedSingleton("AssistantQueue", new HttpClient(new LateItems())));
        var batch = new StoredBatch("t", "hi") { QueueName = again.Queue };
        if (reason == "failed")
        {
            await FailAsync(backend, batch);
        }
        else
        {
            await LeaveAsync(backend, batch, update => update is RunStarted);
            var run = batch.NextOwner();
            await backend.CancelAsync(run, Ct);
            batch.Retry(run, new AssistantBackendException(BackendErrorKind.Transient, "time is up"));
        }

        await CompleteAsync(backend, batch);

        Assert.Equal(["hi", "hi"], Ledger.TextsOf("t"));
        Assert.Equal([$"responses {reason}"], again.Counts);
    }

    [Fact]
    public async Task Run_FailedResponseLeavesItsItems_IsNotCounted()
    {
        Emulator.Options.FailedKeepsInput = true;
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.RunFails, Count = 1 });
        using var again = new PostedAgain();
        var batch = new StoredBatch("t", "hi") { QueueName = again.Queue };

        await FailAsync(NewBackend(), batch);
        await CompleteAsync(NewBackend(), batch);

        Assert.Empty(again.Counts);
    }

    [Fact]
    public async Task Run_ConversationIsLockedWhenThePostIsRepeated_WaitsAndCountsOnceHoweverOftenItIsTried()
    {
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.Cut, Count = 1 });
        Emulator.Faults.Add(OpenAIFault.ConversationLocked() with { Count = 2 });
        using var again = new PostedAgain();
        var batch = new StoredBatch("t", "hi") { QueueName = again.Queue };
        await FailAsync(NewBackend(), batch);
        await FailAsync(NewBackend(), batch);
        var waited = Time.Waited;

        var busy = await FailAsync(NewBackend(), batch);
        await CompleteAsync(NewBackend(), batch);

        Assert.Equal(BackendErrorKind.ThreadBusy, busy.Kind);
        Assert.True(waited >= TimeSpan.FromSeconds(60));
        Assert.True(Time.Waited - waited < TimeSpan.FromSeconds(60));
        Assert.Equal(["responses unknown_outcome"], again.Counts);
    }

    [Fact]
    public async Task Run_OwnerDiesWithItsRepeatedPost_HasCountedIt()
    {
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.Cut, Count = 1 });
        using var again = new PostedAgain();
        var counted = -1;
        var batch = new StoredBatch("t", "hi") { QueueName = again.Queue };
        await FailAsync(NewBackend(), batch);

        await CompleteAsync(NewBackend(services: s => s.AddKeyedSingleton("AssistantQueue", new HttpClient(new AtPost(() => Task.FromResult(counted = again.Counts.Count))))), batch);

        Assert.Equal(1, counted);
    }

    [Fact]
    public async Task Run_OwnerIsSuspendedBetweenItsCheckAndTheSocket_ItsSuccessorHasCountedTheSecondPost()
    {
        using var again = new PostedAgain();
        var batch = new StoredBatch("t", "hi") { QueueName = again.Queue };
        var (suspended, wakes) = (new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously), new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        var atPost = new AtPost(() =>
        {
            suspended.SetResult();
            return wakes.Task;
        });
        var sleeper = Task.Run(() => LeaveAsync(NewBackend(services: s => s.AddKeyedSingleton("AssistantQueue", new HttpClient(atPost))), batch, update => update is RunStarted));
        await suspended.Task.WaitAsync(Ct);

        await CompleteAsync(NewBackend(), batch);
        wakes.SetResult();
        await sleeper;

        Assert.Equal(2, Ledger.TimesAccepted("hi"));
        Assert.Equal(["responses unknown_outcome"], again.Counts);
    }

    [Fact]
    public async Task Run_PostOfAnOwnerWhoseClockGoesTwoMinutesAfter_IsLookedForAsLongAsAnyOther()
    {
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.Cut, Count = 1 });
        var slow = new HurriedTime(ahead: TimeSpan.FromMinutes(-2));
        var batch = new StoredBatch("t", "hi");
        await FailAsync(NewBackend(services: s => s.AddSingleton<TimeProvider>(slow)), batch);
        Assert.Equal(TimeSpan.FromMinutes(2), Time.GetUtcNow() - batch.StoredJournal.LastRound!.PostingAt);

        await CompleteAsync(NewBackend(), batch);

        Assert.True(Time.Waited >= TimeSpan.FromSeconds(60));
    }

    [Fact]
    public async Task Run_LookIsGivenUpInTheMiddle_TheNextOwnerWaitsForTheRest()
    {
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.Cut, Count = 1 });
        Emulator.Faults.Add(new() { Operation = "list_items", Kind = OpenAIFaultKind.Error, Status = 401, Skip = 7, Count = 1 });
        var batch = new StoredBatch("t", "hi");
        await FailAsync(NewBackend(), batch);
        await FailAsync(NewBackend(), batch);
        var first = Time.Waited;

        await CompleteAsync(NewBackend(), batch);

        Assert.True(first >= TimeSpan.FromSeconds(20), $"{first}");
        Assert.True(Time.Waited >= TimeSpan.FromSeconds(60), $"{Time.Waited}");
        Assert.True(Time.Waited - first < TimeSpan.FromSeconds(45), $"{Time.Waited - first}");
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

    /// <summary>Does something when a response is about to be posted.</summary>
    private sealed class AtPost(Func<Task> act) : DelegatingHandler(new SocketsHttpHandler())
    {
        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            if (request.Method == HttpMethod.Post && request.RequestUri!.AbsolutePath.EndsWith("/responses", StringComparison.Ordinal))
            {
                await act();
            }

            return await base.SendAsync(request, cancellationToken);
        }
    }
}
