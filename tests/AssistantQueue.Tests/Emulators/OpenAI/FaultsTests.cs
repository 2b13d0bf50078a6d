using System.ClientModel;
using System.ClientModel.Primitives;
using System.Net;
using System.Text.Json.Nodes;
using AssistantQueue.Emulators;
using OpenAI.Assistants;
using OpenAI.Responses;

namespace AssistantQueue.Tests.Emulators;

/// <summary>Every kind of fault: what the client sees, and whether the work was done.</summary>
public sealed class FaultsTests : EmulatorTest
{
    protected override bool AnswersFitSchema => false;

    [Theory]
    [InlineData(false, 0)]
    [InlineData(true, 1)]
    public async Task Error_BeforeOrAfterTheWork_Is500AndTheLedgerKnows(bool afterWork, int runs)
    {
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.Error, AfterWork = afterWork, Count = 1 });

        var e = await Assert.ThrowsAsync<ClientResultException>(CreateAsync);

        Assert.Equal(500, e.Status);
        var ledger = Emulator.Ledger.Snapshot();
        Assert.Equal(runs, ledger.Runs.Count);
        Assert.Equal((1, runs), (ledger.TimesPosted("hi"), ledger.TimesAccepted("hi")));
        Assert.Equal("You wrote: “hi”.", (await CreateAsync()).GetOutputText());
    }

    [Theory]
    [InlineData(false, 0)]
    [InlineData(true, 1)]
    public async Task Cut_BeforeOrAfterTheWork_HasNoStatus(bool afterWork, int runs)
    {
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.Cut, AfterWork = afterWork, Count = 1 });

        var e = await Assert.ThrowsAsync<ClientResultException>(CreateAsync);

        Assert.Equal(0, e.Status);
        var ledger = await Emulator.Ledger.WaitForAsync(l => l.Requests.Any(r => r.Fault == "Cut"), Ct);
        Assert.Equal(runs, ledger.Runs.Count);
        Assert.Null(ledger.Requests.Single().Status);
    }

    [Theory]
    [InlineData(false, 0)]
    [InlineData(true, 1)]
    public async Task Hang_BeforeOrAfterTheWork_LastsUntilTheClientGoes(bool afterWork, int runs)
    {
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.Hang, AfterWork = afterWork, Count = 1 });
        using var patience = new CancellationTokenSource(TimeSpan.FromMilliseconds(300));

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Responses.CreateResponseAsync(Hi(), patience.Token));

        Assert.Equal(runs, (await Emulator.Ledger.WaitForAsync(l => l.Requests.Any(r => r.Fault == "Hang"), Ct)).Runs.Count);
    }

    [Theory]
    [InlineData(LostClient.Ends, "lost", 0)]
    [InlineData(LostClient.Incomplete, "incomplete", 1)]
    [InlineData(LostClient.Completes, "completed", 2)]
    public async Task Foreground_ClientGoneWhileTheModelThinks_EndsAsTheSwitchSays(LostClient what, string status, int items)
    {
        Emulator.Options.LostForeground = what;
        Emulator.Faults.Add(new() { Kind = OpenAIFaultKind.RunTakesLong, Delay = TimeSpan.FromSeconds(1), Count = 1 });
        var conversation = await NewConversationAsync();
        using var patience = new CancellationTokenSource();
        var lost = PostUntilAsync($$"""{"model":"m","conversation":"{{conversation}}","input":"hi"}""", patience.Token);
        await Emulator.Ledger.WaitForAsync(l => l.Runs.Any(r => r.StartedAt is not null), Ct);

        await patience.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => lost);
        Assert.Equal(status, (await Emulator.Ledger.WaitForAsync(l => !l.Open.Any(), Ct)).Runs.Single().Status);
        Assert.Equal(items, (await SendAsync("GET", $"conversations/{conversation}/items")).Body["data"]!.AsArray().Count);
    }

    [Theory]
    [InlineData(OpenAIFaultKind.Garbage, "application/json")]
    [InlineData(OpenAIFaultKind.Html, "text/html")]
    [InlineData(OpenAIFaultKind.Empty, "application/json")]
    public async Task Body_ThatIsNoJson_Comes200(OpenAIFaultKind kind, string type)
    {
        Emulator.Faults.Add(new() { Kind = kind, Count = 1 });
        using var raw = await Http.GetAsync(new Uri("responses/resp_1", UriKind.Relative), Ct);
        Assert.Equal((HttpStatusCode.OK, type), (raw.StatusCode, raw.Content.Headers.ContentType?.MediaType));

        Emulator.Faults.Add(new() { Kind = kind, Count = 1 });
        await Assert.ThrowsAnyAsync<System.Text.Json.JsonException>(CreateAsync);
    }

    [Theory]
    [InlineData(201)]
    [InlineData(202)]
    public async Task OtherStatus_OfARightAnswer_IsRefusedByTheSdkThoughTheWorkIsDone(int status)
    {
        Emulator.Faults.Add(new() { Kind = OpenAIFaultKind.OtherStatus, Status = status, Count = 1 });

        var answer = await PostAsync("responses", """{"model":"m","input":"hi"}""");

        Assert.Equal((status, "completed"), (answer.Status, (string?)answer.Body["status"]));
    }

    [Fact]
    public async Task RateLimit_WithRetryAfter_HasBothHeaders()
    {
        Emulator.Faults.Add(OpenAIFault.RateLimit(TimeSpan.FromMilliseconds(1500)));

        var e = await Assert.ThrowsAsync<ClientResultException>(CreateAsync);

        var headers = e.GetRawResponse()!.Headers;
        Assert.Equal(429, e.Status);
        Assert.Equal(("2", "1500"), (headers.TryGetValue("retry-after", out var s) ? s : null, headers.TryGetValue("retry-after-ms", out var ms) ? ms : null));
        Assert.Equal("rate_limit_exceeded", await CodeAsync());
    }

    [Fact]
    public async Task Quota_Exhausted_Is429OfTheOtherKind()
    {
        Emulator.Faults.Add(OpenAIFault.Quota());
        Assert.Equal("insufficient_quota", await CodeAsync());
    }

    [Fact]
    public async Task ConversationLocked_WithoutAnyResponse_LooksLikeTheRealOne()
    {
        Emulator.Faults.Add(OpenAIFault.ConversationLocked() with { Count = 1 });
        Assert.Equal("conversation_locked", (string?)(await PostAsync("responses", """{"model":"m","input":"hi"}""")).Body["error"]!["code"]);
    }

    [Fact]
    public async Task Gone_EveryEndpoint_Is404()
    {
        Emulator.Faults.Add(OpenAIFault.Gone());
        foreach (var path in new[] { "responses/resp_1", "threads/thread_1", "conversations/conv_1", "nowhere" })
        {
            Assert.Equal((404, "Invalid URL"), ((await SendAsync("GET", path)).Status, (string?)(await SendAsync("GET", path)).Body["error"]!["message"]));
        }
    }

    [Fact]
    public async Task RunFails_OfAResponse_Comes200WithItsCode()
    {
        Emulator.Faults.Add(new() { Kind = OpenAIFaultKind.RunFails, Code = "rate_limit_exceeded", Count = 1 });

        var response = await CreateAsync();

        Assert.Equal((ResponseStatus.Failed, "rate_limit_exceeded"), (response.Status!.Value, response.Error.Code.ToString()));
    }

    [Theory]
    [InlineData(OpenAIFaultKind.RunFails, "failed")]
    [InlineData(OpenAIFaultKind.RunExpires, "expired")]
    [InlineData(OpenAIFaultKind.RunIsIncomplete, "incomplete")]
    public async Task Run_OfAThread_EndsOtherwise(OpenAIFaultKind kind, string status)
    {
        Emulator.Faults.Add(new() { Kind = kind });
        var thread = await NewThreadAsync();

        var run = (await Assistants.CreateRunAsync(thread, "asst_1", cancellationToken: Ct)).Value;

        Assert.Equal(status, (await EndOfAsync(run.Id)).Runs.Single().Status);
    }

    [Fact]
    public async Task RunStaysQueued_UntilCancelled()
    {
        Emulator.Faults.Add(new() { Kind = OpenAIFaultKind.RunStaysQueued });
        var response = await PostAsync("responses", """{"model":"m","background":true,"input":"hi"}""");

        Assert.Equal("queued", (string?)(await SendAsync("GET", $"responses/{response.Body["id"]}")).Body["status"]);
        Assert.Equal("cancelled", (string?)(await PostAsync($"responses/{response.Body["id"]}/cancel", "")).Body["status"]);
    }

    [Fact]
    public async Task RunCallsFunction_NobodyOffered_RequiresAction()
    {
        Emulator.Faults.Add(new() { Kind = OpenAIFaultKind.RunCallsFunction, Function = "ghost" });
        var thread = await NewThreadAsync();
        var run = (await Assistants.CreateRunAsync(thread, "asst_1", cancellationToken: Ct)).Value;

        await StatusOfAsync(run.Id, r => r.Status == "requires_action");

        Assert.Equal("ghost", (await Assistants.GetRunAsync(thread, run.Id, Ct)).Value.RequiredActions.Single().FunctionName);
        Assert.True(Emulator.Expire(run.Id));
        Assert.Equal("expired", (await EndOfAsync(run.Id)).Runs.Single().Status);
        Assert.False(Emulator.Expire(run.Id));
    }

    [Fact]
    public async Task Expire_ByAnotherProcess_EndsTheRunOnce()
    {
        Emulator.Faults.Add(new() { Kind = OpenAIFaultKind.RunStaysQueued });
        var run = (await Assistants.CreateRunAsync(await NewThreadAsync(), "asst_1", cancellationToken: Ct)).Value;
        using var control = new OpenAIEmulatorControl(Emulator.ControlUrl);

        await control.ExpireAsync(run.Id, Ct);

        Assert.Equal("expired", (await EndOfAsync(run.Id)).Runs.Single().Status);
        Assert.Equal(HttpStatusCode.NotFound, (await Assert.ThrowsAsync<HttpRequestException>(() => control.ExpireAsync(run.Id, Ct))).StatusCode);
    }

    [Fact]
    public async Task CountSkipAndContains_ChooseTheRequests()
    {
        var fault = Emulator.Faults.Add(new() { Operation = "create_*", Kind = OpenAIFaultKind.Error, Contains = "poison", Skip = 1, Count = 1 });
        var statuses = new List<int>();
        foreach (var text in new[] { "poison", "fine", "poison", "poison" })
        {
            statuses.Add((await PostAsync("responses", $$"""{"model":"m","input":"{{text}}"}""")).Status);
        }

        Assert.Equal([200, 200, 500, 200], statuses);
        Assert.Equal(1, Emulator.Faults.Struck(fault));
    }

    [Fact]
    public async Task Probability_WithOneSeed_StrikesTheSameRequests()
    {
        async Task<string> PatternAsync()
        {
            var id = Emulator.Faults.Add(new() { Kind = OpenAIFaultKind.Error, Probability = 0.5, Seed = 7 });
            var pattern = "";
            for (var i = 0; i < 20; i++)
            {
                pattern += (await SendAsync("GET", "responses/resp_1")).Status == 500 ? "x" : ".";
            }

            Assert.True(Emulator.Faults.Remove(id));
            return pattern;
        }

        var first = await PatternAsync();

        Assert.Equal(first, await PatternAsync());
        Assert.InRange(first.Count(c => c == 'x'), 3, 17);
    }

    [Theory]
    [InlineData("conversations", "{}")]
    [InlineData("threads", "{}")]
    [InlineData("responses", """{"model":"m","input":"hi"}""")]
    public async Task Probability_ThreadsMixOtherwise_StrikesTheSameRequestsOfEach(string path, string body)
    {
        var paths = new Dictionary<char, string>();
        foreach (var thread in "ab")
        {
            paths[thread] = $"{path}/{(await PostAsync(path, WithKey(body, thread))).Body["id"]}";
        }

        await AssertRepeatsAsync(thread => SendAsync("GET", paths[thread]));
    }

    [Fact]
    public async Task Probability_OfPostsAndOfConversationsThatOnlyARunNames_IsTheThreadsToo()
    {
        const string body = """{"model":"m","input":"hi"}""";
        var paths = new Dictionary<char, string>();
        foreach (var thread in "ab")
        {
            var id = await NewConversationAsync();
            await PostAsync("responses", WithKey($$"""{"model":"m","conversation":"{{id}}","input":"hi"}""", thread));
            paths[thread] = $"conversations/{id}/items";
        }

        await AssertRepeatsAsync(thread => PostAsync("responses", WithKey(body, thread)));
        await AssertRepeatsAsync(thread => SendAsync("GET", paths[thread]));
    }

    // One thread after the other, and then in turns.
    private async Task AssertRepeatsAsync(Func<char, Task<(int Status, JsonNode Body)>> send)
    {
        var first = await PatternsAsync("aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbb");
        var second = await PatternsAsync("baababbaabbabaababababbabaababab");

        Assert.Equal(first, second);
        Assert.NotEqual(first.A, first.B);
        Assert.All([first.A, first.B], pattern => Assert.InRange(pattern.Count(c => c == 'x'), 2, 14));

        async Task<(string A, string B)> PatternsAsync(string order)
        {
            var id = Emulator.Faults.Add(new() { Kind = OpenAIFaultKind.Error, Probability = 0.5, Seed = 7 });
            var patterns = new Dictionary<char, string> { ['a'] = "", ['b'] = "" };
            foreach (var thread in order)
            {
                patterns[thread] += (await send(thread)).Status == 500 ? "x" : ".";
            }

            Assert.True(Emulator.Faults.Remove(id));
            return (patterns['a'], patterns['b']);
        }
    }

    private static string WithKey(string body, char thread)
    {
        var json = JsonNode.Parse(body)!;
        json["metadata"] = new JsonObject { ["thread_key"] = $"thread-{thread}" };
        return json.ToJsonString();
    }

    private static CreateResponseOptions Hi() => new() { Model = "m", InputItems = { ResponsesTests.User("hi") } };

    private async Task<ResponseResult> CreateAsync() => (await Responses.CreateResponseAsync(Hi(), Ct)).Value;

    private async Task PostUntilAsync(string body, CancellationToken cancellationToken)
    {
        using var content = new StringContent(body, null, "application/json");
        using var answer = await Http.PostAsync(new Uri("responses", UriKind.Relative), content, cancellationToken);
    }

    private async Task<string?> CodeAsync() => (string?)(await SendAsync("GET", "responses/resp_1")).Body["error"]!["code"];
}
