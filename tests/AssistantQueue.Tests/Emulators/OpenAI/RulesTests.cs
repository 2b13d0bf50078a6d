namespace AssistantQueue.Tests.Emulators;

/// <summary>What bodies are refused: unknown fields, wrong types, limits. Where the published schema can say it too, it must agree.</summary>
public sealed class RulesTests : EmulatorTest
{
    protected override bool RequestsFitSchema => false;

    public static TheoryData<string, string, string> Wrong => new()
    {
        { "responses", """{"input":"hi"}""", "missing_required_parameter" },
        { "responses", """{"model":"m","inputs":"hi"}""", "unknown_parameter" },
        { "responses", """{"model":5}""", "invalid_type" },
        { "responses", """{"model":"m","input":[{"role":"robot","content":"hi"}]}""", "invalid_value" },
        { "responses", """{"model":"m","input":[{"role":"user"}]}""", "missing_required_parameter" },
        { "responses", """{"model":"m","input":[{"type":"function_call_output","call_id":"c"}]}""", "missing_required_parameter" },
        { "responses", """{"model":"m","input":[{"role":"user","content":[{"type":"text","text":"hi"}]}]}""", "invalid_value" },
        { "responses", """{"model":"m","max_output_tokens":15}""", "integer_below_min_value" },
        { "responses", """{"model":"m","temperature":2.5}""", "decimal_above_max_value" },
        { "responses", """{"model":"m","background":true,"store":false}""", "unsupported_parameter" },
        { "responses", """{"model":"m","conversation":"conv_1","previous_response_id":"resp_1"}""", "mutually_exclusive_parameters" },
        { "responses", """{"model":"m","tools":[{"type":"function","name":"f"}]}""", "missing_required_parameter" },
        { "responses", """{"model":"m","metadata":{"a":1}}""", "invalid_type" },
        { "responses", $$$"""{"model":"m","metadata":{"{{{new string('k', 65)}}}":"v"}}""", "property_name_above_max_length" },
        { "responses", $$$"""{"model":"m","metadata":{"k":"{{{new string('v', 513)}}}"}}""", "string_above_max_length" },
        { "responses", "{\"model\":\"m\",\"metadata\":{" + string.Join(",", Enumerable.Range(0, 17).Select(i => $"\"k{i}\":\"v\"")) + "}}", "object_above_max_properties" },
        { "responses", $$"""{"model":"m","input":"{{new string('x', 10_485_761)}}"}""", "string_above_max_length" },
        { "responses", $$"""{"model":"m","input":[{"type":"function_call_output","call_id":"c","output":"{{new string('x', 10_485_761)}}"}]}""", "string_above_max_length" },
        { "conversations", """{"name":"x"}""", "unknown_parameter" },
        { "conversations/conv_1/items", "{}", "missing_required_parameter" },
        { "conversations/conv_1/items", $$"""{"items":[{{string.Join(",", Enumerable.Repeat("""{"role":"user","content":"x"}""", 21))}}]}""", "array_above_max_length" },
        { "conversations/conv_1", "{}", "missing_required_parameter" },
        { "threads", """{"messages":[{"role":"system","content":"x"}]}""", "invalid_value" },
        { "threads", """{"metadata":"x"}""", "invalid_type" },
        { "threads/thread_1/messages", """{"role":"user","content":[]}""", "empty_array" },
        { "threads/thread_1/messages", """{"role":"user","content":"x","file_ids":[]}""", "unknown_parameter" },
        { "threads/thread_1/runs", "{}", "missing_required_parameter" },
        { "threads/thread_1/runs", """{"assistant_id":"a","max_completion_tokens":10}""", "integer_below_min_value" },
        { "threads/thread_1/runs", """{"assistant_id":"a","stream":"yes"}""", "invalid_type" },
        { "threads/runs", """{"assistant_id":"a","additional_messages":[]}""", "unknown_parameter" },
        { "threads/thread_1/runs/run_1/submit_tool_outputs", """{"outputs":[]}""", "unknown_parameter" },
    };

    [Theory]
    [MemberData(nameof(Wrong))]
    public async Task Post_WrongBody_Is400WithTheCode(string path, string body, string code)
    {
        var (status, answer) = await PostAsync(path, body);

        Assert.Equal((400, code), (status, (string?)answer["error"]!["code"]));
    }

    [Theory]
    [InlineData("{")]
    [InlineData("[1]")]
    [InlineData("""{"model":"m","model":"n"}""")]
    public async Task Post_NoJsonObject_Is400(string body)
    {
        var (status, answer) = await PostAsync("responses", body);

        Assert.Equal(400, status);
        Assert.StartsWith("We could not parse the JSON body of your request.", (string?)answer["error"]!["message"], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("limit=0")]
    [InlineData("limit=101")]
    [InlineData("limit=x")]
    [InlineData("order=up")]
    [InlineData("after=run_x")]
    [InlineData("page=2")]
    public async Task List_WrongQuery_Is400(string query)
    {
        var thread = await NewThreadAsync();
        Assert.Equal(400, (await SendAsync("GET", $"threads/{thread}/runs?{query}")).Status);
    }

    [Fact]
    public async Task Post_AtTheLimits_IsAccepted()
    {
        var metadata = string.Join(",", Enumerable.Range(0, 16).Select(i => $"\"{new string((char)('a' + i), 64)}\":\"{new string('v', 512)}\""));
        var items = string.Join(",", Enumerable.Repeat("""{"role":"user","content":"x"}""", 20));

        Assert.Equal(200, (await PostAsync("conversations", $"{{\"metadata\":{{{metadata}}},\"items\":[{items}]}}")).Status);
        Assert.Equal(200, (await PostAsync("responses", $$"""{"model":"m","max_output_tokens":16,"input":"{{new string('x', 10_485_760)}}"}""")).Status);
    }

    /// <summary>What the emulator refuses for its shape, the schema refuses too: the emulator isn't stricter than the service, except where the comment in the rules says so.</summary>
    [Theory]
    [MemberData(nameof(Wrong))]
    public void Schema_OfTheSameBody_AgreesWhereItCan(string path, string body, string code)
    {
        var shape = code is "missing_required_parameter" or "invalid_type" or "invalid_value" or "empty_array" or "integer_below_min_value" or "array_above_max_length" or "decimal_above_max_value";
        // the description lets any field pass in most objects, doesn't want a model, and has the length of a text only in some places
        if (shape && !body.StartsWith("""{"input":""", StringComparison.Ordinal))
        {
            Assert.NotEmpty(OpenAISchema.Request("POST", "/v1/" + path, body));
        }
    }
}
