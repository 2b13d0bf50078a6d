using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;

namespace AssistantQueue.Tests.Options;

public sealed class CurrentOptionsTests : IDisposable
{
    private readonly IConfigurationRoot _configuration = SettingsTests.Configuration(new()
    {
        ["AssistantQueue:RedisConnectionString"] = "localhost",
        ["AssistantQueue:Concurrency"] = "5",
    });

    private readonly FakeLogCollector _logs;
    private readonly ServiceProvider _services;
    private readonly CurrentOptions _current;

    public CurrentOptionsTests()
    {
        var services = new ServiceCollection();
        services.AddSingleton<IConfiguration>(_configuration);
        services.AddLogging(logging => logging.AddFakeLogging());
        services.AddAssistantMessageQueue();
        _services = services.BuildServiceProvider();
        _logs = _services.GetFakeLogCollector();
        _current = _services.GetRequiredKeyedService<CurrentOptions>("");
    }

    public void Dispose() => _services.Dispose();

    [Fact]
    public void Reload_GoodValues_AreTaken()
    {
        Change("12");

        Assert.Equal(12, _current.Value.Concurrency);
    }

    [Theory]
    [InlineData("0", "AssistantQueue:Concurrency is 0")]
    [InlineData("lots", "AssistantQueue:Concurrency is 'lots'")]
    public void Reload_BadValues_KeepsTheLastGoodOnesAndSaysSo(string bad, string told)
    {
        Change("12");

        Change(bad);

        Assert.Equal(12, _current.Value.Concurrency);
        var record = Assert.Single(_logs.GetSnapshot(), r => r.Level == LogLevel.Error);
        Assert.Contains(told, record.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Reload_SameFaultTwice_IsToldOnce()
    {
        Change("0");
        Change("0");

        Assert.Single(_logs.GetSnapshot(), r => r.Level == LogLevel.Error);
    }

    [Fact]
    public void Reload_GoodAfterBad_IsTakenAgain()
    {
        Change("0");

        Change("3");

        Assert.Equal(3, _current.Value.Concurrency);
    }

    private void Change(string concurrency)
    {
        _configuration["AssistantQueue:Concurrency"] = concurrency;
        _configuration.Reload();
    }
}
