using AssistantQueue.Emulators;

namespace AssistantQueue.Tests.Emulators;

/// <summary>State and ledger in a folder: what a second emulator finds of the first.</summary>
public sealed class PersistenceTests : EmulatorTest
{
    private readonly string directory = Directory.CreateTempSubdirectory("emulator").FullName;

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        Directory.Delete(directory, recursive: true);
    }

    [Fact]
    public async Task Restart_OnTheSameFolder_FindsEverything()
    {
        var conversation = await NewConversationAsync();
        await PostAsync("responses", $$"""{"model":"m","conversation":"{{conversation}}","input":"one"}""");
        var item = (string)(await PostAsync($"conversations/{conversation}/items", """{"items":[{"role":"user","content":"gone"}]}""")).Body["first_id"]!;
        await SendAsync("DELETE", $"conversations/{conversation}/items/{item}");
        var thread = await NewThreadAsync();
        var run = await PostAsync($"threads/{thread}/runs", """{"assistant_id":"a","additional_messages":[{"role":"user","content":"two"}]}""");
        await EndOfAsync((string)run.Body["id"]!);
        var deleted = await NewThreadAsync();
        await SendAsync("DELETE", $"threads/{deleted}");
        string[] paths = [$"conversations/{conversation}", $"conversations/{conversation}/items", $"threads/{thread}", $"threads/{thread}/messages", $"threads/{thread}/runs", $"threads/{thread}/runs/{run.Body["id"]}/steps", $"threads/{deleted}"];
        var before = await Task.WhenAll(paths.Select(p => SendAsync("GET", p)));
        var ledger = Emulator.Ledger.Snapshot();

        // twice: the first start reads the trace, the second what the first made of it
        for (var i = 0; i < 2; i++)
        {
            await RestartAsync();
            var after = await Task.WhenAll(paths.Select(p => SendAsync("GET", p)));
            Assert.Equal(before.Select(b => b.Body.ToJsonString()), after.Select(a => a.Body.ToJsonString()));
        }

        var now = Emulator.Ledger.Snapshot();
        Assert.Equal((ledger with { Requests = [], LastSequence = 0 }).ToJson(), (now with { Requests = [], LastSequence = 0 }).ToJson());
        Assert.Equal(ledger.Requests.Count + (2 * paths.Length), now.Requests.Count);
    }

    [Fact]
    public async Task Restart_WithWorkUnderWay_FinishesIt()
    {
        Emulator.Faults.Add(new() { Kind = OpenAIFaultKind.RunNeverEnds, Count = 2 });
        var conversation = await NewConversationAsync();
        var response = (string)(await PostAsync("responses", $$"""{"model":"m","background":true,"stream":false,"conversation":"{{conversation}}","input":"one"}""")).Body["id"]!;
        var thread = await NewThreadAsync();
        var run = (string)(await PostAsync($"threads/{thread}/runs", """{"assistant_id":"a","additional_messages":[{"role":"user","content":"two"}]}""")).Body["id"]!;
        Emulator.Faults.Add(new() { Kind = OpenAIFaultKind.RunCallsFunction });
        var other = await NewThreadAsync();
        var waiting = (string)(await PostAsync($"threads/{other}/runs", """{"assistant_id":"a"}""")).Body["id"]!;
        await StatusOfAsync(waiting, r => r.Status == "requires_action");

        await RestartAsync();

        await EndOfAsync(response);
        await EndOfAsync(run);
        Assert.Equal("completed", (string?)(await SendAsync("GET", $"responses/{response}")).Body["status"]);
        Assert.Equal(2, (await SendAsync("GET", $"conversations/{conversation}/items")).Body["data"]!.AsArray().Count);
        Assert.Equal("completed", (string?)(await SendAsync("GET", $"threads/{thread}/runs/{run}")).Body["status"]);
        var call = (string)(await SendAsync("GET", $"threads/{other}/runs/{waiting}")).Body["required_action"]!["submit_tool_outputs"]!["tool_calls"]![0]!["id"]!;
        Assert.Equal(200, (await PostAsync($"threads/{other}/runs/{waiting}/submit_tool_outputs", $$"""{"tool_outputs":[{"tool_call_id":"{{call}}","output":"x"}]}""")).Status);
        Assert.Equal("completed", (await EndOfAsync(waiting)).Runs.Single(r => r.Id == waiting).Status);
    }

    [Fact]
    public async Task Restart_BackgroundStream_IsReplayedWithTheSameNumbers()
    {
        const string body = """{"model":"m","background":true,"stream":true,"input":"a b c"}""";
        using var request = new HttpRequestMessage(HttpMethod.Post, "responses") { Content = new StringContent(body, null, "application/json") };
        using var live = await Http.SendAsync(request, Ct);
        var events = await live.Content.ReadAsStringAsync(Ct);
        var id = Emulator.Ledger.Snapshot().Runs.Single().Id;

        await RestartAsync();

        Assert.Equal(events, await Http.GetStringAsync(new Uri($"responses/{id}?stream=true", UriKind.Relative), Ct));
        var rest = await Http.GetStringAsync(new Uri($"responses/{id}?stream=true&starting_after=3", UriKind.Relative), Ct);
        Assert.EndsWith(rest, events, StringComparison.Ordinal);
        Assert.Contains("\"sequence_number\":4", rest.Split('\n')[1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_TornLastLine_IsDropped()
    {
        var conversation = await NewConversationAsync();
        await StopAsync();
        await File.AppendAllTextAsync(Path.Combine(directory, "openai-state.jsonl"), """[{"conversation":{"id":"conv_torn","obj""", Ct);
        await StartAsync();

        Assert.Equal(200, (await SendAsync("GET", $"conversations/{conversation}")).Status);
        Assert.Equal(404, (await SendAsync("GET", "conversations/conv_torn")).Status);
    }

    protected override OpenAIEmulatorOptions Options() => new() { DataDirectory = directory };
}
