using AssistantQueue.Emulators;

namespace AssistantQueue.Tests.OpenAIBackends.Responses;

/// <summary>A thread kept as a chain of responses, as on Azure's resource endpoints.</summary>
public class ChainTests : BackendTest
{
    protected override void Configure(OpenAIOptions options)
    {
        options.Model = "gpt-test";
        options.UseConversations = false;
    }

    [Fact]
    public async Task Run_SecondBatch_GoesOnFromTheFirstResponse()
    {
        var first = new StoredBatch("t", "hi");
        var reply = await CompleteAsync(NewBackend(), first);
        var second = new StoredBatch("t", "again") { BatchId = "batch-2", Conversation = first.Conversation };

        await CompleteAsync(NewBackend(), second);

        Assert.Equal(reply.RunId, Ledger.Runs[1].PreviousResponseId);
        Assert.DoesNotContain(Ledger.Requests, r => r.Operation == "create_conversation");
    }

    [Fact]
    public async Task Run_HeadMovesOnlyWithTheReply()
    {
        var batch = new StoredBatch("t", "/slow 0.2\nhi");
        await LeaveAsync(NewBackend(), batch, update => update is RunStarted);
        Assert.Empty(batch.Conversation);

        var reply = await CompleteAsync(NewBackend(), batch);

        Assert.Equal(reply.RunId, batch.Conversation["last_response"]);
        Assert.Single(Ledger.Runs);
    }

    [Fact]
    public async Task Run_AnswerLostAfterTheWork_BranchesFromTheOldHead()
    {
        var first = new StoredBatch("t", "hi");
        await CompleteAsync(NewBackend(), first);
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.Cut, AfterWork = true, Count = 1 });
        using var counted = new PostedAgain();
        var second = new StoredBatch("t", "again") { BatchId = "batch-2", QueueName = counted.Queue, Conversation = first.Conversation };

        await FailAsync(NewBackend(), second);
        var reply = await CompleteAsync(NewBackend(), second);

        // the model saw "hi" once and "again" once in the branch that goes on; the lost branch is the documented case of "twice"
        Assert.Contains("Before that you had written 1 message", reply.Text);
        Assert.Equal(2, Ledger.TimesAccepted("again"));
        Assert.Equal(["responses unknown_outcome"], counted.Counts);
    }

    [Fact]
    public async Task Cancel_RunningResponse_EndsItAtTheApiAndTheNextAttemptGoesOnFromTheOldHead()
    {
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.RunNeverEnds, Count = 1 });
        using var counted = new PostedAgain();
        var batch = new StoredBatch("t", "hi") { QueueName = counted.Queue };
        await LeaveAsync(NewBackend(), batch, update => update is RunStarted);
        var run = batch.NextOwner();

        await NewBackend().CancelAsync(run, Ct);
        batch.Retry(run, new AssistantBackendException(BackendErrorKind.Transient, "time is up"));
        await CompleteAsync(NewBackend(), batch);

        Assert.Equal(["cancelled", "completed"], Ledger.Runs.Select(r => r.Status));
        Assert.All(Ledger.Runs, r => Assert.Null(r.PreviousResponseId));
        Assert.Equal(["responses cancelled"], counted.Counts);
    }

    [Fact]
    public async Task Run_ResponseFails_IsRepeatedFromTheOldHead()
    {
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.RunFails, Count = 1 });
        var batch = new StoredBatch("t", "hi");

        await FailAsync(NewBackend(), batch);
        await CompleteAsync(NewBackend(), batch);

        Assert.Null(Ledger.Runs[1].PreviousResponseId);
    }

    [Fact]
    public async Task Run_HeadGone_BeginsANewChain()
    {
        var batch = new StoredBatch("t", "hi") { Conversation = { ["last_response"] = "resp_gone" } };

        var reply = await CompleteAsync(NewBackend(), batch);

        Assert.Equal(reply.RunId, batch.Conversation["last_response"]);
    }
}
