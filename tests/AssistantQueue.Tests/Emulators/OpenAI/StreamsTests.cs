using System.ClientModel;
using System.ClientModel.Primitives;
using System.Net.ServerSentEvents;
using System.Text.Json.Nodes;
using AssistantQueue.Emulators;
using OpenAI.Assistants;
using OpenAI.Responses;

namespace AssistantQueue.Tests.Emulators;

/// <summary>Streams of both APIs: the events, their order, going on with them, and losing them.</summary>
public sealed class StreamsTests : EmulatorTest
{
    [Fact]
    public async Task Response_Streamed_HasTheEventsInOrder()
    {
        var events = await EventsAsync("responses", """{"model":"m","stream":true,"input":"hi there"}""");

        Assert.Equal(
            ["response.created", "response.in_progress", "response.output_item.added", "response.content_part.added", "response.output_text.delta", "response.output_text.done", "response.content_part.done", "response.output_item.done", "response.completed"],
            events.Select(e => e.EventType).Distinct());
        Assert.Equal(Enumerable.Range(0, events.Count), events.Select(e => (int)JsonNode.Parse(e.Data)!["sequence_number"]!));
        Assert.Equal("You wrote: “hi there”.", string.Concat(events.Where(e => e.EventType == "response.output_text.delta").Select(e => (string?)JsonNode.Parse(e.Data)!["delta"])));
    }

    [Fact]
    public async Task Response_StreamedByTheTypedClient_IsUnderstood()
    {
        var options = new CreateResponseOptions { Model = "m", StreamingEnabled = true, InputItems = { ResponsesTests.User("/tool weather {\"a\":1}") }, Tools = { ResponseTool.CreateFunctionTool("weather", BinaryData.FromString("{}"), false) } };
        var updates = await Responses.CreateResponseStreamingAsync(options, Ct).ToListAsync(Ct);

        var done = Assert.IsType<StreamingResponseCompletedUpdate>(updates[^1]);
        Assert.Equal("weather", Assert.IsType<FunctionCallResponseItem>(Assert.Single(done.Response.OutputItems)).FunctionName);
        Assert.Contains(updates, u => u is StreamingResponseFunctionCallArgumentsDoneUpdate);
    }

