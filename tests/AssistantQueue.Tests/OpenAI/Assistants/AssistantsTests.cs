using AssistantQueue.Emulators;
using Microsoft.Extensions.DependencyInjection;

namespace AssistantQueue.Tests.OpenAIBackends.Assistants;

/// <summary>A batch's way over the Assistants API, polled and streamed.</summary>
public class AssistantsTests : BackendTest
{
    public static TheoryData<bool> PolledAndStreamed { get; } = new(false, true);

    protected override void Configure(OpenAIOptions options) => options.AssistantId = "asst_1";

    [Theory, MemberData(nameof(PolledAndStreamed))]
    public async Task Run_FreshThread_IsOneRunWithAllMessages(bool stream)
    {
        var batch = new StoredBatch("t", "hi", "one question") { Instructions = "Be brief.", Metadata = new Dictionary<string, string> { ["channel"] = "web" } };

        var updates = await UpdatesAsync(NewBackend(o => o.Stream = stream), batch);

        var reply = (RunCompleted)updates[^1];
        var run = Assert.Single(Ledger.Runs);
        Assert.Equal(["hi", "one question"], run.Texts);
        Assert.Equal("Be brief.", run.Instructions);
        Assert.Equal("batch-1", run.BatchId);
        Assert.Equal("t", run.ThreadKey);
        Assert.Equal(run.Id, reply.RunId);
        Assert.Contains("You wrote 2 messages", reply.Text);
        Assert.Equal(run.ConversationId, batch.Conversation["thread"]);
        Assert.Equal(run.Id, batch.Conversation["last_run"]);
        Assert.All(Ledger.Messages, m => Assert.Equal("web", m.Metadata!["channel"]));
        Assert.Equal(stream ? reply.Text : "", string.Concat(updates.OfType<RunTextDelta>().Select(d => d.Text)));
        Assert.True(reply.Usage!.TotalTokenCount > 0);
    }

    [Theory, MemberData(nameof(PolledAndStreamed))]
    public async Task Run_LeftByItsOwner_IsAdoptedByTheNext(bool stream)
    {
        var batch = new StoredBatch("t", "/slow 1\nhi");
        await LeaveAsync(NewBackend(o => o.Stream = stream), batch, update => update is RunStarted);

        var reply = await CompleteAsync(NewBackend(), batch);

        Assert.Equal(Assert.Single(Ledger.Runs).Id, reply.RunId);
        Assert.Equal(2, batch.Saves.Count(s => s.Rounds.Count > 0));
    }

    [Theory]
    [InlineData(OpenAIFaultKind.Cut)]
    [InlineData(OpenAIFaultKind.Error)]
    [InlineData(OpenAIFaultKind.Garbage)]
    public async Task Run_AnswerLostAfterTheWork_IsFoundByItsBatchId(OpenAIFaultKind kind)
    {
        AnswersFitSchema = kind != OpenAIFaultKind.Garbage;
        Emulator.Faults.Add(new() { Operation = "create_run", Kind = kind, AfterWork = true, Count = 1 });
        var batch = new StoredBatch("t", "hi");

        var failure = await FailAsync(NewBackend(), batch);
        var reply = await CompleteAsync(NewBackend(), batch);

        Assert.True(failure.IsOutcomeUnknown);
        Assert.Equal(Assert.Single(Ledger.Runs).Id, reply.RunId);
        Assert.Equal(1, Ledger.TimesPosted("hi"));
    }

    [Fact]
    public async Task Run_AnswerLostBeforeTheWork_IsPostedAgainAfterTheWait()
    {
        Emulator.Faults.Add(new() { Operation = "create_run", Kind = OpenAIFaultKind.Cut, Count = 1 });
        var batch = new StoredBatch("t", "hi");
        await FailAsync(NewBackend(), batch);
        var before = Time.Waited;

        await CompleteAsync(NewBackend(), batch);

        Assert.True(Time.Waited - before >= TimeSpan.FromSeconds(60));
        Assert.Equal(1, Ledger.TimesAccepted("hi"));
    }

    [Theory]
    [InlineData(OpenAIFaultKind.CutStream)]
    [InlineData(OpenAIFaultKind.EndStream)]
    public async Task Run_StreamEndsEarly_IsLookedAtById(OpenAIFaultKind kind)
    {
        Emulator.Options.DeltaPause = TimeSpan.FromMilliseconds(30);
        Emulator.Faults.Add(new() { Operation = "create_run", Kind = kind, AfterEvents = 10, Count = 1 });

        await CompleteAsync(NewBackend(o => o.Stream = true), new StoredBatch("t", "hi"));

        Assert.Single(Ledger.Runs);
    }

