using System.ClientModel;
using System.Text.Json;
using AssistantQueue.OpenAI.Client;
using OpenAI.Conversations;
using OpenAI.Responses;

namespace AssistantQueue.OpenAI.Responses;

/// <summary>The calls of the Responses and Conversations APIs that the backend makes, one method each.</summary>
/// <remarks>Protocol methods only: they are the part of the SDK that is the same in 2.14 and 2.15, and every status is ours to judge.</remarks>
internal sealed class ResponsesApi(ResponsesClient responses, ConversationClient conversations, ApiCalls calls)
{
    public Task<JsonElement> CreateAsync(byte[] body, CancellationToken cancellationToken) =>
        calls.SendAsync(options => responses.CreateResponseAsync(Content(body), options), cancellationToken);

    public IAsyncEnumerable<StreamEvent> CreateStreamAsync(byte[] body, CancellationToken cancellationToken) =>
        calls.StreamAsync(options => responses.CreateResponseAsync(Content(body), options), cancellationToken);

    public Task<JsonElement> GetAsync(string responseId, CancellationToken cancellationToken) =>
        calls.SendAsync(options => responses.GetResponseAsync(responseId, null, null, null, null, options), cancellationToken);

    /// <summary>Goes on with the stream of a background response, from the event after <paramref name="after"/>.</summary>
    public IAsyncEnumerable<StreamEvent> GetStreamAsync(string responseId, int after, CancellationToken cancellationToken) =>
        calls.StreamAsync(options => responses.GetResponseAsync(responseId, null, true, after, null, options), cancellationToken);

    public Task<JsonElement> CancelAsync(string responseId, CancellationToken cancellationToken) =>
        calls.SendAsync(options => responses.CancelResponseAsync(responseId, options), cancellationToken);

    public Task<JsonElement> CreateConversationAsync(byte[] body, CancellationToken cancellationToken) =>
        calls.SendAsync(options => conversations.CreateConversationAsync(Content(body), options), cancellationToken);

    /// <summary>A page of a conversation's items, newest first.</summary>
    public Task<JsonElement> ListItemsAsync(string conversationId, int limit, string? after, CancellationToken cancellationToken) =>
        calls.FirstPageAsync(options => conversations.GetConversationItemsAsync(conversationId, limit, "desc", after, null, options), cancellationToken);

    private static BinaryContent Content(byte[] body) => BinaryContent.Create(BinaryData.FromBytes(body));
}
