using AssistantQueue.Emulators;
using OpenAI.Assistants;

namespace AssistantQueue.Tests.Emulators;

/// <summary>The Assistants API through the SDK: threads, messages, runs, steps, tools, cancel.</summary>
public sealed class RunsTests : EmulatorTest
{
    private static readonly FunctionToolDefinition Weather = new("weather") { Parameters = BinaryData.FromString("""{"type":"object","properties":{}}""") };

    [Fact]
    public async Task Thread_CreatedModifiedAndDeleted_IsGone()
    {
        var thread = (await Assistants.CreateThreadAsync(new ThreadCreationOptions { Metadata = { ["a"] = "1" }, InitialMessages = { new(MessageRole.User, ["first"]) } }, Ct)).Value;
        var modified = (await Assistants.ModifyThreadAsync(thread.Id, new ThreadModificationOptions { Metadata = { ["a"] = "2" } }, Ct)).Value;
        var read = (await Assistants.GetThreadAsync(thread.Id, Ct)).Value;
        var deleted = (await Assistants.DeleteThreadAsync(thread.Id, Ct)).Value;

        Assert.Equal(("1", "2", "2", true), (thread.Metadata["a"], modified.Metadata["a"], read.Metadata["a"], deleted.Deleted));
        Assert.Equal(404, (await SendAsync("GET", $"threads/{thread.Id}")).Status);
    }

    [Fact]
    public async Task CreateRun_AdditionalMessagesAndInstructions_AnswersAllOfThem()
    {
        var thread = await NewThreadAsync();
        await Assistants.CreateMessageAsync(thread, MessageRole.User, ["before"], cancellationToken: Ct);
        var options = new RunCreationOptions { InstructionsOverride = "Base.", AdditionalInstructions = "More.", Metadata = { ["batch_id"] = "b1" } };
        options.AdditionalMessages.Add(new ThreadInitializationMessage(MessageRole.User, ["hi"]));
        options.AdditionalMessages.Add(new ThreadInitializationMessage(MessageRole.User, ["one question"]));

        var run = (await Assistants.CreateRunAsync(thread, "asst_1", options, Ct)).Value;

        Assert.Equal(RunStatus.Queued, run.Status);
        Assert.Equal(TimeSpan.FromMinutes(10), run.ExpiresAt - run.CreatedAt);
        await EndOfAsync(run.Id);
        var done = (await Assistants.GetRunAsync(thread, run.Id, Ct)).Value;
        Assert.Equal(RunStatus.Completed, done.Status);
        Assert.True(done.Usage.TotalTokenCount > 0);
        var messages = await Assistants.GetMessagesAsync(thread, new MessageCollectionOptions { Order = MessageCollectionOrder.Ascending }, Ct).ToListAsync(Ct);
        Assert.Equal(["before", "hi", "one question", "You wrote 3 messages: “before”, “hi” and “one question”. My instructions: “Base.\nMore.”."], messages.Select(m => m.Content[0].Text));
        Assert.Equal(run.Id, messages[^1].RunId);
    }

    [Fact]
    public async Task CreateThreadAndRun_InOneCall_Answers()
    {
        var run = (await Assistants.CreateThreadAndRunAsync("asst_1", new ThreadCreationOptions { InitialMessages = { new(MessageRole.User, ["hi"]) } }, cancellationToken: Ct)).Value;

        await EndOfAsync(run.Id);

        var messages = await Assistants.GetMessagesAsync(run.ThreadId, cancellationToken: Ct).ToListAsync(Ct);
        Assert.Equal("You wrote: “hi”.", messages[0].Content[0].Text);
    }

