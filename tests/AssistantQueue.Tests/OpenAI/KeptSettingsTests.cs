using AssistantQueue.OpenAI;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;

namespace AssistantQueue.Tests.OpenAIBackends;

/// <summary>Settings that change while the host runs: good ones are taken, bad ones are told and not taken.</summary>
public sealed class KeptSettingsTests : IDisposable
{
    private readonly IConfigurationRoot _configuration = new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?>
    {
        ["AssistantQueue:RedisConnectionString"] = "127.0.0.1:1",
        ["AssistantQueue:OpenAI:ApiKey"] = "sk",
        ["AssistantQueue:OpenAI:Model"] = "m",
    }).Build();

    private readonly ServiceProvider _services;
    private readonly FakeLogCollector _logs;
    private readonly OpenAIBackend _backend;

    public KeptSettingsTests()
    {
        var services = new ServiceCollection();
        services.AddSingleton<IConfiguration>(_configuration);
        services.AddLogging(logging => logging.AddFakeLogging());
        services.AddAssistantMessageQueue().UseOpenAI();
        _services = services.BuildServiceProvider();
        _logs = _services.GetFakeLogCollector();
        _backend = (OpenAIBackend)_services.GetRequiredKeyedService<IAssistantBackend>("");
    }

    public void Dispose() => _services.Dispose();

    [Fact]
    public void Value_GoodChange_IsTaken()
    {
        Change("Model", "m2");

        Assert.Equal("m2", _backend.Settings.Model);
    }

    [Theory]
    [InlineData("Model", "", "AssistantQueue:OpenAI:Model is not set")]
    [InlineData("PollInterval", "soon", "AssistantQueue:OpenAI:PollInterval is 'soon'")]
    [InlineData("NetworkTimeout", "10", "AssistantQueue:OpenAI:NetworkTimeout is '10', which means 10 days")]
    public void Value_BadChange_StaysTheLastGoodOneAndSaysSoOnce(string setting, string bad, string told)
    {
        Change("Model", "m2");
        Assert.Equal("m2", _backend.Settings.Model);

        Change(setting, bad);

        Assert.Equal("m2", _backend.Settings.Model);
        Assert.Equal(("m2", TimeSpan.FromMilliseconds(250), TimeSpan.FromSeconds(100)), (_backend.Settings.Model, _backend.Settings.PollInterval, _backend.Settings.NetworkTimeout));
        Assert.Contains(told, Assert.Single(_logs.GetSnapshot(), r => r.Level == LogLevel.Error).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Value_GoodAfterBad_IsTakenAndTheNextFaultIsToldAgain()
    {
        Change("Stream", "perhaps");
        Assert.False(_backend.Settings.Stream);
        Change("Stream", "true");
        Assert.True(_backend.Settings.Stream);

        Change("Stream", "perhaps");

        Assert.True(_backend.Settings.Stream);
        Assert.Equal(2, _logs.GetSnapshot().Count(r => r.Level == LogLevel.Error));
    }

    [Fact]
    public void FindContentFault_OtherApiSetMeanwhile_StillJudgesByTheOneThatRuns()
    {
        var image = new DataContent(new byte[] { 1 }, "image/png");

        Change("AssistantId", "asst_1");

        Assert.Equal("asst_1", _backend.Settings.AssistantId);
        Assert.Null(_backend.FindContentFault([image]));
    }

    private void Change(string setting, string value)
    {
        _configuration["AssistantQueue:OpenAI:" + setting] = value;
        _configuration.Reload();
    }
}