    [Theory]
    [InlineData("server_error", BackendErrorKind.Transient)]
    [InlineData("rate_limit_exceeded", BackendErrorKind.Transient)]
    [InlineData("invalid_prompt", BackendErrorKind.Permanent)]
    public async Task Run_Fails_IsClassifiedByItsLastError(string code, BackendErrorKind kind)
    {
        Emulator.Faults.Add(new() { Operation = "create_run", Kind = OpenAIFaultKind.RunFails, Code = code });

        var failure = await FailAsync(NewBackend(), new StoredBatch("t", "hi"));

        Assert.Equal(kind, failure.Kind);
        Assert.Equal(code, failure.Code);
        Assert.False(failure.IsOutcomeUnknown);
    }

    [Theory]
    [InlineData(OpenAIFaultKind.RunFails)]
    [InlineData(OpenAIFaultKind.RunExpires)]
    public async Task Run_AfterAFailedRun_IsRepeatedWithoutTheMessages(OpenAIFaultKind kind)
    {
        Emulator.Faults.Add(new() { Operation = "create_run", Kind = kind, Count = 1 });
        var batch = new StoredBatch("t", "hi", "there");

        var failure = await FailAsync(NewBackend(), batch);
        var reply = await CompleteAsync(NewBackend(), batch);

        Assert.Equal(BackendErrorKind.Transient, failure.Kind);
        Assert.Equal(1, Ledger.TimesPosted("hi"));
        Assert.Equal(2, Ledger.Runs.Count);
        Assert.Equal(Ledger.Runs[1].Id, reply.RunId);
    }

    [Fact]
    public async Task Run_RetryWhoseAnswerIsLost_IsNotMistakenForTheFailedRun()
    {
        Emulator.Faults.Add(new() { Operation = "create_run", Kind = OpenAIFaultKind.RunFails, Count = 1 });
        Emulator.Faults.Add(new() { Operation = "create_run", Kind = OpenAIFaultKind.Cut, AfterWork = true, Count = 1 });
        var batch = new StoredBatch("t", "hi");
        await FailAsync(NewBackend(), batch);
        await FailAsync(NewBackend(), batch);

        var reply = await CompleteAsync(NewBackend(), batch);

        Assert.Equal(2, Ledger.Runs.Count);
        Assert.Equal(Ledger.Runs[1].Id, reply.RunId);
    }

    [Theory, MemberData(nameof(PolledAndStreamed))]
    public async Task Run_AsksForToolsNobodyAnswers_IsCancelledAndPermanent(bool stream)
    {
        Emulator.Faults.Add(new() { Operation = "create_run", Kind = OpenAIFaultKind.RunCallsFunction, Function = "book_flight", Count = 1 });
        var backend = NewBackend(o => o.Stream = stream);
        var first = new StoredBatch("t", "hi");

        var failure = await FailAsync(backend, first);
        await CompleteAsync(backend, new StoredBatch("t", "still there?") { BatchId = "batch-2", Conversation = first.Conversation });

        Assert.Equal(BackendErrorKind.Permanent, failure.Kind);
        Assert.Contains("book_flight", failure.Message);
        Assert.Equal(["cancelled", "completed"], Ledger.Runs.Select(r => r.Status));
    }

    [Fact]
    public async Task Run_ReplyCutAtItsLength_IsDeliveredAsFarAsItGoes()
    {
        Emulator.Faults.Add(new() { Operation = "create_run", Kind = OpenAIFaultKind.RunIsIncomplete });

        var reply = await CompleteAsync(NewBackend(), new StoredBatch("t", "hi"));

        Assert.NotEmpty(reply.Text);
        Assert.NotNull(reply.Contents[^1].AdditionalProperties!["incomplete_reason"]);
    }

    [Fact]
    public async Task Run_StreamedAndCutAtItsLength_IsReadByItsStatusAndNotByTheEventsName()
    {
        // the event says thread.run.completed, its run incomplete
        Emulator.Options.IncompleteRunSaysCompleted = true;
        Emulator.Faults.Add(new() { Operation = "create_run", Kind = OpenAIFaultKind.RunIsIncomplete });

        var reply = await CompleteAsync(NewBackend(o => o.Stream = true), new StoredBatch("t", "hi"));

        Assert.NotEmpty(reply.Text);
        Assert.NotNull(reply.Contents[^1].AdditionalProperties!["incomplete_reason"]);
    }

