using System.Net.Http.Json;
using System.Text.Json;
using AssistantQueue.Emulators;

namespace AssistantQueue.IntegrationTests.Samples;

/// <summary>WebChat as a process on a free port with its data in a folder, and a client of its interface.</summary>
internal sealed class WebChat : IAsyncDisposable
{
    private WebChat(SampleProcess process, HttpClient client)
    {
        Process = process;
        Client = client;
    }

    public SampleProcess Process { get; }

    public HttpClient Client { get; }

    /// <summary>Starts WebChat and waits until it has said which address to open.</summary>
    public static Task<WebChat> StartAsync(string? dataDirectory, params (string Name, string Value)[] settings)
    {
        var environment = settings.ToDictionary(s => "AssistantQueue__" + s.Name, s => s.Value);
        environment["AssistantQueue__Emulators__DataDirectory"] = dataDirectory ?? "";
        return StartAsync(environment);
    }

    /// <summary>Starts WebChat with these environment variables, in a folder, and waits until it has said which address to open.</summary>
    public static async Task<WebChat> StartAsync(IEnumerable<KeyValuePair<string, string>> environment, string? folder = null)
    {
        var process = SampleProcess.Start("WebChat", environment, folder, "--urls", "http://127.0.0.1:0");
        var address = await process.SaysAsync(@"WebChat is ready\. Open (http://\S+)[\s\S]*?Worker   ");
        return new WebChat(process, new HttpClient { BaseAddress = new Uri(address.Groups[1].Value), Timeout = TimeSpan.FromMinutes(2) });
    }

    public async Task<JsonElement> PostAsync(string threadId, object message)
    {
        using var response = await Client.PostAsJsonAsync($"/api/threads/{threadId}/messages", message);
        var body = await response.Content.ReadAsStringAsync();
        Assert.True(response.StatusCode == System.Net.HttpStatusCode.Accepted, $"{response.StatusCode}: {body}");
        return JsonSerializer.Deserialize<JsonElement>(body);
    }

    public Task<HttpResponseMessage> ReplyAsync(string threadId, string messageId, int timeout = 60) =>
        Client.GetAsync($"/api/threads/{threadId}/messages/{messageId}/reply?timeout={timeout}");

    /// <summary>The messages that wait, due or not.</summary>
    public async Task<long> PendingAsync()
    {
        var status = await Client.GetFromJsonAsync<JsonElement>("/api/queue/status");
        return status.GetProperty("waitingCount").GetInt64() + status.GetProperty("delayedCount").GetInt64();
    }

    /// <summary>A control of the emulator that runs in WebChat.</summary>
    public OpenAIEmulatorControl Emulator() => new(new Uri(System.Text.RegularExpressions.Regex.Match(Process.Output, @"OpenAI emulator in this program \((\S+?)\)").Groups[1].Value));

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await Process.DisposeAsync();
    }
}
