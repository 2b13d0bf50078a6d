using System.Runtime.CompilerServices;
using System.Text.Json;
using Microsoft.Agents.AI;
using Microsoft.Extensions.AI;

namespace AssistantQueue.TestHost;

/// <summary>An agent of the kind that the framework's own is: a chat client that calls the agent's functions, and a session that holds what was said.</summary>
public sealed class TestAgent(IChatClient client, params AITool[] tools) : AIAgent
{
    /// <summary>Called before a session is read; what it throws is the answer.</summary>
    public Action<JsonElement> OnRead { get; set; } = _ => { };

    protected override ValueTask<AgentSession> CreateSessionCoreAsync(CancellationToken cancellationToken = default) => new(new Session());

    protected override ValueTask<JsonElement> SerializeSessionCoreAsync(AgentSession session, JsonSerializerOptions? jsonSerializerOptions = null, CancellationToken cancellationToken = default) =>
        new(JsonSerializer.SerializeToElement<IList<ChatMessage>>(((Session)session).Messages, AIJsonUtilities.DefaultOptions));

    protected override ValueTask<AgentSession> DeserializeSessionCoreAsync(JsonElement serializedState, JsonSerializerOptions? jsonSerializerOptions = null, CancellationToken cancellationToken = default)
    {
        OnRead(serializedState);
        var session = new Session();
        session.Messages.AddRange(serializedState.Deserialize<IList<ChatMessage>>(AIJsonUtilities.DefaultOptions)!);
        return new(session);
    }

    protected override async Task<AgentResponse> RunCoreAsync(IEnumerable<ChatMessage> messages, AgentSession? session = null, AgentRunOptions? options = null, CancellationToken cancellationToken = default) =>
        await RunCoreStreamingAsync(messages, session, options, cancellationToken).ToAgentResponseAsync(cancellationToken);

    protected override async IAsyncEnumerable<AgentResponseUpdate> RunCoreStreamingAsync(
        IEnumerable<ChatMessage> messages, AgentSession? session = null, AgentRunOptions? options = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var said = ((Session)session!).Messages;
        said.AddRange(messages);
        var updates = new List<ChatResponseUpdate>();
        using var calling = new FunctionInvokingChatClient(client);
        await foreach (var update in calling.GetStreamingResponseAsync([.. said], new ChatOptions { Tools = [.. tools] }, cancellationToken))
        {
            updates.Add(update);
            yield return new AgentResponseUpdate(update);
        }

        said.AddRange(updates.ToChatResponse().Messages);
    }

    private sealed class Session : AgentSession
    {
        public List<ChatMessage> Messages { get; } = [];
    }
}
