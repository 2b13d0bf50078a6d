using AssistantQueue.Emulators;

namespace AssistantQueue.Tests.Emulators;

/// <summary>What the ledger keeps and how it judges, in the process and over HTTP.</summary>
public sealed class LedgerTests : EmulatorTest
{
    protected override OpenAIEmulatorOptions Options() => new() { KeepBodies = true };

    [Fact]
    public async Task Snapshot_AfterABatch_HasRequestRunAndMessages()
    {
        var conversation = await NewConversationAsync();
        var body = $$"""{"model":"m","conversation":"{{conversation}}","metadata":{"batch_id":"b1","thread_key":"t1"},"input":[{"role":"user","content":"one"},{"role":"user","content":"two"}]}""";
        await PostAsync("responses", body);

        var ledger = Emulator.Ledger.Snapshot();

        var request = ledger.Requests[^1];
        Assert.Equal(("create_response", body, 200), (request.Operation, request.Body, request.Status));
        Assert.Equal(["one", "two"], request.Texts);
        var run = Assert.Single(ledger.Runs);
        Assert.Equal(("t1", "b1", conversation, "completed", true), (run.ThreadKey, run.BatchId, run.ConversationId, run.Status, run.Kept));
        Assert.Equal(request.RunId, run.Id);
        Assert.True(run.EndSequence > run.Sequence);
        Assert.True(run.EndedAt >= run.StartedAt && run.StartedAt >= run.CreatedAt);
        Assert.Equal(["one", "two"], ledger.TextsOf("t1"));
        Assert.Equal(1, ledger.RunsPerThread["t1"]);
        Assert.Empty(ledger.Overlaps);
        Assert.Empty(ledger.Duplicates);
    }

    [Fact]
    public async Task Texts_OfAThread_KeepTheirOrderOverMessagesAndRuns()
    {
        var thread = await NewThreadAsync();
        await PostAsync($"threads/{thread}/messages", """{"role":"user","content":"one","metadata":{"n":"1"}}""");
        var run = await PostAsync($"threads/{thread}/runs", """{"assistant_id":"a","metadata":{"thread_key":"t1"},"additional_messages":[{"role":"user","content":"two"},{"role":"assistant","content":"no user"},{"role":"user","content":"three"}]}""");

        var ledger = await EndOfAsync((string)run.Body["id"]!);

        Assert.Equal(["one", "two", "three"], ledger.TextsOf("t1"));
        Assert.Equal("1", ledger.Messages[0].Metadata!["n"]);
        Assert.Equal(["two", "three"], ledger.Runs.Single().Texts);
    }

    [Fact]
    public async Task Chain_WithThreadKeyOnOneLink_BelongsToThatThread()
    {
        var first = await PostAsync("responses", """{"model":"m","input":"one","metadata":{"thread_key":"t1"}}""");
        await PostAsync("responses", $$"""{"model":"m","input":"two","previous_response_id":"{{first.Body["id"]}}"}""");

        Assert.Equal(["one", "two"], Emulator.Ledger.Snapshot().TextsOf("t1"));
    }

    [Fact]
    public async Task Overlaps_TwoRunsOfAThreadKeyAtATime_AreCounted()
    {
        Emulator.Faults.Add(new() { Kind = OpenAIFaultKind.RunNeverEnds, Count = 1 });
        const string body = """{"model":"m","background":true,"input":"hi","metadata":{"thread_key":"t1"}}""";
        var first = await PostAsync("responses", body);
        var second = await PostAsync("responses", body);

        var ledger = await EndOfAsync((string)second.Body["id"]!);

        Assert.Equal(new LedgerOverlap("t1", (string)first.Body["id"]!, (string)second.Body["id"]!), Assert.Single(ledger.Overlaps));
        Assert.Equal("hi", Assert.Single(ledger.Open).Texts.Single());
    }

    [Fact]
    public async Task Duplicates_TheSameTextTwiceInAHistory_AreFound()
    {
        var conversation = await NewConversationAsync();
        await PostAsync("responses", $$"""{"model":"m","conversation":"{{conversation}}","input":"hi"}""");
        await PostAsync("responses", $$"""{"model":"m","conversation":"{{conversation}}","input":"hi"}""");
        await PostAsync("responses", $$"""{"model":"m","conversation":"{{conversation}}","input":"/fail"}""");
        await PostAsync("responses", $$"""{"model":"m","conversation":"{{conversation}}","input":"/fail"}""");

        var ledger = Emulator.Ledger.Snapshot();

        Assert.Equal("hi", Assert.Single(ledger.Duplicates).Text);
        Assert.Equal((2, 2), (ledger.TimesAccepted("/fail"), ledger.TimesPosted("/fail")));
    }

    [Fact]
    public async Task Control_OverHttp_ReadsAndSteersLikeTheObject()
    {
        using var control = new OpenAIEmulatorControl(Emulator.ControlUrl);
        var id = await control.AddFaultAsync(OpenAIFault.RateLimit(TimeSpan.FromSeconds(2)) with { Count = 1 }, Ct);

        Assert.Equal(429, (await PostAsync("conversations", "{}")).Status);
        Assert.Equal(1, Emulator.Faults.Struck(id));
        await control.ClearFaultsAsync(Ct);
        Assert.Equal(0, Emulator.Faults.Struck(id));
        var settings = await control.ChangeAsync(new EmulatorSettings { LatencyMs = 5, ItemsVisible = ItemsVisible.AtOnce }, Ct);
        Assert.Equal((5, ItemsVisible.AtOnce, true), (settings.LatencyMs, settings.ItemsVisible, settings.BackgroundLocksConversation));
        Assert.Equal(TimeSpan.FromMilliseconds(5), Emulator.Options.Latency);
        await PostAsync("responses", """{"model":"m","input":"hi"}""");

        Assert.Equal(Emulator.Ledger.Snapshot().ToJson(), (await control.GetLedgerAsync(cancellationToken: Ct)).ToJson());
        Assert.Empty((await control.GetLedgerAsync(requests: false, Ct)).Requests);
    }

    [Fact]
    public async Task Control_WaitForLedger_IsAnsweredByTheChange()
    {
        using var control = new OpenAIEmulatorControl(Emulator.BaseUrl);
        var waiting = control.WaitForLedgerAsync(l => l.Runs.Any(r => r.Status == "completed"), Ct);

        await PostAsync("responses", """{"model":"m","input":"hi"}""");

        Assert.Equal(["hi"], (await waiting).Runs.Single().Texts);
    }

    [Fact]
    public async Task Control_UnknownFieldOrPath_IsRefused()
    {
        using var http = new HttpClient();
        using var wrong = await http.PostAsync(Emulator.ControlUrl + "/faults", new StringContent("""{"kind":"Cut","opration":"x"}"""), Ct);
        using var nowhere = await http.GetAsync(new Uri(Emulator.ControlUrl + "/nowhere"), Ct);

        Assert.Equal((400, 404), ((int)wrong.StatusCode, (int)nowhere.StatusCode));
    }
}
