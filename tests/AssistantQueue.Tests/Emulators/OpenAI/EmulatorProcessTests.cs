using System.Net.Http.Json;
using System.Text.Json.Nodes;
using AssistantQueue.Emulators;
using AssistantQueue.TestHost;

namespace AssistantQueue.Tests.Emulators;

/// <summary>An emulator in a process of its own, killed while it works.</summary>
public sealed class EmulatorProcessTests : IDisposable
{
    private readonly CancellationTokenSource timeout = new(TimeSpan.FromSeconds(120));
    private readonly string directory = Directory.CreateTempSubdirectory("emulator").FullName;

    private CancellationToken Ct => timeout.Token;

    [Fact]
    public async Task Kill_WhileRequestsRun_KeepsWhatWasAnswered()
    {
        var answered = new List<(string Conversation, string Response, string Text)>();
        await using (var first = await TestHostProcess.StartAsync("emulator", "--data", directory, "--DeltaPause", "00:00:00.002"))
        {
            using var http = Client(first);
            var enough = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            var posting = Task.WhenAll(Enumerable.Range(0, 4).Select(n => PostUntilDeadAsync(http, n, answered, enough)));
            await enough.Task.WaitAsync(Ct);
            await first.KillAsync();
            await posting;
        }

        await using var second = await TestHostProcess.StartAsync("emulator", "--data", directory);
        using var again = Client(second);
        using var control = new OpenAIEmulatorControl(new Uri(second.Ready));
        var ledger = await control.GetLedgerAsync(cancellationToken: Ct);

        Assert.NotEmpty(answered);
        foreach (var (conversation, response, text) in answered)
        {
            Assert.Equal("completed", (string?)(await GetAsync(again, $"responses/{response}"))["status"]);
            Assert.Equal(1, ledger.TimesAccepted(text));
            Assert.Contains(text, ledger.TextsOf(conversation));
        }

        Assert.Empty(ledger.Open);
        Assert.Empty(ledger.Overlaps);
        Assert.Empty(ledger.Duplicates);
        foreach (var conversation in answered.Select(a => a.Conversation).Distinct())
        {
            // what the service remembers and what the ledger says of it are two files; they agree after the kill
            var items = (await GetAsync(again, $"conversations/{conversation}/items?order=asc&limit=100"))["data"]!.AsArray();
            Assert.Equal(ledger.TextsOf(conversation).Take(50), items.Where(i => (string?)i!["role"] == "user").Select(i => (string)i!["content"]![0]!["text"]!).Take(50));
        }
    }

    [Fact]
    public async Task Faults_OfAnotherProcess_AreSteeredOverHttp()
    {
        await using var host = await TestHostProcess.StartAsync("emulator", "--ApiKeys:0", "only-key");
        using var http = Client(host);
        using var control = new OpenAIEmulatorControl(new Uri(host.Ready));

        using var wrong = await http.PostAsJsonAsync("conversations", new { }, Ct);
        http.DefaultRequestHeaders.Authorization = new("Bearer", "only-key");
        await control.AddFaultAsync(new() { Operation = "create_conversation", Kind = OpenAIFaultKind.Error, Status = 503, Count = 1 }, Ct);
        using var broken = await http.PostAsJsonAsync("conversations", new { }, Ct);
        using var right = await http.PostAsJsonAsync("conversations", new { }, Ct);

        Assert.Equal((401, 503, 200), ((int)wrong.StatusCode, (int)broken.StatusCode, (int)right.StatusCode));
        Assert.Equal(0, await host.StopAsync());
    }

    public void Dispose()
    {
        timeout.Dispose();
        Directory.Delete(directory, recursive: true);
    }

    private static HttpClient Client(TestHostProcess host) => new()
    {
        BaseAddress = new Uri(host.Ready + "/"),
        DefaultRequestHeaders = { Authorization = new("Bearer", "key") },
    };

    private async Task<JsonNode> GetAsync(HttpClient http, string path) => JsonNode.Parse(await http.GetStringAsync(new Uri(path, UriKind.Relative), Ct))!;

    private async Task PostUntilDeadAsync(HttpClient http, int thread, List<(string, string, string)> answered, TaskCompletionSource enough)
    {
        try
        {
            var conversation = (string)(await PostAsync(http, "conversations", new { }))["id"]!;
            for (var i = 0; ; i++)
            {
                var text = $"message {thread}.{i}";
                var response = (string)(await PostAsync(http, "responses", new { model = "m", conversation, input = text }))["id"]!;
                lock (answered)
                {
                    answered.Add((conversation, response, text));
                    if (answered.Count >= 60)
                    {
                        enough.TrySetResult();
                    }
                }
            }
        }
        catch (HttpRequestException)
        {
            // the emulator is dead
        }
    }

    private async Task<JsonNode> PostAsync(HttpClient http, string path, object body)
    {
        using var response = await http.PostAsJsonAsync(path, body, Ct);
        response.EnsureSuccessStatusCode();
        return JsonNode.Parse(await response.Content.ReadAsStringAsync(Ct))!;
    }
}
