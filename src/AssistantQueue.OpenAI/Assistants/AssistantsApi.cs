using System.ClientModel;
using System.Text.Json;
using AssistantQueue.OpenAI.Client;
using OpenAI.Assistants;

namespace AssistantQueue.OpenAI.Assistants;

/// <summary>The calls of the Assistants API that the backend makes, one method each.</summary>
/// <remarks>Protocol methods only, as in <see cref="Responses.ResponsesApi"/>.</remarks>
internal sealed class AssistantsApi(AssistantClient client, ApiCalls calls)
{
    public Task<JsonElement> CreateThreadAsync(byte[] body, CancellationToken cancellationToken) =>
        calls.SendAsync(options => client.CreateThreadAsync(Content(body), options), cancellationToken);

    public Task<JsonElement> CreateRunAsync(string threadId, byte[] body, CancellationToken cancellationToken) =>
        calls.SendAsync(options => client.CreateRunAsync(threadId, Content(body), options), cancellationToken);

    public IAsyncEnumerable<StreamEvent> CreateRunStreamAsync(string threadId, byte[] body, CancellationToken cancellationToken) =>
        calls.StreamAsync(options => client.CreateRunAsync(threadId, Content(body), options), cancellationToken);

    public Task<JsonElement> SubmitOutputsAsync(string threadId, string runId, byte[] body, CancellationToken cancellationToken) =>
        calls.SendAsync(options => client.SubmitToolOutputsToRunAsync(threadId, runId, Content(body), options), cancellationToken);

    public IAsyncEnumerable<StreamEvent> SubmitOutputsStreamAsync(string threadId, string runId, byte[] body, CancellationToken cancellationToken) =>
        calls.StreamAsync(options => client.SubmitToolOutputsToRunAsync(threadId, runId, Content(body), options), cancellationToken);

    public Task<JsonElement> GetAssistantAsync(string assistantId, CancellationToken cancellationToken) =>
        calls.SendAsync(options => client.GetAssistantAsync(assistantId, options), cancellationToken);

    public Task<JsonElement> GetRunAsync(string threadId, string runId, CancellationToken cancellationToken) =>
        calls.SendAsync(options => client.GetRunAsync(threadId, runId, options), cancellationToken);

    public Task<JsonElement> CancelRunAsync(string threadId, string runId, CancellationToken cancellationToken) =>
        calls.SendAsync(options => client.CancelRunAsync(threadId, runId, options), cancellationToken);

    /// <summary>A page of a thread's runs, newest first.</summary>
    public Task<JsonElement> ListRunsAsync(string threadId, int limit, string? after, CancellationToken cancellationToken) =>
        calls.FirstPageAsync(options => client.GetRunsAsync(threadId, limit, "desc", after, null, options), cancellationToken);

    /// <summary>A page of a thread's messages, newest first.</summary>
    public Task<JsonElement> ListMessagesAsync(string threadId, int limit, string? after, CancellationToken cancellationToken) =>
        calls.FirstPageAsync(options => client.GetMessagesAsync(threadId, limit, "desc", after, null, options), cancellationToken);

    private static BinaryContent Content(byte[] body) => BinaryContent.Create(BinaryData.FromBytes(body));
}
