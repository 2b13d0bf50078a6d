using AssistantQueue.Emulators;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace AssistantQueue.Tests.Emulators;

/// <summary>The registration: one emulator a host, the queue's OpenAI options pointed at it.</summary>
public sealed class UseOpenAIEmulatorTests
{
    [Fact]
    public async Task UseOpenAIEmulator_WithOtherSettings_PointsTheQueueAtTheEmulator()
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["AssistantQueue:RedisConnectionString"] = "localhost",
            ["AssistantQueue:OpenAI:ApiKey"] = "a-real-key",
            ["AssistantQueue:OpenAI:AzureEndpoint"] = "https://example.openai.azure.com",
            ["AssistantQueue:Emulators:OpenAI:Latency"] = "00:00:00.250",
            ["AssistantQueue:Emulators:OpenAI:Models:0"] = "echo",
        });
        builder.Services.AddAssistantMessageQueue().UseOpenAI().UseOpenAIEmulator(o => o.KeepBodies = true);
        builder.Services.AddAssistantMessageQueue("other").UseOpenAIEmulator();
        await using var services = builder.Services.BuildServiceProvider();

        var options = services.GetRequiredService<IOptionsMonitor<OpenAIOptions>>();
        var emulator = services.GetRequiredService<OpenAIEmulator>();

        Assert.Equal((emulator.BaseUrl, null, "emulator", "echo"), (options.Get("").Endpoint, options.Get("").AzureEndpoint, options.Get("").ApiKey, options.Get("").Model));
        Assert.Equal(emulator.BaseUrl, options.Get("other").Endpoint);
        Assert.Equal((TimeSpan.FromMilliseconds(250), true), (emulator.Options.Latency, emulator.Options.KeepBodies));
    }

    [Fact]
    public async Task UseOpenAIEmulator_ProducerOnly_StartsNone()
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["AssistantQueue:RedisConnectionString"] = "localhost",
            ["AssistantQueue:OpenAI:Endpoint"] = "https://example.com/v1",
        });
        builder.Services.AddAssistantMessageQueue().UseOpenAIEmulator().ProducerOnly();
        await using var services = builder.Services.BuildServiceProvider();

        Assert.Equal("example.com", services.GetRequiredService<IOptionsMonitor<OpenAIOptions>>().Get("").Endpoint!.Host);
    }

    [Fact]
    public void UseOpenAIEmulator_DataDirectoryOfTheEmulators_KeepsItsFilesInAFolderOfItsOwn()
    {
        var parent = Directory.CreateTempSubdirectory("emulators").FullName;
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?> { ["AssistantQueue:Emulators:DataDirectory"] = parent });
        builder.Services.AddAssistantMessageQueue().UseOpenAIEmulator();
        using (var services = builder.Services.BuildServiceProvider())
        {
            services.GetRequiredService<OpenAIEmulator>();
            Assert.True(File.Exists(Path.Combine(parent, "openai", "openai-ledger.jsonl")));
        }

        Directory.Delete(parent, recursive: true);
    }

    [Fact]
    public async Task Host_WithBothEmulators_AnswersABurstWithOneRun()
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddAssistantMessageQueue(o => o.MessageDelay = TimeSpan.FromSeconds(30)).UseEmbeddedRedis().UseOpenAIEmulator();
        using var host = builder.Build();
        using var timeout = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        await host.StartAsync(timeout.Token);
        var queue = host.Services.GetRequiredService<IAssistantMessageQueue>();

        await queue.AddMessageToThreadAsync("t1", "hi", cancellationToken: timeout.Token);
        await queue.AddMessageToThreadAsync("t1", "one question", cancellationToken: timeout.Token);
        var last = await queue.EnqueueAsync(new AssistantMessage { ThreadId = "t1", Text = "is my order late?", Flush = true }, timeout.Token);
        var reply = await queue.WaitForReplyAsync(last, timeout.Token);

        Assert.Equal("You wrote 3 messages: “hi”, “one question” and “is my order late?”.", reply.Text);
        var ledger = host.Services.GetRequiredService<OpenAIEmulator>().Ledger.Snapshot();
        Assert.Equal(["hi", "one question", "is my order late?"], Assert.Single(ledger.Runs).Texts);
        await host.StopAsync(timeout.Token);
    }
}
