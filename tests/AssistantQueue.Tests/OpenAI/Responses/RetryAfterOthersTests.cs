using AssistantQueue.Emulators;

namespace AssistantQueue.Tests.OpenAIBackends.Responses;

/// <summary>An operator's retry of a batch behind which other batches have posted: it takes neither their messages nor their replies for its own.</summary>
public class RetryAfterOthersTests : BackendTest
{
    private readonly TestTools _tools = new TestTools { Options = { MaxRounds = 1 } }.Add("look");

    protected override void Configure(OpenAIOptions options) => options.Model = "gpt-test";

    [Fact]
    public async Task Retry_MessagesThatTheConversationHas_GetAReplyOfTheirOwn()
    {
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.RunCallsFunction, Function = "look", Count = 3 });
        var backend = NewBackend();
        var first = new StoredBatch("t", "hi") { Tools = _tools };
        var failure = await FailAsync(backend, first);
        Assert.Equal("too_many_tool_rounds", failure.Code);
        Emulator.Faults.Clear();
        var other = await CompleteAsync(backend, Next(first, "next"));

        var reply = await CompleteAsync(backend, first);

        AssertOwn(reply, other);
        Assert.Equal(["hi", "next"], Ledger.TextsOf("t"));
    }

    [Fact]
    public async Task Retry_CallsThatTheOtherBatchHasAnswered_AreNotAnsweredAgain()
    {
        Refuse(skip: 1);
        var backend = NewBackend();
        var first = new StoredBatch("t", "/tool look {}") { Tools = _tools };
        var failure = await FailAsync(backend, first);
        Assert.True(failure.IsOutcomeUnknown);
        var other = await CompleteAsync(backend, Next(first, "next"));

        var reply = await CompleteAsync(backend, first);

        AssertOwn(reply, other);
        Assert.Equal(1, _tools.TimesCalled("look"));
        Assert.Null(Ledger.Runs[^1].ToolOutputs);
    }

    [Fact]
    public async Task Retry_OutputsOfUnknownOutcomeThatTheOtherBatchHasReplaced_AreNotTakenForOurs()
    {
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.Cut, Skip = 1, Count = 1 });
        var backend = NewBackend();
        var first = new StoredBatch("t", "/tool look {}") { Tools = _tools };
        await FailAsync(backend, first);
        var other = await CompleteAsync(backend, Next(first, "next"));

        var reply = await CompleteAsync(backend, first);

        AssertOwn(reply, other);
        Assert.Equal(1, _tools.TimesCalled("look"));
        Assert.Null(Ledger.Runs[^1].ToolOutputs);
    }

    [Fact]
    public async Task Retry_OutputsOfUnknownOutcomeThatWereTaken_FindTheReplyBeforeTheOtherBatch()
    {
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.Cut, AfterWork = true, Skip = 1, Count = 1 });
        var backend = NewBackend();
        var first = new StoredBatch("t", "/tool look {}") { Tools = _tools };
        await FailAsync(backend, first);
        await CompleteAsync(backend, Next(first, "next"));

        var reply = await CompleteAsync(backend, first);

        Assert.Contains("look returned “look”", reply.Text);
        Assert.Equal(3, Ledger.Runs.Count);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Retry_RefusedMessageThatTheUserHasSaidAgain_IsPosted(bool otherCompletes)
    {
        Emulator.Options.FailedKeepsInput = true;
        Refuse();
        var backend = NewBackend();
        var first = new StoredBatch("t", "ok");
        await FailAsync(backend, first);
        var second = Next(first, "ok");
        RunCompleted? other = null;
        if (otherCompletes)
        {
            other = await CompleteAsync(backend, second);
        }
        else
        {
            Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.RunFails, Count = 1 });
            await FailAsync(backend, second);
        }

        var reply = await CompleteAsync(backend, first);

        Assert.NotEqual(other?.RunId ?? Ledger.Runs[0].Id, reply.RunId);
        Assert.Equal(["ok", "ok"], Ledger.TextsOf("t"));
        Assert.Equal("batch-1", Ledger.Runs[^1].BatchId);
    }

    [Fact]
    public async Task Retry_AfterTheOtherBatch_LeavesTheConversationsEndToTheNextOne()
    {
        Refuse();
        var backend = NewBackend();
        var first = new StoredBatch("t", "ok");
        await FailAsync(backend, first);
        await CompleteAsync(backend, Next(first, "next"));
        await CompleteAsync(backend, first);
        // its own post is looked for behind the retried one
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.Cut, Count = 1 });
        var third = new StoredBatch("t", "ok") { BatchId = "batch-3", Conversation = first.Conversation };
        await FailAsync(backend, third);

        await CompleteAsync(backend, third);

        Assert.Equal(["next", "ok", "ok"], Ledger.TextsOf("t"));
    }

    private void Refuse(int skip = 0) => Emulator.Faults.Add(new()
    {
        Operation = "create_response",
        Kind = OpenAIFaultKind.Error,
        Status = 400,
        Type = "invalid_request_error",
        Code = "invalid_prompt",
        Message = "Refused.",
        Skip = skip,
        Count = 1,
    });

    private void AssertOwn(RunCompleted reply, RunCompleted other)
    {
        var run = Ledger.Runs[^1];
        Assert.Equal((run.Id, "batch-1"), (reply.RunId, run.BatchId));
        Assert.NotEqual(other.Text, reply.Text);
        Assert.Empty(run.Texts);
    }

    private static StoredBatch Next(StoredBatch before, string text) => new("t", text) { BatchId = "batch-2", Conversation = before.Conversation };
}
