using System.ClientModel;
using System.ClientModel.Primitives;
using System.Text.Json.Nodes;
using AssistantQueue.Emulators;
using OpenAI;
using OpenAI.Assistants;
using OpenAI.Conversations;
using OpenAI.Responses;

namespace AssistantQueue.Tests.Emulators;

/// <summary>A test with an emulator and the SDK's clients; all that passes between them is held against the published schema.</summary>
public abstract class EmulatorTest : IAsyncLifetime, IDisposable
{
    private readonly CancellationTokenSource timeout = new(TimeSpan.FromSeconds(60));
    private SchemaCheckingHandler schema = null!;

    /// <summary>Gets what ends a test that waits for something that doesn't come.</summary>
    protected CancellationToken Ct => timeout.Token;

    protected OpenAIEmulator Emulator { get; private set; } = null!;

    protected HttpClient Http { get; private set; } = null!;

    protected AssistantClient Assistants { get; private set; } = null!;

    protected ResponsesClient Responses { get; private set; } = null!;

    protected ConversationClient Conversations { get; private set; } = null!;

    /// <summary>Gets a value indicating whether answers must fit the schema: false in tests that break them on purpose.</summary>
    protected virtual bool AnswersFitSchema => true;

    /// <summary>Gets a value indicating whether requests must fit the schema.</summary>
    protected virtual bool RequestsFitSchema => true;

    public Task InitializeAsync() => StartAsync();

    protected async Task StartAsync()
    {
        Emulator = await OpenAIEmulator.StartAsync(Options(), Time(), cancellationToken: Ct);
        Http?.Dispose();
        schema = new SchemaCheckingHandler(RequestsFitSchema);
        Http = new HttpClient(schema) { BaseAddress = new Uri(Emulator.BaseUrl + "/"), Timeout = Timeout.InfiniteTimeSpan };
        Http.DefaultRequestHeaders.Authorization = new("Bearer", "test-key");
        Http.DefaultRequestHeaders.Add("OpenAI-Beta", "assistants=v2");
        var client = Client(Emulator.BaseUrl);
        Assistants = client.GetAssistantClient();
        Responses = client.GetResponsesClient();
        Conversations = client.GetConversationClient();
    }

    public virtual Task DisposeAsync() => StopAsync();

    /// <summary>Stops the emulator and judges what passed.</summary>
    protected async Task StopAsync()
    {
        await Emulator.DisposeAsync();
        if (AnswersFitSchema)
        {
            Assert.Empty(schema.Faults);
        }
    }

    protected async Task RestartAsync()
    {
        await StopAsync();
        await StartAsync();
    }

    public void Dispose()
    {
        Http.Dispose();
        schema.Dispose();
        timeout.Dispose();
        GC.SuppressFinalize(this);
    }

    protected virtual OpenAIEmulatorOptions Options() => new();

    protected virtual TimeProvider? Time() => null;

    protected OpenAIClient Client(Uri endpoint, string key = "test-key") => new(new ApiKeyCredential(key), new OpenAIClientOptions
    {
        Endpoint = endpoint,
        RetryPolicy = new ClientRetryPolicy(0),
        Transport = new HttpClientPipelineTransport(Http),
    });

    /// <summary>Sends a raw body and returns status and answer.</summary>
    protected async Task<(int Status, JsonNode Body)> SendAsync(string method, string path, string? json = null)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        request.Content = json is null ? null : new StringContent(json, null, "application/json");
        using var response = await Http.SendAsync(request, Ct);
        return ((int)response.StatusCode, JsonNode.Parse(await response.Content.ReadAsStringAsync(Ct))!);
    }

    protected Task<(int Status, JsonNode Body)> PostAsync(string path, string json) => SendAsync("POST", path, json);

    protected async Task<string> NewConversationAsync() => (string)(await PostAsync("conversations", "{}")).Body["id"]!;

    protected async Task<string> NewThreadAsync() => (await Assistants.CreateThreadAsync(cancellationToken: Ct)).Value.Id;

    /// <summary>Waits for the end of a run or response, told by the ledger.</summary>
    protected Task<LedgerSnapshot> EndOfAsync(string id) => StatusOfAsync(id, r => r.EndSequence is not null);

    protected Task<LedgerSnapshot> StatusOfAsync(string id, Func<LedgerRun, bool> condition) => Emulator.Ledger.WaitForAsync(l => l.Runs.Any(r => r.Id == id && condition(r)), Ct);
}