    [Fact]
    public async Task Run_CombinedIntoOneMessage_IsPostedAsOne()
    {
        var batch = new StoredBatch("t", "hi", "one question") { Combine = MessageCombination.SingleMessage };

        var reply = await CompleteAsync(NewBackend(), batch);

        Assert.Equal(["hi\n\none question"], Assert.Single(Ledger.Runs).Texts);
        Assert.Contains("one question", reply.Text);
    }

    [Fact]
    public async Task Run_AssistantRetiredBetweenTwoAttempts_TheMendedSettingCounts()
    {
        Emulator.Faults.Add(new() { Operation = "create_run", Kind = OpenAIFaultKind.RunFails, Count = 1 });
        var batch = new StoredBatch("t", "hi");
        await FailAsync(NewBackend(), batch);
        Assert.Equal((1, "asst_1"), (batch.StoredJournal.PostedThrough, batch.StoredJournal.Model));
        Emulator.Options.AssistantIds.Add("asst_good");

        var failure = await FailAsync(NewBackend(), batch);
        await CompleteAsync(NewBackend(o => o.AssistantId = "asst_good"), batch);

        Assert.Equal(BackendErrorKind.BackendUnavailable, failure.Kind);
        Assert.Equal(1, Ledger.TimesPosted("hi"));
    }

    [Fact]
    public async Task Run_ThreadBusyWithAnotherRun_WaitsForTheThread()
    {
        var backend = NewBackend();
        var first = new StoredBatch("t", "/slow 30\nhi");
        await LeaveAsync(backend, first, update => update is RunStarted);

        var busy = await FailAsync(backend, new StoredBatch("t", "more") { BatchId = "batch-2", Conversation = first.Conversation });

        Assert.Equal(BackendErrorKind.ThreadBusy, busy.Kind);
        Assert.False(busy.IsOutcomeUnknown);
        Assert.Equal(0, Ledger.TimesAccepted("more"));
    }

    [Fact]
    public async Task Run_ThreadBusyWithItsOwnRun_AdoptsIt()
    {
        Emulator.Faults.Add(new() { Operation = "create_run", Kind = OpenAIFaultKind.Cut, AfterWork = true, Count = 1 });
        // the runs can't be listed in time, so the wait passes and the batch is about to be posted again
        Emulator.Faults.Add(new() { Operation = "list_runs", Kind = OpenAIFaultKind.Error, Status = 503, Count = 3 });
        var batch = new StoredBatch("t", "/slow 1\nhi");
        var backend = NewBackend(queue: o => o.UnknownOutcomeWait = TimeSpan.FromSeconds(1));
        await FailAsync(backend, batch);

        await CompleteAsync(backend, batch);

        Assert.Equal(1, Ledger.TimesAccepted("/slow 1\nhi"));
        Assert.Single(Ledger.Runs);
    }

    [Fact]
    public async Task Run_RunShowsUpInTheListLaterThanTheWait_IsTheDocumentedCaseOfTwice()
    {
        Emulator.Options.RunsListedAfter = TimeSpan.FromHours(1);
        Emulator.Faults.Add(new() { Operation = "create_run", Kind = OpenAIFaultKind.Cut, AfterWork = true, Count = 1 });
        using var again = new PostedAgain();
        var batch = new StoredBatch("t", "hi") { QueueName = again.Queue };
        await FailAsync(NewBackend(), batch);
        await Emulator.Ledger.WaitForAsync(l => !l.Open.Any(), Ct);

        await CompleteAsync(NewBackend(), batch);

        Assert.Equal(2, Ledger.TimesAccepted("hi"));
        Assert.True(Time.Waited >= TimeSpan.FromSeconds(60));
        Assert.Equal(["assistants unknown_outcome"], again.Counts);
    }