    [Fact]
    public async Task Response_StreamedWithTextBesideACall_HasTheMessageFirst()
    {
        var conversation = await NewConversationAsync();
        const string Tools = """[{"type":"function","name":"weather","strict":false,"parameters":{} }]""";
        var events = await EventsAsync("responses", $$"""{"model":"m","stream":true,"conversation":"{{conversation}}","input":"/say Let me look.\n/tool weather","tools":{{Tools}} }""");

        Assert.Equal([0, 1], events.Where(e => e.EventType == "response.output_item.done").Select(e => (int)JsonNode.Parse(e.Data)!["output_index"]!));
        Assert.Equal("Let me look.", string.Concat(events.Where(e => e.EventType == "response.output_text.delta").Select(e => (string?)JsonNode.Parse(e.Data)!["delta"])));
        var output = JsonNode.Parse(events[^1].Data)!["response"]!["output"]!.AsArray();
        Assert.Equal(["message", "function_call"], output.Select(item => (string?)item!["type"]));
        var answer = await PostAsync("responses", $$"""{"model":"m","conversation":"{{conversation}}","input":[{"type":"function_call_output","call_id":"{{output[1]!["call_id"]}}","output":"sunny"}],"tools":{{Tools}} }""");
        Assert.EndsWith("weather returned “sunny”.", (string?)answer.Body["output"]![0]!["content"]![0]!["text"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task BackgroundStream_LostAndResumed_GoesOnAfterTheNumber()
    {
        Emulator.Options.DeltaPause = TimeSpan.FromMilliseconds(5);
        var cut = Emulator.Faults.Add(new() { Kind = OpenAIFaultKind.CutStream, AfterEvents = 5, Count = 1 });
        var first = await BrokenAsync("""{"model":"m","stream":true,"background":true,"input":"a b c d e f"}""");
        var id = (string)JsonNode.Parse(first[0].Data)!["response"]!["id"]!;
        var last = (int)JsonNode.Parse(first[^1].Data)!["sequence_number"]!;

        var rest = await Responses.GetResponseStreamingAsync(new GetResponseOptions(id) { StartingAfter = last, StreamingEnabled = true }, Ct).ToListAsync(Ct);

        Assert.Equal(1, Emulator.Faults.Struck(cut));
        Assert.Equal((5, last + 1), (first.Count, rest[0].SequenceNumber));
        Assert.IsType<StreamingResponseCompletedUpdate>(rest[^1]);
        Assert.Equal(Enumerable.Range(last + 1, rest.Count), rest.Select(u => u.SequenceNumber));
    }

    [Theory]
    [InlineData(LostClient.Ends, 404, null, 0)]
    [InlineData(LostClient.Incomplete, 200, "incomplete", 2)]
    [InlineData(LostClient.Completes, 200, "completed", 2)]
    public async Task ForegroundStream_ClientGone_EndsAsTheSwitchSays(LostClient what, int status, string? state, int items)
    {
        Emulator.Options.LostStream = what;
        Emulator.Options.DeltaPause = TimeSpan.FromMilliseconds(20);
        Emulator.Faults.Add(new() { Kind = OpenAIFaultKind.CutStream, AfterEvents = 6 });
        var conversation = await NewConversationAsync();

        var events = await BrokenAsync($$"""{"model":"m","stream":true,"conversation":"{{conversation}}","input":"a b c d e f"}""");

        var id = (string)JsonNode.Parse(events[0].Data)!["response"]!["id"]!;
        await EndOfAsync(id);
        var read = await SendAsync("GET", $"responses/{id}");
        Assert.Equal((status, state), (read.Status, (string?)read.Body["status"]));
        Assert.Equal(items, (await SendAsync("GET", $"conversations/{conversation}/items")).Body["data"]!.AsArray().Count);
        Assert.Equal(200, (await PostAsync("responses", $$"""{"model":"m","conversation":"{{conversation}}","input":"free"}""")).Status);
    }

    [Fact]
    public async Task BackgroundStream_ThatHangs_SaysNothingMoreAndTheWorkGoesOn()
    {
        Emulator.Faults.Add(new() { Kind = OpenAIFaultKind.HangStream, AfterEvents = 2, Count = 1 });
        using var request = new HttpRequestMessage(HttpMethod.Post, "responses")
        {
            Content = new StringContent("""{"model":"m","stream":true,"background":true,"input":"a b c"}""", null, "application/json"),
        };
        using var response = await Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Ct);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Ct));
        var lines = new List<string?>();
        while (lines.Count < 6)
        {
            lines.Add(await reader.ReadLineAsync(Ct));
        }

        using var given = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        var next = reader.ReadLineAsync(given.Token).AsTask();
        var id = (string)JsonNode.Parse(lines[1]!["data: ".Length..])!["response"]!["id"]!;
        Assert.Equal("completed", (await EndOfAsync(id)).Runs.Single().Status);

        Assert.Equal(["event: response.created", "event: response.queued"], lines.Where(l => l!.StartsWith("event", StringComparison.Ordinal)));
        Assert.False(next.IsCompleted);
        await given.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => next);
    }

    [Fact]
    public async Task Run_Streamed_HasTheEventsInOrder()
    {
        var thread = await NewThreadAsync();

        var events = await EventsAsync($"threads/{thread}/runs", """{"assistant_id":"asst_1","stream":true,"additional_messages":[{"role":"user","content":"hi"}]}""");

        Assert.Equal(
            ["thread.run.created", "thread.run.queued", "thread.run.in_progress", "thread.run.step.created", "thread.run.step.in_progress", "thread.message.created", "thread.message.in_progress", "thread.message.delta", "thread.message.completed", "thread.run.step.completed", "thread.run.completed", "done"],
            events.Select(e => e.EventType).Distinct());
        Assert.Equal("[DONE]", events[^1].Data);
    }

    [Fact]
    public async Task Run_StreamedWithTool_GoesOnInASecondStream()
    {
        var thread = await NewThreadAsync();
        var options = new RunCreationOptions { ToolsOverride = { new FunctionToolDefinition("weather") } };
        options.AdditionalMessages.Add(new ThreadInitializationMessage(global::OpenAI.Assistants.MessageRole.User, ["/tool weather"]));

        var first = await Assistants.CreateRunStreamingAsync(thread, "asst_1", options, Ct).ToListAsync(Ct);
        var action = Assert.IsType<RequiredActionUpdate>(first[^1]);
        var second = await Assistants.SubmitToolOutputsToRunStreamingAsync(thread, action.Value.Id, [new ToolOutput(action.ToolCallId, "sunny")], Ct).ToListAsync(Ct);

        Assert.Contains(second, u => u.UpdateKind == StreamingUpdateReason.RunStepCompleted);
        Assert.Contains("sunny", string.Concat(second.OfType<MessageContentUpdate>().Select(u => u.Text)), StringComparison.Ordinal);
        Assert.Equal(StreamingUpdateReason.RunCompleted, second.Where(u => u.UpdateKind.ToString().StartsWith("Run", StringComparison.Ordinal)).Last().UpdateKind);
    }

    [Fact]
    public async Task Run_StreamedWithTextBesideACall_HasTheMessageFirst()
    {
        var thread = await NewThreadAsync();

        var events = await EventsAsync($"threads/{thread}/runs", """{"assistant_id":"asst_1","stream":true,"tools":[{"type":"function","function":{"name":"weather"}}],"additional_messages":[{"role":"user","content":"/say Let me look.\n/tool weather"}]}""");

        var kinds = events.Select(e => e.EventType).ToList();
        Assert.Equal(["thread.run.requires_action", "done"], kinds.TakeLast(2));
        var said = kinds.IndexOf("thread.message.completed");
        Assert.True(said > 0 && said < kinds.LastIndexOf("thread.run.step.created"), string.Join(' ', kinds));
        var run = JsonNode.Parse(events[^2].Data)!;
        Assert.Null(run["usage"]);
        var call = (string)run["required_action"]!["submit_tool_outputs"]!["tool_calls"]![0]!["id"]!;
        await PostAsync($"threads/{thread}/runs/{run["id"]}/submit_tool_outputs", $$"""{"tool_outputs":[{"tool_call_id":"{{call}}","output":"sunny"}]}""");
        await EndOfAsync((string)run["id"]!);
        var texts = (await SendAsync("GET", $"threads/{thread}/messages?order=asc")).Body["data"]!.AsArray().Select(m => (string?)m!["content"]![0]!["text"]!["value"]).ToList();
        Assert.Equal("Let me look.", texts[1]);
        Assert.EndsWith("weather returned “sunny”.", texts[2], StringComparison.Ordinal);
    }

    [Fact]
    public async Task ThreadAndRun_Streamed_BeginsWithTheThread()
    {
        var events = await EventsAsync("threads/runs", """{"assistant_id":"asst_1","stream":true,"thread":{"messages":[{"role":"user","content":"hi"}]}}""");

        Assert.Equal(["thread.created", "thread.run.created"], events.Take(2).Select(e => e.EventType));
        Assert.Equal("thread.run.completed", events[^2].EventType);
    }

    [Fact]
    public async Task Run_StreamEndsEarlyButCleanly_TheRunGoesOn()
    {
        Emulator.Faults.Add(new() { Kind = OpenAIFaultKind.EndStream, AfterEvents = 3, Count = 1 });
        var thread = await NewThreadAsync();

        var updates = await Assistants.CreateRunStreamingAsync(thread, "asst_1", cancellationToken: Ct).ToListAsync(Ct);

        var run = updates.OfType<global::OpenAI.Assistants.RunUpdate>().First().Value;
        Assert.Equal("completed", (await EndOfAsync(run.Id)).Runs.Single().Status);
        Assert.DoesNotContain(updates, u => u.UpdateKind == StreamingUpdateReason.RunCompleted);
    }

    [Fact]
    public async Task Run_FailsWhileStreamed_SaysSo()
    {
        var thread = await NewThreadAsync();

        var events = await EventsAsync($"threads/{thread}/runs", """{"assistant_id":"asst_1","stream":true,"additional_messages":[{"role":"user","content":"/fail"}]}""");

        Assert.Equal(["thread.run.failed", "done"], events.TakeLast(2).Select(e => e.EventType));
    }

    [Fact]
    public async Task Run_IncompleteWithTheRecordedName_SaysItInItsStatus()
    {
        Emulator.Options.IncompleteRunSaysCompleted = true;
        var thread = await NewThreadAsync();

        var events = await EventsAsync($"threads/{thread}/runs", """{"assistant_id":"asst_1","stream":true,"additional_messages":[{"role":"user","content":"/incomplete"}]}""");

        Assert.Equal(("thread.run.completed", "incomplete"), (events[^2].EventType, (string?)JsonNode.Parse(events[^2].Data)!["status"]));
    }

    [Fact]
    public async Task Stream_WithAnErrorEvent_EndsThere()
    {
        Emulator.Faults.Add(new() { Kind = OpenAIFaultKind.ErrorInStream, AfterEvents = 2, Code = "server_error" });
        var thread = await NewThreadAsync();

        var response = await EventsAsync("responses", """{"model":"m","stream":true,"input":"hi"}""");
        var run = await EventsAsync($"threads/{thread}/runs", """{"assistant_id":"asst_1","stream":true}""");

        Assert.Equal(["response.created", "response.in_progress", "error"], response.Select(e => e.EventType));
        Assert.Equal(["thread.run.created", "thread.run.queued", "error"], run.Select(e => e.EventType));
    }

    [Theory]
    [InlineData("/fail", "response.failed")]
    [InlineData("/incomplete", "response.incomplete")]
    public async Task Response_EndsOtherwise_SaysSo(string command, string last)
    {
        var events = await EventsAsync("responses", $$"""{"model":"m","stream":true,"background":true,"input":"{{command}}"}""");

        Assert.Equal(["response.created", "response.queued"], events.Take(2).Select(e => e.EventType));
        Assert.Equal(last, events[^1].EventType);
    }

    private async Task<List<SseItem<string>>> EventsAsync(string path, string json)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new StringContent(json, null, "application/json") };
        using var response = await Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Ct);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType?.MediaType);
        return await SseParser.Create(await response.Content.ReadAsStreamAsync(Ct)).EnumerateAsync(Ct).ToListAsync(Ct);
    }

    /// <summary>Reads a stream until it breaks.</summary>
    private async Task<List<SseItem<string>>> BrokenAsync(string json)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "responses") { Content = new StringContent(json, null, "application/json") };
        using var response = await Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Ct);
        var events = new List<SseItem<string>>();
        await Assert.ThrowsAnyAsync<IOException>(async () =>
        {
            await foreach (var item in SseParser.Create(await response.Content.ReadAsStreamAsync(Ct)).EnumerateAsync(Ct))
            {
                events.Add(item);
            }
        });
        return events;
    }
}