    [Fact]
    public async Task Run_ToolAsked_RequiresActionThenUsesTheOutput()
    {
        var thread = await NewThreadAsync();
        var options = new RunCreationOptions { ToolsOverride = { Weather } };
        options.AdditionalMessages.Add(new ThreadInitializationMessage(MessageRole.User, ["/tool weather {\"city\":\"Rome\"}"]));
        var run = (await Assistants.CreateRunAsync(thread, "asst_1", options, Ct)).Value;
        await StatusOfAsync(run.Id, r => r.Status == "requires_action");

        var waiting = (await Assistants.GetRunAsync(thread, run.Id, Ct)).Value;
        var action = Assert.Single(waiting.RequiredActions);
        Assert.Equal(("weather", """{"city":"Rome"}"""), (action.FunctionName, action.FunctionArguments));
        var queued = (await Assistants.SubmitToolOutputsToRunAsync(thread, run.Id, [new ToolOutput(action.ToolCallId, "sunny")], Ct)).Value;

        Assert.Equal(RunStatus.Queued, queued.Status);
        var ledger = await EndOfAsync(run.Id);
        Assert.Equal("sunny", ledger.Runs.Single().ToolOutputs![action.ToolCallId]);
        var messages = await Assistants.GetMessagesAsync(thread, cancellationToken: Ct).ToListAsync(Ct);
        Assert.Contains("weather returned “sunny”", messages[0].Content[0].Text, StringComparison.Ordinal);
        var steps = await Assistants.GetRunStepsAsync(thread, run.Id, cancellationToken: Ct).ToListAsync(Ct);
        Assert.Equal([RunStepKind.CreatedMessage, RunStepKind.ToolCall], steps.Select(s => s.Kind));
        Assert.Equal(steps[0].Id, (await Assistants.GetRunStepAsync(thread, run.Id, steps[0].Id, Ct)).Value.Id);
    }

    [Fact]
    public async Task Cancel_Run_IsCancellingThenCancelledAndFreesTheThread()
    {
        Emulator.Faults.Add(new() { Kind = OpenAIFaultKind.RunNeverEnds, Count = 1 });
        var thread = await NewThreadAsync();
        var run = (await Assistants.CreateRunAsync(thread, "asst_1", cancellationToken: Ct)).Value;

        var cancelling = (await Assistants.CancelRunAsync(thread, run.Id, Ct)).Value;

        Assert.Equal(RunStatus.Cancelling, cancelling.Status);
        await EndOfAsync(run.Id);
        Assert.Equal(RunStatus.Cancelled, (await Assistants.GetRunAsync(thread, run.Id, Ct)).Value.Status);
        await Assistants.CreateMessageAsync(thread, MessageRole.User, ["free"], cancellationToken: Ct);
    }

    [Fact]
    public async Task ListRuns_Pages_InBothOrders()
    {
        var thread = await NewThreadAsync();
        var ids = new List<string>();
        for (var i = 0; i < 5; i++)
        {
            var run = (await Assistants.CreateRunAsync(thread, "asst_1", cancellationToken: Ct)).Value;
            ids.Add(run.Id);
            await EndOfAsync(run.Id);
        }

        var ascending = await Assistants.GetRunsAsync(thread, new RunCollectionOptions { Order = RunCollectionOrder.Ascending, PageSizeLimit = 2 }, Ct).ToListAsync(Ct);
        var between = await SendAsync("GET", $"threads/{thread}/runs?order=asc&after={ids[0]}&before={ids[4]}");

        Assert.Equal(ids, ascending.Select(r => r.Id));
        Assert.Equal(ids[1..4], between.Body["data"]!.AsArray().Select(r => (string)r!["id"]!));
    }

    [Theory]
    [InlineData("/fail", "failed", "server_error")]
    [InlineData("/fail rate_limit_exceeded", "failed", "rate_limit_exceeded")]
    [InlineData("/refuse", "failed", "invalid_prompt")]
    [InlineData("/incomplete", "incomplete", null)]
    public async Task Run_Commands_EndAsTold(string command, string status, string? error)
    {
        var thread = await NewThreadAsync();
        var created = await PostAsync($"threads/{thread}/runs", $$"""{"assistant_id":"asst_1","additional_messages":[{"role":"user","content":"{{command}}"}]}""");
        var id = (string)created.Body["id"]!;

        await EndOfAsync(id);

        var run = (await SendAsync("GET", $"threads/{thread}/runs/{id}")).Body;
        Assert.Equal((status, error), ((string?)run["status"], (string?)run["last_error"]?["code"]));
    }
}
