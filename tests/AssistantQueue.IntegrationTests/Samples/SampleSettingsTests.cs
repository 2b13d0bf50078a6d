using System.Net;
using AssistantQueue.Emulators;
using AssistantQueue.IntegrationTests.Redis;

namespace AssistantQueue.IntegrationTests.Samples;

/// <summary>The samples with an API and a Redis that somebody else runs: settings alone lead them there, wherever they are written.</summary>
public sealed class SampleSettingsTests : IAsyncLifetime
{
    private const string Key = "sk-own";
    private const string Model = "gpt-own";

    private readonly string _prefix = TestRedis.NewPrefix();
    private OpenAIEmulator _api = null!;
    private TestRedis.Shared _redis = null!;

    public async Task InitializeAsync()
    {
        // Takes one key and one model: whoever comes with others is refused.
        _api = await OpenAIEmulator.StartAsync(new OpenAIEmulatorOptions { ApiKeys = { Key }, Models = { Model } });
        _redis = await TestRedis.GetAsync();
    }

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Fact]
    public async Task WebChat_EndpointKeyModelAndRedisInTheEnvironment_TalksToThem()
    {
        await using var chat = await WebChat.StartAsync(new Dictionary<string, string>
        {
            ["AssistantQueue__RedisConnectionString"] = _redis.Instance.ConnectionString,
            ["AssistantQueue__QueuePrefix"] = _prefix,
            ["AssistantQueue__MessageDelay"] = "00:00:00.2",
            ["AssistantQueue__OpenAI__Endpoint"] = _api.BaseUrl.ToString(),
            ["AssistantQueue__OpenAI__ApiKey"] = Key,
            ["AssistantQueue__OpenAI__Model"] = Model,
        });

        await AnswersAsync(chat);
        AssertNothingEmulated(chat.Process);
    }

    [Fact]
    public async Task WebChat_EndpointKeyModelAndRedisInAppsettings_TalksToThem()
    {
        using var folder = new TemporaryFolder();
        await File.WriteAllTextAsync(Path.Combine(folder.Path, "appsettings.json"), $$"""
            {
              "AssistantQueue": {
                "RedisConnectionString": "{{_redis.Instance.ConnectionString}}",
                "QueuePrefix": "{{_prefix}}",
                "MessageDelay": "00:00:00.2",
                "OpenAI": { "Endpoint": "{{_api.BaseUrl}}", "ApiKey": "{{Key}}", "Model": "{{Model}}" }
              }
            }
            """);
        // With its page beside the settings the folder is the program's own, as after `dotnet run` or a deploy.
        Directory.CreateDirectory(Path.Combine(folder.Path, "wwwroot"));
        await using var chat = await WebChat.StartAsync([], folder.Path);

        await AnswersAsync(chat);
        AssertNothingEmulated(chat.Process);
    }

    [Fact]
    public async Task WebChat_AzureInUserSecretsAndRedisAsAConnectionString_TalksToThem()
    {
        using var home = new TemporaryFolder();
        var folder = Directory.CreateDirectory(Path.Combine(home.Path, ".microsoft", "usersecrets", "assistant-queue-samples"));
        await File.WriteAllTextAsync(Path.Combine(folder.FullName, "secrets.json"), $$"""
            { "AssistantQueue:OpenAI:AzureEndpoint": "{{new Uri(_api.AzureBaseUrl, "/")}}", "AssistantQueue:OpenAI:ApiKey": "{{Key}}", "AssistantQueue:OpenAI:Model": "{{Model}}" }
            """);
        await using var chat = await WebChat.StartAsync(new Dictionary<string, string>
        {
            ["HOME"] = home.Path,
            ["ASPNETCORE_ENVIRONMENT"] = "Development",
            ["ConnectionStrings__redis"] = _redis.Instance.ConnectionString,
            ["AssistantQueue__QueuePrefix"] = _prefix,
            ["AssistantQueue__MessageDelay"] = "00:00:00.2",
        });

        await AnswersAsync(chat);
        AssertNothingEmulated(chat.Process);
        Assert.All(_api.Ledger.Snapshot().Requests, r => Assert.StartsWith("/openai/v1/", r.Path, StringComparison.Ordinal));
    }

    [Fact]
    public async Task WorkerHost_EndpointKeyModelAndConnectionStringInTheEnvironment_TalksToThem()
    {
        await using var chat = await WebChat.StartAsync(new Dictionary<string, string>
        {
            ["ConnectionStrings__redis"] = _redis.Instance.ConnectionString,
            ["AssistantQueue__QueuePrefix"] = _prefix,
            ["AssistantQueue__MessageDelay"] = "00:00:00.2",
            ["AssistantQueue__RunWorker"] = "false",
        });
        await using var worker = SampleProcess.Start("WorkerHost", new Dictionary<string, string>
        {
            ["ConnectionStrings__redis"] = _redis.Instance.ConnectionString,
            ["AssistantQueue__QueuePrefix"] = _prefix,
            ["AssistantQueue__OpenAI__Endpoint"] = _api.BaseUrl.ToString(),
            ["AssistantQueue__OpenAI__ApiKey"] = Key,
            ["AssistantQueue__OpenAI__Model"] = Model,
        });

        await AnswersAsync(chat);
        await worker.SaysAsync("1 messages answered by batch");
        AssertNothingEmulated(chat.Process);
        AssertNothingEmulated(worker);
    }

    [Theory]
    [InlineData("WebChat")]
    [InlineData("WorkerHost")]
    public async Task Start_BadSettings_AreAllTold(string sample)
    {
        await using var program = SampleProcess.Start(sample, new Dictionary<string, string>
        {
            ["AssistantQueue__RedisConnectionString"] = _redis.Instance.ConnectionString,
            ["AssistantQueue__RunWorker"] = "maybe",
            ["AssistantQueue__Concurrency"] = "0",
            ["AssistantQueue__OpenAI__Endpoint"] = "nowhere",
        });

        await program.SaysAsync("OptionsValidationException: AssistantQueue:RunWorker is 'maybe'; .*AssistantQueue:Concurrency is 0; .*AssistantQueue:OpenAI:Endpoint is 'nowhere'");
    }

    private async Task AnswersAsync(WebChat chat)
    {
        var receipt = await chat.PostAsync("c1", new { text = "who is there?" });
        using var response = await chat.ReplyAsync("c1", receipt.GetProperty("messageId").GetString()!);

        Assert.True(response.StatusCode == HttpStatusCode.OK, $"{response.StatusCode}: {await response.Content.ReadAsStringAsync()}\n{chat.Process.Output}");
        var run = Assert.Single(_api.Ledger.Snapshot().Runs);
        Assert.Equal(("c1", "who is there?"), (run.ThreadKey, Assert.Single(run.Texts)));
        Assert.NotEmpty(await _redis.Database.Multiplexer.GetServers()[0].KeysAsync(pattern: $"*{_prefix}*").ToListAsync());
    }

    private static void AssertNothingEmulated(SampleProcess sample)
    {
        Assert.DoesNotContain("emulator in this program", sample.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("embedded", sample.Output, StringComparison.Ordinal);
    }
}
