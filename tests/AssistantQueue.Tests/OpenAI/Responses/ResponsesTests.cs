using System.Net;
using AssistantQueue.Emulators;
using Microsoft.Extensions.DependencyInjection;

namespace AssistantQueue.Tests.OpenAIBackends.Responses;

/// <summary>A batch's way over Responses and Conversations, polled.</summary>
public class ResponsesTests : BackendTest
{
    protected override void Configure(OpenAIOptions options) => options.Model = "gpt-test";

    [Fact]
    public async Task Run_FreshThread_IsOneResponseInAConversationOfItsOwn()
    {
        var batch = new StoredBatch("whatsapp:+49", "hi", "one question", "is my order late?") { Instructions = "Be brief." };

        var reply = await CompleteAsync(NewBackend(), batch);

        var run = Assert.Single(Ledger.Runs);
        Assert.Equal(["hi", "one question", "is my order late?"], run.Texts);
        Assert.Equal("Be brief.", run.Instructions);
        Assert.Equal("batch-1", run.BatchId);
        Assert.Equal("whatsapp:+49", run.ThreadKey);
        Assert.Equal(run.ConversationId, batch.Conversation["conversation"]);
        Assert.Equal(run.Id, reply.RunId);
        Assert.Contains("You wrote 3 messages", reply.Text);
        Assert.Equal("gpt-test", reply.Model);
        Assert.True(reply.Usage!.TotalTokenCount > 0);
    }

    [Fact]
    public async Task Run_SecondBatch_GoesOnInTheSameConversationWithoutAskingForItsEnd()
    {
        var first = new StoredBatch("t", "hi");
        await CompleteAsync(NewBackend(), first);

        var second = new StoredBatch("t", "again") { BatchId = "batch-2", Conversation = first.Conversation };
        var reply = await CompleteAsync(NewBackend(), second);

        Assert.Contains("Before that you had written 1 message", reply.Text);
        Assert.Single(Ledger.Runs.Select(r => r.ConversationId).Distinct());
        Assert.Single(Ledger.Requests, r => r.Operation == "create_conversation");
        Assert.DoesNotContain(Ledger.Requests, r => r.Operation == "list_items");
    }

    [Fact]
    public async Task Run_JournalsTheIntentBeforeThePostAndTheIdAfterIt()
    {
        var batch = new StoredBatch("t", "hi");

        await CompleteAsync(NewBackend(), batch);

        // the conversation, the intent, the id
        Assert.Equal(3, batch.Saves.Count);
        Assert.True(batch.Saves[1].IsOutcomeUnknown);
        Assert.False(batch.Saves[1].IsAdoptable);
        Assert.Equal(Ledger.Runs.Single().Id, batch.Saves[2].LastRound!.RunId);
        Assert.True(batch.Saves[2].IsAdoptable);
        Assert.Equal("gpt-test", batch.Saves[2].Model);
    }

    [Fact]
    public async Task Run_LeftByItsOwner_IsAdoptedByTheNext()
    {
        var batch = new StoredBatch("t", "/slow 1\nhi");
        await LeaveAsync(NewBackend(), batch, update => update is RunStarted);

        var reply = await CompleteAsync(NewBackend(), batch);

        Assert.Equal(Assert.Single(Ledger.Runs).Id, reply.RunId);
        Assert.Equal(1, Ledger.TimesPosted("/slow 1\nhi"));
    }

