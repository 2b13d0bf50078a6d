using Azure.Core;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using OpenAI;

namespace AssistantQueue.Tests.OpenAIBackends;

/// <summary>How the settings are read and checked.</summary>
public class OpenAIOptionsTests
{
    [Fact]
    public void Options_OfTheSection_AreBoundAndCodeWins()
    {
        var options = Read(
            new()
            {
                ["AssistantQueue:OpenAI:ApiKey"] = "sk-1",
                ["AssistantQueue:OpenAI:Model"] = "gpt-1",
                ["AssistantQueue:OpenAI:Api"] = "responses",
                ["AssistantQueue:OpenAI:Endpoint"] = "https://example.org/v1",
                ["AssistantQueue:OpenAI:PollInterval"] = "00:00:00.5",
                ["AssistantQueue:OpenAI:Background"] = "false",
            },
            configure: o => o.Model = "gpt-2");

        Assert.Equal("gpt-2", options.Model);
        Assert.Equal("sk-1", options.ApiKey);
        Assert.Equal(new Uri("https://example.org/v1"), options.Endpoint);
        Assert.Equal(TimeSpan.FromSeconds(0.5), options.PollInterval);
        Assert.False(options.Background);
    }

    [Fact]
    public void Options_NamedQueue_HaveASectionOfTheirOwn() => Assert.Equal(
        "gpt-support",
        Read(new() { ["AssistantQueue:OpenAI:Model"] = "other", ["AssistantQueue:Queues:support:OpenAI:Model"] = "gpt-support", ["OPENAI_API_KEY"] = "sk" }, name: "support").Model);

    [Theory]
    [InlineData(null, "OPENAI_API_KEY")]
    [InlineData("https://r.openai.azure.com", "AZURE_OPENAI_API_KEY")]
    public void Options_WithoutKey_TakeTheUsualEnvironmentVariable(string? azure, string variable) =>
        Assert.Equal("sk-env", Read(new() { ["AssistantQueue:OpenAI:Model"] = "m", ["AssistantQueue:OpenAI:AzureEndpoint"] = azure, [variable] = "sk-env" }).ApiKey);

    [Fact]
    public void Options_EverythingWrong_TellsEveryFaultAtOnceWithItsSetting()
    {
        var faults = FaultsOf(new()
        {
            ["AssistantQueue:OpenAI:Endpoint"] = "ftp://example.org",
            ["AssistantQueue:OpenAI:AzureEndpoint"] = "https://r.openai.azure.com",
            ["AssistantQueue:OpenAI:AzureApiVersion"] = "2025-04-01-preview",
            ["AssistantQueue:OpenAI:MaxOutputTokens"] = "3",
            ["AssistantQueue:OpenAI:PollInterval"] = "10",
            ["AssistantQueue:OpenAI:NetworkTimeout"] = "00:00:00",
            ["AssistantQueue:OpenAI:Background"] = "maybe",
        });

        string[] expected = ["Background is 'maybe'", "Model is not set", "Set one of them", "Endpoint is 'ftp://example.org/'", "ApiKey is not set and no TokenCredential", "AzureApiVersion", "MaxOutputTokens is 3", "PollInterval is '10'", "NetworkTimeout is 00:00:00"];
        Assert.All(expected, text => Assert.Contains(faults, f => f.Contains(text, StringComparison.Ordinal)));
        Assert.All(faults, f => Assert.Contains("AssistantQueue:OpenAI:", f));
        Assert.Equal(expected.Length, faults.Count);
    }

