using System.ClientModel;
using AssistantQueue.Emulators;
using OpenAI.Assistants;

namespace AssistantQueue.Tests.Emulators;

/// <summary>The refusals word for word, as clients match them.</summary>
public sealed class ErrorsTests : EmulatorTest
{
    protected override bool RequestsFitSchema => false;

    [Fact]
    public async Task CreateMessage_RunActive_SaysWhichRun()
    {
        var (thread, run) = await BusyThreadAsync();

        var e = await Assert.ThrowsAsync<ClientResultException>(() => Assistants.CreateMessageAsync(thread, MessageRole.User, ["hi"], cancellationToken: Ct));

        Assert.Equal(400, e.Status);
        var error = (await PostAsync($"threads/{thread}/messages", """{"role":"user","content":"hi"}""")).Body["error"]!;
        Assert.Equal($"Can't add messages to {thread} while a run {run} is active.", (string?)error["message"]);
        Assert.Equal(("invalid_request_error", null, null), ((string?)error["type"], (string?)error["code"], (string?)error["param"]));
    }

    [Fact]
    public async Task CreateRun_RunActive_SaysWhichRun()
    {
        var (thread, run) = await BusyThreadAsync();

        await RefusedAsync("POST", $"threads/{thread}/runs", """{"assistant_id":"asst_1"}""", 400, $"Thread {thread} already has an active run {run}.", null, null);
        Assert.Single(Emulator.Ledger.Snapshot().Refusals);
    }

    [Fact]
    public async Task CreateResponse_ConversationBusy_IsLocked()
    {
        Emulator.Faults.Add(new() { Kind = OpenAIFaultKind.RunNeverEnds });
        var conversation = await NewConversationAsync();
        var body = $$"""{"model":"m","background":true,"conversation":"{{conversation}}","input":"hi"}""";
        await PostAsync("responses", body);

        await RefusedAsync("POST", "responses", body, 400, "Another process is currently operating on this conversation. Please retry in a few seconds.", "conversation_locked", "conversation");
        Assert.Empty(Emulator.Ledger.Snapshot().Overlaps);
    }

    [Fact]
    public async Task CreateResponse_CallWithoutOutput_IsPoisonedUntilRepaired()
    {
        var conversation = await NewConversationAsync();
        var asked = await PostAsync("responses", $$"""{"model":"m","conversation":"{{conversation}}","input":"/tool weather","tools":[{"type":"function","name":"weather","strict":false,"parameters":{} }]}""");
        var call = (string)asked.Body["output"]![0]!["call_id"]!;
        var body = $$"""{"model":"m","conversation":"{{conversation}}","input":"and now?"}""";

        await RefusedAsync("POST", "responses", body, 400, $"No tool output found for function call {call}.", null, "input");
        await PostAsync($"conversations/{conversation}/items", $$"""{"items":[{"type":"function_call_output","call_id":"{{call}}","output":"none"}]}""");
        Assert.Equal(200, (await PostAsync("responses", body)).Status);
    }

    [Theory]
    [InlineData("GET", "threads/thread_x", "No thread found with id 'thread_x'.", null)]
    [InlineData("POST", "threads/thread_x/runs", "No thread found with id 'thread_x'.", """{"assistant_id":"asst_1"}""")]
    [InlineData("GET", "conversations/conv_x", "Conversation with id 'conv_x' not found.", null)]
    [InlineData("POST", "responses", "Conversation with id 'conv_x' not found.", """{"model":"m","conversation":"conv_x","input":"hi"}""")]
    [InlineData("GET", "responses/resp_x", "Response with id 'resp_x' not found.", null)]
    [InlineData("POST", "responses/resp_x/cancel", "Response with id 'resp_x' not found.", null)]
    [InlineData("GET", "nowhere", "Invalid URL (GET /v1/nowhere)", null)]
    public Task Unknown_Id_Is404AndNamesIt(string method, string path, string message, string? body) => RefusedAsync(method, path, body, 404, message, null, null);

    [Fact]
    public async Task Unknown_IdInAThread_Is404AndNamesIt()
    {
        var thread = await NewThreadAsync();
        await RefusedAsync("GET", $"threads/{thread}/runs/run_x", null, 404, "No run found with id 'run_x'.", null, null);
        await RefusedAsync("GET", $"threads/{thread}/messages/msg_x", null, 404, "No message found with id 'msg_x'.", null, null);
    }

    [Fact]
    public Task CreateResponse_UnknownPrevious_Is400() =>
        RefusedAsync("POST", "responses", """{"model":"m","previous_response_id":"resp_x","input":"hi"}""", 400, "Previous response with id 'resp_x' not found.", "previous_response_not_found", "previous_response_id");

