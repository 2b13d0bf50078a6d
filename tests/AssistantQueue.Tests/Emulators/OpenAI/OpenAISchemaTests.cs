namespace AssistantQueue.Tests.Emulators;

/// <summary>The measure itself: that it lets right things pass and finds wrong ones.</summary>
public sealed class OpenAISchemaTests
{
    [Theory]
    [InlineData("""{"model":"m","input":"hi"}""")]
    [InlineData("""{"model":"m","input":[{"role":"user","content":"hi"},{"type":"function_call_output","call_id":"c","output":"o"}],"conversation":"conv_1","background":true,"metadata":{"a":"b"}}""")]
    [InlineData("""{"model":"m","input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"hi"}]}],"conversation":{"id":"conv_1"},"instructions":null}""")]
    public void Request_RightBody_HasNoFaults(string json) => Assert.Empty(OpenAISchema.Request("POST", "/v1/responses", json));

    [Theory]
    [InlineData("""{"model":"m","input":[{"role":"nobody","content":"hi"}]}""")]
    [InlineData("""{"model":"m","input":5}""")]
    [InlineData("""{"model":"m","max_output_tokens":3}""")]
    [InlineData("""{"model":"m","metadata":{"a":5}}""")]
    [InlineData("""{"model":"m","tools":[{"type":"function"}]}""")]
    [InlineData("""{"model":"m","background":"yes"}""")]
    [InlineData("not json")]
    public void Request_WrongBody_HasFaults(string json) => Assert.NotEmpty(OpenAISchema.Request("POST", "/openai/v1/responses?api-version=1", json));

    [Theory]
    [InlineData("POST", "/v1/threads/thread_1/runs", """{"additional_messages":[]}""")]
    [InlineData("POST", "/v1/threads/thread_1/runs", """{"assistant_id":"asst_1","unknown":1}""")]
    [InlineData("POST", "/v1/threads/thread_1/messages", """{"role":"system","content":"hi"}""")]
    [InlineData("POST", "/v1/threads/thread_1/messages", "")]
    [InlineData("POST", "/v1/nowhere", "{}")]
    [InlineData("GET", "/v1/threads/thread_1", "{}")]
    public void Request_WrongCall_HasFaults(string method, string path, string json) => Assert.NotEmpty(OpenAISchema.Request(method, path, json));

    [Theory]
    [InlineData("/v1/threads/thread_1/runs?limit=100&order=desc&after=run_1", true)]
    [InlineData("/openai/threads/thread_1/runs?limit=100&api-version=2025-04-01-preview", true)]
    [InlineData("/v1/conversations/conv_1/items?order=desc", true)]
    [InlineData("/v1/responses/resp_1?stream=true&starting_after=4", true)]
    [InlineData("/v1/threads/thread_1/runs?limit=many", false)]
    [InlineData("/v1/threads/thread_1/runs?order=newest", false)]
    [InlineData("/v1/threads/thread_1/runs?api-version=1", false)]
    [InlineData("/v1/conversations/conv_1/items?before=msg_1", false)]
    [InlineData("/v1/responses/resp_1?stream=yes", false)]
    [InlineData("/v1/responses/resp_1?after=4", false)]
    public void Request_Query_IsJudged(string path, bool right) => Assert.Equal(right, OpenAISchema.Request("GET", path, "").Count == 0);

    [Theory]
    [InlineData("""{"id":"thread_1","object":"thread","created_at":1,"metadata":{},"tool_resources":null}""", true)]
    [InlineData("""{"id":"thread_1","object":"threat","created_at":1,"metadata":{},"tool_resources":null}""", false)]
    [InlineData("""{"id":"thread_1","object":"thread","created_at":1}""", false)]
    public void Response_OfAThread_IsJudged(string json, bool right) => Assert.Equal(right, OpenAISchema.Response("GET", "/v1/threads/thread_1", 200, json).Count == 0);

    [Fact]
    public void Response_ErrorWithoutParam_HasFaults() => Assert.NotEmpty(OpenAISchema.Response("GET", "/v1/threads/thread_1", 404, """{"error":{"message":"m","type":"t","code":null}}"""));

    [Theory]
    [InlineData("response.output_text.delta", """{"type":"response.output_text.delta","item_id":"i","output_index":0,"content_index":0,"delta":"x","sequence_number":4,"logprobs":[]}""", true)]
    [InlineData("response.output_text.delta", """{"type":"response.output_text.delta","item_id":"i","output_index":0,"content_index":0,"delta":"x","logprobs":[]}""", false)]
    [InlineData("response.output_text.done", """{"type":"response.output_text.delta","item_id":"i","output_index":0,"content_index":0,"delta":"x","sequence_number":4,"logprobs":[]}""", false)]
    [InlineData("response.unheard_of", "{}", false)]
    [InlineData("thread.message.delta", """{"id":"msg_1","object":"thread.message.delta","delta":{"content":[{"index":0,"type":"text","text":{"value":"x","annotations":[]}}]}}""", true)]
    [InlineData("thread.message.delta", """{"id":"msg_1","object":"thread.message.delta"}""", false)]
    [InlineData("done", "[DONE]", true)]
    public void Event_IsJudged(string name, string data, bool right) => Assert.Equal(right, OpenAISchema.Event(name, data).Count == 0);
}