    [Fact]
    public void Options_UnreadableValues_SayWhatTheyMustBeAndTheOthersAreTaken()
    {
        var faults = FaultsOf(new()
        {
            ["AssistantQueue:OpenAI:ApiKey"] = "sk",
            ["AssistantQueue:OpenAI:Model"] = "m",
            ["AssistantQueue:OpenAI:Api"] = "Completions",
            ["AssistantQueue:OpenAI:Endpoint"] = "http://[",
            ["AssistantQueue:OpenAI:MaxOutputTokens"] = "many",
            ["AssistantQueue:OpenAI:NetworkTimeout"] = "100",
            ["AssistantQueue:OpenAI:PollInterval"] = "soon",
            ["AssistantQueue:OpenAI:Stream"] = "perhaps",
        });

        Assert.Equal(
            [
                "AssistantQueue:OpenAI:Api is 'Completions'; it must be Responses or Assistants",
                "AssistantQueue:OpenAI:Endpoint is 'http://['; it must be an address, for example https://example.org/v1",
                "AssistantQueue:OpenAI:MaxOutputTokens is 'many'; it must be a whole number",
                "AssistantQueue:OpenAI:NetworkTimeout is '100', which means 100 days; write 00:01:40 for seconds, or 100.00:00:00 if days are meant",
                "AssistantQueue:OpenAI:PollInterval is 'soon'; it must be a time as [days.]hours:minutes:seconds, for example 00:00:10",
                "AssistantQueue:OpenAI:Stream is 'perhaps'; it must be true or false",
            ],
            faults.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Settings_Misspelt_AreToldWhenTheWorkerTakesItsBackend()
    {
        var services = new ServiceCollection();
        services.AddLogging(logging => logging.AddFakeLogging());
        services.AddSingleton<IConfiguration>(new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["AssistantQueue:RedisConnectionString"] = "127.0.0.1:1",
            ["AssistantQueue:OpenAI:ApiKey"] = "sk",
            ["AssistantQueue:OpenAI:Model"] = "m",
            ["AssistantQueue:OpenAI:Modell"] = "m",
            ["AssistantQueue:OpenAI:Retry:Delay"] = "1",
        }).Build());
        services.AddAssistantMessageQueue().UseOpenAI();
        using var host = services.BuildServiceProvider();

        host.GetRequiredKeyedService<IAssistantBackend>("");

        Assert.Equal(
            ["AssistantQueue:OpenAI:Modell", "AssistantQueue:OpenAI:Retry"],
            host.GetFakeLogCollector().GetSnapshot().Where(r => r.Id.Id == 6015).Select(r => r.Message.Split(' ')[0]).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Options_AssistantsWithoutAssistant_SaysWhatToSet() =>
        Assert.Contains("asst_", Assert.Single(FaultsOf(new() { ["AssistantQueue:OpenAI:Api"] = "Assistants", ["OPENAI_API_KEY"] = "sk" })));

    [Fact]
    public void Options_AssistantSet_MeansTheAssistantsApi() =>
        Assert.Empty(FaultsOf(new() { ["AssistantQueue:OpenAI:AssistantId"] = "asst_1", ["OPENAI_API_KEY"] = "sk" }));

    [Fact]
    public void Options_ProcessThatOnlyProduces_NeedsNothing() =>
        Assert.Empty(FaultsOf(new() { ["AssistantQueue:RunWorker"] = "false" }));

    [Fact]
    public void Options_ClientGiven_NeedsNoKey() =>
        Assert.Empty(FaultsOf(new() { ["AssistantQueue:OpenAI:Model"] = "m" }, s => s.AddSingleton(_ => new OpenAIClient("k"))));

    [Fact]
    public void Options_CredentialGiven_NeedsNoKeyForAzure() =>
        Assert.Empty(FaultsOf(
            new() { ["AssistantQueue:OpenAI:Model"] = "m", ["AssistantQueue:OpenAI:AzureEndpoint"] = "https://r.openai.azure.com" },
            s => s.AddSingleton<TokenCredential>(_ => throw new InvalidOperationException("not to be made while settings are checked"))));

    private static List<string> FaultsOf(Dictionary<string, string?> settings, Action<IServiceCollection>? services = null)
    {
        try
        {
            Read(settings, services: services);
            return [];
        }
        catch (OptionsValidationException e)
        {
            return [.. e.Failures];
        }
    }

    private static OpenAIOptions Read(Dictionary<string, string?> settings, string name = "", Action<OpenAIOptions>? configure = null, Action<IServiceCollection>? services = null)
    {
        settings[$"{(name.Length == 0 ? "AssistantQueue" : $"AssistantQueue:Queues:{name}")}:RedisConnectionString"] = "127.0.0.1:1";
        var collection = new ServiceCollection();
        services?.Invoke(collection);
        collection.AddSingleton<IConfiguration>(new ConfigurationBuilder().AddInMemoryCollection(settings).Build());
        var builder = name.Length == 0 ? collection.AddAssistantMessageQueue() : collection.AddAssistantMessageQueue(name);
        builder.UseOpenAI(configure);
        using var host = collection.BuildServiceProvider();
        return host.GetRequiredService<IOptionsMonitor<OpenAIOptions>>().Get(name);
    }
}