    [Theory]
    [InlineData(OpenAIFaultKind.Cut)]
    [InlineData(OpenAIFaultKind.Error)]
    [InlineData(OpenAIFaultKind.Garbage)]
    [InlineData(OpenAIFaultKind.Html)]
    [InlineData(OpenAIFaultKind.Empty)]
    public async Task Run_AnswerLostAfterTheWork_IsFoundAndNotPostedAgain(OpenAIFaultKind kind)
    {
        AnswersFitSchema = kind is OpenAIFaultKind.Cut or OpenAIFaultKind.Error;
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = kind, AfterWork = true, Count = 1 });
        var batch = new StoredBatch("t", "hi");

        var failure = await FailAsync(NewBackend(), batch);
        var reply = await CompleteAsync(NewBackend(), batch);

        Assert.Equal(BackendErrorKind.Transient, failure.Kind);
        Assert.True(failure.IsOutcomeUnknown);
        Assert.Contains("hi", reply.Text);
        Assert.Equal(1, Ledger.TimesPosted("hi"));
    }

    [Theory]
    [InlineData(OpenAIFaultKind.Cut)]
    [InlineData(OpenAIFaultKind.Error)]
    public async Task Run_AnswerLostBeforeTheWork_IsPostedAgainAfterTheWait(OpenAIFaultKind kind)
    {
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = kind, Count = 1 });
        var batch = new StoredBatch("t", "hi");
        await FailAsync(NewBackend(), batch);
        var before = Time.Waited;

        await CompleteAsync(NewBackend(), batch);

        Assert.True(Time.Waited - before >= TimeSpan.FromSeconds(60));
        Assert.Equal(1, Ledger.TimesAccepted("hi"));
    }

    [Fact]
    public async Task Run_LostAnswerAndTheConversationStillLocked_WaitsForTheLockAndFindsTheReply()
    {
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.Cut, AfterWork = true, Count = 1 });
        var batch = new StoredBatch("t", "/slow 1.5\nhi");
        var backend = NewBackend();
        await FailAsync(backend, batch);

        var busy = await FailAsync(backend, batch);
        await Emulator.Ledger.WaitForAsync(l => !l.Open.Any(), Ct);
        await CompleteAsync(backend, batch);

        Assert.Equal(BackendErrorKind.ThreadBusy, busy.Kind);
        Assert.True(busy.IsOutcomeUnknown);
        Assert.Equal(1, Ledger.TimesAccepted("/slow 1.5\nhi"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Run_SameTextAsAnEarlierBatchThatWasFoundOrGivenUp_IsNotMistakenForIt(bool isFound)
    {
        Emulator.Options.FailedKeepsInput = true;
        var backend = NewBackend();
        var begun = new StoredBatch("t", "hello") { BatchId = "batch-0" };
        await CompleteAsync(backend, begun);
        Emulator.Faults.Add(isFound
            ? new() { Operation = "create_response", Kind = OpenAIFaultKind.Cut, AfterWork = true, Count = 1 }
            : new() { Operation = "create_response", Kind = OpenAIFaultKind.RunFails, Code = "invalid_prompt", Count = 1 });
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.Cut, Count = 1 });
        var first = new StoredBatch("t", "ok") { Conversation = begun.Conversation };
        await FailAsync(backend, first);
        if (isFound)
        {
            await CompleteAsync(backend, first);
        }

        var second = new StoredBatch("t", "ok") { BatchId = "batch-2", Conversation = first.Conversation };
        await FailAsync(backend, second);
        await CompleteAsync(backend, second);

        Assert.Equal(["hello", "ok", "ok"], Ledger.TextsOf("t"));
        Assert.Equal("batch-2", Ledger.Runs[^1].BatchId);
    }

    [Theory]
    [InlineData(201)]
    [InlineData(202)]
    public async Task Run_CreatedWithAnotherStatus_IsTakenAllTheSame(int status)
    {
        Emulator.Faults.Add(new() { Operation = "create_*", Kind = OpenAIFaultKind.OtherStatus, Status = status });

        await CompleteAsync(NewBackend(), new StoredBatch("t", "hi"));

        Assert.Single(Ledger.Runs);
    }

    [Fact]
    public async Task Run_ResponseFails_IsTransientAndTheRetryPostsOnce()
    {
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.RunFails, Code = "server_error", Count = 1 });
        var batch = new StoredBatch("t", "hi");

        var failure = await FailAsync(NewBackend(), batch);
        await CompleteAsync(NewBackend(), batch);

        Assert.Equal(BackendErrorKind.Transient, failure.Kind);
        Assert.False(failure.IsOutcomeUnknown);
        Assert.Equal(["hi"], Ledger.TextsOf("t"));
    }

    [Fact]
    public async Task Run_FailedResponseKeepsItsInput_IsRetriedWithoutIt()
    {
        Emulator.Options.FailedKeepsInput = true;
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.RunFails, Code = "server_error", Count = 1 });
        var batch = new StoredBatch("t", "hi", "there");

        await FailAsync(NewBackend(), batch);
        Assert.Equal(2, batch.StoredJournal.PostedThrough);
        await CompleteAsync(NewBackend(), batch);

        Assert.Equal(1, Ledger.TimesPosted("hi"));
        Assert.Equal(2, Ledger.Runs.Count);
    }

    [Fact]
    public async Task Run_RefusedContent_IsPermanentInTheApisWords()
    {
        var failure = await FailAsync(NewBackend(), new StoredBatch("t", "/refuse"));

        Assert.Equal(BackendErrorKind.Permanent, failure.Kind);
        Assert.Equal("invalid_prompt", failure.Code);
        Assert.Contains("flagged as potentially violating", failure.Message);
    }

    [Fact]
    public async Task Run_UnknownModel_PausesTheBackendAndTheMendedSettingCounts()
    {
        Emulator.Options.Models.Add("gpt-good");
        var batch = new StoredBatch("t", "hi");

        var failure = await FailAsync(NewBackend(), batch);
        await CompleteAsync(NewBackend(o => o.Model = "gpt-good"), batch);

        Assert.Equal(BackendErrorKind.BackendUnavailable, failure.Kind);
        Assert.Contains("AssistantQueue:OpenAI:Model", failure.Message);
        Assert.Equal(["hi"], Ledger.TextsOf("t"));
    }

    [Fact]
    public async Task Run_ModelRetiredBetweenTwoAttempts_TheMendedSettingCounts()
    {
        Emulator.Options.FailedKeepsInput = true;
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.RunFails, Count = 1 });
        var batch = new StoredBatch("t", "hi");
        await FailAsync(NewBackend(), batch);
        Assert.Equal((1, "gpt-test"), (batch.StoredJournal.PostedThrough, batch.StoredJournal.Model));
        Emulator.Options.Models.Add("gpt-good");

        var failure = await FailAsync(NewBackend(), batch);
        var reply = await CompleteAsync(NewBackend(o => o.Model = "gpt-good"), batch);

        Assert.Equal(BackendErrorKind.BackendUnavailable, failure.Kind);
        Assert.Equal("gpt-good", reply.Model);
        Assert.Equal(1, Ledger.TimesPosted("hi"));
    }

    [Fact]
    public async Task Run_ResponseIsNotFoundRightAfterItsPost_IsLookedForAgain()
    {
        var batch = new StoredBatch("t", "/slow 0.1\nhi");

        var reply = await CompleteAsync(NewBackend(services: s => s.AddKeyedSingleton("AssistantQueue", new HttpClient(new LaggingStore(looks: 3)))), batch);

        Assert.Equal(Assert.Single(Ledger.Runs).Id, reply.RunId);
    }

    [Fact]
    public async Task Run_ConversationGone_BeginsANewOneWithTheBatch()
    {
        var batch = new StoredBatch("t", "hi") { Conversation = { ["conversation"] = "conv_gone", ["last_item"] = "msg_1" } };

        await CompleteAsync(NewBackend(), batch);

        Assert.NotEqual("conv_gone", batch.Conversation["conversation"]);
        Assert.Equal(["hi"], Ledger.TextsOf("t"));
    }

    [Fact]
    public async Task Run_ConversationsShutDown_PausesTheBackendAndForgetsNone()
    {
        Emulator.Options.HasConversations = false;
        var batch = new StoredBatch("t", "hi") { Conversation = { ["conversation"] = "conv_1" } };

        var failure = await FailAsync(NewBackend(), batch);

        Assert.Contains("conv_1", failure.Message);
        Assert.Equal(BackendErrorKind.BackendUnavailable, failure.Kind);
        Assert.Equal("conv_1", batch.Conversation["conversation"]);
    }

    [Fact]
    public async Task Run_ConversationGoneAndToldToFail_IsPermanent()
    {
        var batch = new StoredBatch("t", "hi") { Conversation = { ["conversation"] = "conv_gone", ["last_item"] = "msg_1" } };

        var failure = await FailAsync(NewBackend(queue: o => o.WhenConversationGone = ConversationGoneAction.Fail), batch);

        Assert.Equal(BackendErrorKind.Permanent, failure.Kind);
        Assert.Contains("conv_gone", failure.Message);
    }

    [Fact]
    public async Task Run_EveryPathGone_PausesTheBackend()
    {
        Emulator.Faults.Add(OpenAIFault.Gone());

        var failure = await FailAsync(NewBackend(), new StoredBatch("t", "hi"));

        Assert.Equal(BackendErrorKind.BackendUnavailable, failure.Kind);
        Assert.False(failure.IsOutcomeUnknown);
    }

    [Fact]
    public async Task Run_ConversationBusyWithAnotherRun_WaitsForTheThreadAndPostsNothing()
    {
        var backend = NewBackend();
        var first = new StoredBatch("t", "/slow 30\nhi");
        await LeaveAsync(backend, first, update => update is RunStarted);
        var second = new StoredBatch("t", "more") { BatchId = "batch-2", Conversation = first.Conversation };

        var busy = await FailAsync(backend, second);

        Assert.Equal(BackendErrorKind.ThreadBusy, busy.Kind);
        Assert.False(busy.IsOutcomeUnknown);
        Assert.Equal(0, Ledger.TimesAccepted("more"));
    }

    [Fact]
    public async Task Run_ModelCallsAFunctionNobodyHas_IsPermanentAndTheConversationGoesOn()
    {
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.RunCallsFunction, Function = "book_flight", Count = 1 });
        var first = new StoredBatch("t", "hi");
        var backend = NewBackend();

        var failure = await FailAsync(backend, first);
        var second = new StoredBatch("t", "still there?") { BatchId = "batch-2", Conversation = first.Conversation };
        await CompleteAsync(backend, second);

        Assert.Equal(BackendErrorKind.Permanent, failure.Kind);
        Assert.Contains("book_flight", failure.Message);
        Assert.Equal(1, first.StoredJournal.PostedThrough);
        Assert.Equal(["hi", "still there?"], Ledger.TextsOf("t"));
    }

    [Fact]
    public async Task Run_ReplyCutAtItsLength_IsDeliveredAsFarAsItGoes()
    {
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.RunIsIncomplete });

        var reply = await CompleteAsync(NewBackend(), new StoredBatch("t", "hi"));

        Assert.NotEmpty(reply.Text);
        Assert.Equal("max_output_tokens", reply.Contents[^1].AdditionalProperties!["incomplete_reason"]);
    }

    [Fact]
    public async Task Cancel_RunningResponse_EndsItAtTheApi()
    {
        var backend = NewBackend();
        var batch = new StoredBatch("t", "/slow 60\nhi");
        await LeaveAsync(backend, batch, update => update is RunStarted);

        await backend.CancelAsync(batch.NextOwner(), Ct);

        Assert.Equal("cancelled", Assert.Single(Ledger.Runs).Status);
    }

    [Fact]
    public async Task Run_LooksFailInPassing_AreRepeated()
    {
        Emulator.Faults.Add(OpenAIFault.RateLimit(TimeSpan.FromSeconds(7), "get_response") with { Count = 2 });
        Emulator.Faults.Add(new() { Operation = "get_response", Kind = OpenAIFaultKind.Cut, Count = 2 });

        await CompleteAsync(NewBackend(), new StoredBatch("t", "/slow 0.1\nhi"));

        Assert.True(Time.Waited >= TimeSpan.FromSeconds(14));
        Assert.Single(Ledger.Runs);
    }

    [Fact]
    public async Task Run_RateLimited_TellsTheWaitAndNothingWasPosted()
    {
        Emulator.Faults.Add(OpenAIFault.RateLimit(TimeSpan.FromMilliseconds(1500), "create_response"));

        var failure = await FailAsync(NewBackend(), new StoredBatch("t", "hi"));

        Assert.Equal(BackendErrorKind.Transient, failure.Kind);
        Assert.Equal(TimeSpan.FromMilliseconds(1500), failure.RetryAfter);
        Assert.False(failure.IsOutcomeUnknown);
    }

    /// <summary>Knows nothing of a response for its first looks.</summary>
    private sealed class LaggingStore(int looks) : DelegatingHandler(new SocketsHttpHandler())
    {
        private int _looks;

        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            var path = request.RequestUri!.AbsolutePath;
            return request.Method == HttpMethod.Get && path.Contains("/responses/", StringComparison.Ordinal) && ++_looks <= looks
                ? new HttpResponseMessage(HttpStatusCode.NotFound)
                {
                    Content = new StringContent($$$"""{"error":{"message":"Response with id '{{{path.Split('/')[^1]}}}' not found.","type":"invalid_request_error","param":null,"code":null}}"""),
                }
                : await base.SendAsync(request, cancellationToken);
        }
    }
}