    [Fact]
    public async Task Run_ThreadGoneThatMayHaveHadTheMessages_IsCountedWhenTheyArePostedAnew()
    {
        Emulator.Faults.Add(new() { Operation = "create_run", Kind = OpenAIFaultKind.Cut, AfterWork = true, Count = 1 });
        using var again = new PostedAgain();
        var batch = new StoredBatch("t", "hi") { QueueName = again.Queue };
        await FailAsync(NewBackend(), batch);
        await Emulator.Ledger.WaitForAsync(l => !l.Open.Any(), Ct);
        using var http = new HttpClient { DefaultRequestHeaders = { { "Authorization", "Bearer sk" }, { "OpenAI-Beta", "assistants=v2" } } };
        (await http.DeleteAsync(new Uri($"{Emulator.BaseUrl}/threads/{batch.Conversation["thread"]}"), Ct)).EnsureSuccessStatusCode();

        await CompleteAsync(NewBackend(), batch);

        Assert.Equal(["assistants conversation_gone"], again.Counts);
    }

    [Fact]
    public async Task Run_PostOfAnOwnerWhoseClockGoesTwoMinutesAfter_IsLookedForAsLongAsAnyOther()
    {
        Emulator.Faults.Add(new() { Operation = "create_run", Kind = OpenAIFaultKind.Cut, Count = 1 });
        var slow = new HurriedTime(ahead: TimeSpan.FromMinutes(-2));
        var batch = new StoredBatch("t", "hi");
        await FailAsync(NewBackend(services: s => s.AddSingleton<TimeProvider>(slow)), batch);

        await CompleteAsync(NewBackend(), batch);

        Assert.True(Time.Waited >= TimeSpan.FromSeconds(60));
    }

    [Fact]
    public async Task Run_KeyIsAThreadOfTheApi_UsesItAndBeginsANewOneWhenItIsGone()
    {
        var batch = new StoredBatch("thread_gone", "hi");

        await CompleteAsync(NewBackend(), batch);

        var run = Assert.Single(Ledger.Runs);
        Assert.NotEqual("thread_gone", run.ConversationId);
        Assert.Equal(run.ConversationId, batch.Conversation["thread"]);
        Assert.Contains(Ledger.Requests, r => r is { Operation: "create_run", ConversationId: "thread_gone" });
    }

    [Fact]
    public async Task Run_UnknownAssistant_PausesTheBackend()
    {
        Emulator.Options.AssistantIds.Add("asst_other");

        var failure = await FailAsync(NewBackend(), new StoredBatch("t", "hi"));

        Assert.Equal(BackendErrorKind.BackendUnavailable, failure.Kind);
        Assert.Contains("AssistantQueue:OpenAI:AssistantId", failure.Message);
    }

    [Fact]
    public async Task Run_ApiShutDown_PausesTheBackendAndForgetsNoThread()
    {
        Emulator.Options.HasAssistants = false;
        var batch = new StoredBatch("t", "hi") { Conversation = { ["thread"] = "thread_1" } };

        var failure = await FailAsync(NewBackend(), batch);

        // the answer quotes the address, which has the thread's id in it
        Assert.Contains("thread_1", failure.Message);
        Assert.Equal(BackendErrorKind.BackendUnavailable, failure.Kind);
        Assert.Contains("AssistantQueue:OpenAI:Endpoint", failure.Message);
        Assert.Equal("thread_1", batch.Conversation["thread"]);
        Assert.DoesNotContain(Ledger.Requests, r => r.Path == "/v1/threads");
    }

    [Fact]
    public async Task Cancel_RunningRun_EndsItAndTheRetryPostsNothingAgain()
    {
        Emulator.Faults.Add(new() { Operation = "create_run", Kind = OpenAIFaultKind.RunNeverEnds, Count = 1 });
        var backend = NewBackend();
        var batch = new StoredBatch("t", "hi");
        await LeaveAsync(backend, batch, update => update is RunStarted);
        var run = batch.NextOwner();

        await backend.CancelAsync(run, Ct);
        batch.Retry(run, new AssistantBackendException(BackendErrorKind.Transient, "time is up"));

        Assert.Equal("cancelled", Assert.Single(Ledger.Runs).Status);
        Assert.Equal(1, batch.StoredJournal.PostedThrough);
        Assert.Contains("hi", (await CompleteAsync(backend, batch)).Text);
        Assert.Equal(["cancelled", "completed"], Ledger.Runs.Select(r => r.Status));
        Assert.Equal(1, Ledger.TimesPosted("hi"));
    }

    [Fact]
    public async Task Cancel_RunThatHasCompleted_LeavesItToTheNextAttempt()
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
}
