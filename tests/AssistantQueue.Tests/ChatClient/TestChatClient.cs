using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Threading.Channels;
using Microsoft.Extensions.AI;

namespace AssistantQueue.Tests.ChatClient;

/// <summary>A local model behind <see cref="IChatClient"/>: answers word by word, or asks for tools, as a test says, and writes down every request as lines.</summary>
internal sealed class TestChatClient : IChatClient
{
    private readonly Channel<Request> _asked = Channel.CreateUnbounded<Request>();

    /// <summary>What the model says to a request; by default the texts of the user messages since it last spoke.</summary>
    public Func<Request, CancellationToken, Task<IReadOnlyList<AIContent>>> Answer { get; set; } = (request, _) => Task.FromResult(Say(request.LastUserTexts));

    public string? Model { get; set; } = "test-model";

    public ConcurrentQueue<Request> Requests { get; } = new();

    public static IReadOnlyList<AIContent> Say(string text) => [new TextContent(text)];

    public static IReadOnlyList<AIContent> Ask(params (string CallId, string Name, string Arguments)[] calls) =>
        [.. calls.Select(c => new FunctionCallContent(c.CallId, c.Name, JsonSerializer.Deserialize<Dictionary<string, object?>>(c.Arguments)))];

    /// <summary>Waits for the next request.</summary>
    public async Task<Request> NextAsync() => await _asked.Reader.ReadAsync().AsTask().WaitAsync(Worker.TestTimes.Patience);

    public async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var request = new Request([.. messages], options!);
        Requests.Enqueue(request);
        _asked.Writer.TryWrite(request);
        var answer = await Answer(request, cancellationToken);
        var id = $"resp_{Requests.Count}";
        foreach (var content in answer)
        {
            foreach (var piece in content is TextContent text ? text.Text.Split(' ').Select((word, i) => (AIContent)new TextContent(i == 0 ? word : " " + word)) : [content])
            {
                yield return new ChatResponseUpdate(ChatRole.Assistant, [piece]) { ResponseId = id, MessageId = "msg_" + id, ModelId = Model };
            }
        }

        yield return new ChatResponseUpdate(ChatRole.Assistant, [new UsageContent(new UsageDetails { InputTokenCount = 10, OutputTokenCount = 1, TotalTokenCount = 11 })])
        {
            ResponseId = id,
            FinishReason = answer.OfType<FunctionCallContent>().Any() ? ChatFinishReason.ToolCalls : ChatFinishReason.Stop,
        };
    }

    public Task<ChatResponse> GetResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default) =>
        GetStreamingResponseAsync(messages, options, cancellationToken).ToChatResponseAsync(cancellationToken);

    public object? GetService(Type serviceType, object? serviceKey = null) => serviceType.IsInstanceOfType(this) ? this : null;

    public void Dispose()
    {
    }

    /// <summary>One request, read when it came: what the client is given may change later.</summary>
    internal sealed class Request(IReadOnlyList<ChatMessage> messages, ChatOptions options)
    {
        /// <summary>A line a message: "user: hi", "assistant: call c1 weather {"city":"Rome"}", "tool: c1 = sunny".</summary>
        public IReadOnlyList<string> Lines { get; } = [.. messages.Select(LineOf)];

        public string LastUserTexts { get; } = string.Join("|", messages.Reverse().TakeWhile(m => m.Role == ChatRole.User).Reverse().Select(m => m.Text));

        public string? Instructions { get; } = options.Instructions;

        public string? ModelId { get; } = options.ModelId;

        public float? Temperature { get; } = options.Temperature;

        public IReadOnlyList<AITool> Tools { get; } = [.. options.Tools ?? []];

        public bool HasResults => Lines[^1].StartsWith("tool: ", StringComparison.Ordinal);

        private static string LineOf(ChatMessage message) => $"{message.Role}: " + string.Join(", ", message.Contents.Select(c => c switch
        {
            TextContent text => text.Text,
            FunctionCallContent call => $"call {call.CallId} {call.Name} {JsonSerializer.Serialize(call.Arguments)}",
            FunctionResultContent result => $"{result.CallId} = {result.Result as string ?? "not text: " + result.Result}",
            _ => c.GetType().Name,
        }));
    }
}
