using AssistantQueue.Emulators;
using OpenAI.Conversations;
using OpenAI.Responses;

namespace AssistantQueue.Tests.Emulators;

/// <summary>The Responses API through the SDK: foreground, background, chains, tools, cancel, delete.</summary>
public sealed class ResponsesTests : EmulatorTest
{
    private static readonly FunctionTool Weather = ResponseTool.CreateFunctionTool("weather", BinaryData.FromString("""{"type":"object","properties":{"city":{"type":"string"}}}"""), strictModeEnabled: false);

    [Fact]
    public async Task Create_TwoMessages_EchoesBothAsOneBatch()
    {
        var response = await CreateAsync(new() { InputItems = { User("hi"), User("one question") } });

        Assert.Equal(ResponseStatus.Completed, response.Status);
        Assert.Equal("You wrote 2 messages: “hi” and “one question”.", response.GetOutputText());
        Assert.True(response.Usage.TotalTokenCount > 0);
    }

    [Fact]
    public async Task Create_InConversation_RemembersEarlierMessagesAndInstructions()
    {
        var conversation = await NewConversationAsync();
        await CreateAsync(new() { InputItems = { User("hi") }, ConversationOptions = new(conversation) });

        var second = await CreateAsync(new() { InputItems = { User("and?") }, ConversationOptions = new(conversation), Instructions = "Be brief." });

        Assert.Equal("You wrote: “and?”. Before that you had written 1 message. My instructions: “Be brief.”.", second.GetOutputText());
        Assert.Equal(conversation, second.ConversationOptions?.ConversationId);
    }

    [Fact]
    public async Task Create_Background_IsQueuedThenPolledToItsEnd()
    {
        Emulator.Options.Latency = TimeSpan.FromMilliseconds(50);
        var created = await CreateAsync(new() { InputItems = { User("hi") }, BackgroundModeEnabled = true });

        Assert.Equal(ResponseStatus.Queued, created.Status);
        await EndOfAsync(created.Id);
        var done = (await Responses.GetResponseAsync(created.Id, Ct)).Value;
        Assert.Equal(ResponseStatus.Completed, done.Status);
        Assert.Equal("You wrote: “hi”.", done.GetOutputText());
    }

    [Fact]
    public async Task Create_PreviousResponse_ContinuesTheChainAndMayFork()
    {
        var first = await CreateAsync(new() { InputItems = { User("one") } });

        var left = await CreateAsync(new() { InputItems = { User("two") }, PreviousResponseId = first.Id });
        var right = await CreateAsync(new() { InputItems = { User("three") }, PreviousResponseId = first.Id });
        var last = await CreateAsync(new() { InputItems = { User("four") }, PreviousResponseId = left.Id });

        Assert.Equal("You wrote: “three”. Before that you had written 1 message.", right.GetOutputText());
        Assert.Equal("You wrote: “four”. Before that you had written 2 messages.", last.GetOutputText());
    }

    [Fact]
    public async Task Create_ToolAsked_CallsItAndUsesItsOutput()
    {
        var conversation = await NewConversationAsync();
        var asked = await CreateAsync(new() { InputItems = { User("/tool weather {\"city\":\"Rome\"}") }, ConversationOptions = new(conversation), Tools = { Weather } });
        var call = Assert.IsType<FunctionCallResponseItem>(Assert.Single(asked.OutputItems));
        Assert.Equal(("weather", """{"city":"Rome"}"""), (call.FunctionName, call.FunctionArguments.ToString()));

        var answered = await CreateAsync(new() { InputItems = { ResponseItem.CreateFunctionCallOutputItem(call.CallId, "sunny") }, ConversationOptions = new(conversation), Tools = { Weather } });

        Assert.Contains("weather returned “sunny”", answered.GetOutputText(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Cancel_Background_IsCancelledAndAgainIsTheSame()
    {
        Emulator.Faults.Add(new() { Kind = OpenAIFaultKind.RunNeverEnds });
        var conversation = await NewConversationAsync();
        var created = await CreateAsync(new() { InputItems = { User("hi") }, BackgroundModeEnabled = true, ConversationOptions = new(conversation) });

        var cancelled = (await Responses.CancelResponseAsync(created.Id, Ct)).Value;
        var again = (await Responses.CancelResponseAsync(created.Id, Ct)).Value;

        Assert.Equal((ResponseStatus.Cancelled, ResponseStatus.Cancelled), (cancelled.Status, again.Status));
        Emulator.Faults.Clear();
        var next = await CreateAsync(new() { InputItems = { User("next") }, ConversationOptions = new(conversation) });
        Assert.Equal("You wrote: “next”.", next.GetOutputText());
    }

    [Fact]
    public async Task Create_MaxOutputTokens_IsIncomplete()
    {
        var response = await CreateAsync(new() { InputItems = { User("/long 200") }, MaxOutputTokenCount = 16 });

        Assert.Equal(ResponseStatus.Incomplete, response.Status);
        Assert.Equal(ResponseIncompleteStatusReason.MaxOutputTokens, response.IncompleteStatusDetails.Reason);
        Assert.True(response.GetOutputText().Length <= 64);
    }

    [Fact]
    public async Task Delete_Response_IsGone()
    {
        var created = await CreateAsync(new() { InputItems = { User("hi") } });

        var deleted = (await Responses.DeleteResponseAsync(created.Id, Ct)).Value;

        Assert.True(deleted.Deleted);
        Assert.Equal(404, (await SendAsync("GET", $"responses/{created.Id}")).Status);
    }

    [Fact]
    public async Task InputItems_OfAResponse_AreListedInBothOrders()
    {
        var created = await CreateAsync(new() { InputItems = { User("one"), User("two") } });

        var ascending = await SendAsync("GET", $"responses/{created.Id}/input_items?order=asc&limit=1");
        var descending = await SendAsync("GET", $"responses/{created.Id}/input_items");

        Assert.Equal("one", (string?)ascending.Body["data"]![0]!["content"]![0]!["text"]);
        Assert.True((bool)ascending.Body["has_more"]!);
        Assert.Equal("two", (string?)descending.Body["data"]![0]!["content"]![0]!["text"]);
    }

    [Fact]
    public async Task Create_NotStored_CannotBeReadAgain()
    {
        var created = await CreateAsync(new() { InputItems = { User("hi") }, StoredOutputEnabled = false });

        Assert.Equal(404, (await SendAsync("GET", $"responses/{created.Id}")).Status);
    }

    [Fact]
    public async Task Create_ImageAndFileParts_AreNamedInTheEcho()
    {
        var message = ResponseItem.CreateUserMessageItem([
            ResponseContentPart.CreateInputTextPart("look"),
            ResponseContentPart.CreateInputImagePart(new Uri("https://example.com/a.png"), ResponseImageDetailLevel.Auto),
            ResponseContentPart.CreateInputFilePart("file-1")]);

        var response = await CreateAsync(new() { InputItems = { message } });

        Assert.Equal("You wrote: “look\n[input_image]\n[input_file]”.", response.GetOutputText());
    }

    internal static MessageResponseItem User(string text) => ResponseItem.CreateUserMessageItem(text);

    private async Task<ResponseResult> CreateAsync(CreateResponseOptions options)
    {
        options.Model = "test-model";
        return (await Responses.CreateResponseAsync(options, Ct)).Value;
    }
}
