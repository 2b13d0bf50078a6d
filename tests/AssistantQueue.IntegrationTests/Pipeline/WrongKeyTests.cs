using AssistantQueue.Emulators;
using AssistantQueue.IntegrationTests.Redis;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;

namespace AssistantQueue.IntegrationTests.Pipeline;

/// <summary>A wrong key is the settings' fault: the queue waits, and goes on by itself when the key is good.</summary>
public sealed class WrongKeyTests
{
    [Fact]
    public async Task WrongKey_FiveThreadsWait_OneErrorNothingFailedAllAnsweredOnceItIsAccepted()
    {
        await using var emulator = await OpenAIEmulator.StartAsync(new OpenAIEmulatorOptions { ApiKeys = { "sk-right" } });
        var redis = (await TestRedis.GetAsync()).Instance.ConnectionString;
        var log = new FakeLogCollector();
        var builder = Host.CreateApplicationBuilder();
        builder.Logging.ClearProviders().AddProvider(new FakeLoggerProvider(log));
        builder.Services.AddAssistantMessageQueue(o =>
        {
            o.RedisConnectionString = redis;
            o.QueuePrefix = TestRedis.NewPrefix();
            o.MessageDelay = TimeSpan.Zero;
            o.MaxAttempts = 1;
        }).UseOpenAI(o =>
        {
            o.Endpoint = emulator.BaseUrl;
            o.ApiKey = "sk-wrong";
            o.Model = "gpt-test";
        });
        using var host = builder.Build();
        await host.StartAsync();
        var queue = host.Services.GetRequiredService<IAssistantMessageQueue>();

        var receipts = await Task.WhenAll(Enumerable.Range(0, 5).Select(t => queue.AddMessageToThreadAsync("thread-" + t, "hi")));
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        await emulator.Ledger.WaitForAsync(ledger => ledger.Requests.Count(r => r.Status == 401) >= 2, patience.Token);

        var status = await queue.GetQueueStatusAsync(patience.Token);
        Assert.Equal((0, 0, 5), (status.FailedCount, status.CompletedCount, status.ActiveCount + status.WaitingCount + status.DelayedCount));

        emulator.Options.ApiKeys.Add("sk-wrong");
        var replies = await Task.WhenAll(receipts.Select(r => queue.WaitForReplyAsync(r, patience.Token)));

        Assert.All(replies, reply => Assert.Equal(1, reply.Attempt));
        var error = Assert.Single(log.GetSnapshot(), r => r.Level >= LogLevel.Error);
        Assert.Contains("Incorrect API key", error.Message, StringComparison.Ordinal);
        await host.StopAsync(patience.Token);
    }
}