    [Fact]
    public async Task CreateResponse_ContentError_Is400AndNothingBegins()
    {
        await RefusedAsync("POST", "responses", """{"model":"m","input":"/refuse"}""", 400, "Invalid prompt: your prompt was flagged as potentially violating our usage policy. Please try again with a different prompt.", "invalid_prompt", null);
        Assert.Empty(Emulator.Ledger.Snapshot().Runs);
    }

    [Fact]
    public async Task Cancel_ForegroundResponse_Is400()
    {
        var response = await PostAsync("responses", """{"model":"m","input":"hi"}""");
        await RefusedAsync("POST", $"responses/{response.Body["id"]}/cancel", null, 400, "Cannot cancel a synchronous response.", null, null);
    }

    [Fact]
    public async Task Cancel_EndedRun_Is400()
    {
        var thread = await NewThreadAsync();
        var run = (await Assistants.CreateRunAsync(thread, "asst_1", cancellationToken: Ct)).Value;
        await EndOfAsync(run.Id);

        await RefusedAsync("POST", $"threads/{thread}/runs/{run.Id}/cancel", null, 400, "Cannot cancel run with status 'completed'.", null, null);
        await RefusedAsync("POST", $"threads/{thread}/runs/{run.Id}/submit_tool_outputs", """{"tool_outputs":[]}""", 400, "Runs in status \"completed\" do not accept tool outputs.", null, null);
    }

    [Fact]
    public async Task Names_Restricted_UnknownOnesAre404()
    {
        Emulator.Options.Models.Add("known");
        Emulator.Options.AssistantIds.Add("asst_known");
        var thread = await NewThreadAsync();

        await RefusedAsync("POST", "responses", """{"model":"other","input":"hi"}""", 404, "The model `other` does not exist or you do not have access to it.", "model_not_found", null);
        await RefusedAsync("POST", $"threads/{thread}/runs", """{"assistant_id":"asst_other"}""", 404, "No assistant found with id 'asst_other'.", null, null);
    }

    [Fact]
    public async Task Key_WrongOrMissing_Is401()
    {
        Emulator.Options.ApiKeys.Add("right-key");
        await RefusedAsync("GET", "threads/x", null, 401, "Incorrect API key provided: ********. You can find your API key at https://platform.openai.com/account/api-keys.", "invalid_api_key", null);
        Http.DefaultRequestHeaders.Authorization = null;
        Assert.Equal(401, (await SendAsync("GET", "threads/x")).Status);
        Http.DefaultRequestHeaders.Authorization = new("Bearer", "right-key");
        Assert.Equal(404, (await SendAsync("GET", "threads/x")).Status);
    }

    [Fact]
    public async Task Assistants_WithoutTheBetaHeader_Is400()
    {
        Http.DefaultRequestHeaders.Remove("OpenAI-Beta");
        Assert.Equal("invalid_beta", (string?)(await PostAsync("threads", "{}")).Body["error"]!["code"]);
    }

    [Fact]
    public async Task Assistants_SwitchedOff_Are404AsSinceTheSunset()
    {
        Emulator.Options.HasAssistants = false;
        await RefusedAsync("POST", "threads", "{}", 404, "Invalid URL (POST /v1/threads)", null, null);
    }

    [Fact]
    public async Task Azure_ResourceEndpoint_HasResponsesButNoConversations()
    {
        Http.DefaultRequestHeaders.Authorization = null;
        Http.DefaultRequestHeaders.Add("api-key", "azure-key");

        Assert.Equal(200, (await PostAsync("/openai/v1/responses", """{"model":"m","input":"hi"}""")).Status);
        await RefusedAsync("POST", "/openai/v1/conversations", "{}", 404, "Invalid URL (POST /openai/v1/conversations)", null, null);
        Assert.Equal(401, (await PostAsync("/v1/responses", """{"model":"m","input":"hi"}""")).Status);
        Emulator.Options.AzureHasConversations = true;
        Assert.Equal(200, (await PostAsync("/openai/v1/conversations", "{}")).Status);
    }

    private async Task RefusedAsync(string method, string path, string? body, int status, string message, string? code, string? param)
    {
        var (actual, answer) = await SendAsync(method, path, body);
        var error = answer["error"]!;
        Assert.Equal((status, message, code, param), (actual, (string?)error["message"], (string?)error["code"], (string?)error["param"]));
    }

    private async Task<(string Thread, string Run)> BusyThreadAsync()
    {
        Emulator.Faults.Add(new() { Kind = OpenAIFaultKind.RunNeverEnds });
        var thread = await NewThreadAsync();
        return (thread, (await Assistants.CreateRunAsync(thread, "asst_1", cancellationToken: Ct)).Value.Id);
    }
}
