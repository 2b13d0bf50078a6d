using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using StackExchange.Redis;

namespace AssistantQueue.Tests.DependencyInjection;

/// <summary>What stops a real host at its start, and in which words.</summary>
public sealed class HostStartTests
{
    [Fact]
    public async Task Start_WorkerWithoutBackend_SaysWhatToCall()
    {
        var told = await FaultsOf(services => services.AddAssistantMessageQueue(Local));

        Assert.Contains(".UseOpenAI()", Assert.Single(told), StringComparison.Ordinal);
        Assert.Contains(".UseBackend<T>()", told[0], StringComparison.Ordinal);
        Assert.Contains(".ProducerOnly()", told[0], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_NeitherConnectionStringNorMultiplexer_NamesTheThreeWays()
    {
        var told = await FaultsOf(services => services.AddAssistantMessageQueue().ProducerOnly());

        Assert.Contains("RedisConnectionString", Assert.Single(told), StringComparison.Ordinal);
        Assert.Contains("IConnectionMultiplexer", told[0], StringComparison.Ordinal);
        Assert.Contains(".UseEmbeddedRedis()", told[0], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_HandlerOnProducerOnlyHost_IsAnError()
    {
        var told = await FaultsOf(services => services.AddAssistantMessageQueue(Local).ProducerOnly().OnReply((_, _) => Task.CompletedTask));

        Assert.Contains("reply handler but no worker", Assert.Single(told), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_TwoQueuesOneRedisOnePrefix_NamesBoth()
    {
        var told = await FaultsOf(services =>
        {
            services.AddAssistantMessageQueue(Local).ProducerOnly();
            services.AddAssistantMessageQueue("support", o => (o.RedisConnectionString, o.QueuePrefix) = ("redis://localhost/3", "assistant")).ProducerOnly();
        });

        Assert.Contains("AssistantQueue:QueuePrefix and AssistantQueue:Queues:support:QueuePrefix are both 'assistant'", Assert.Single(told), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("localhost:6379", "127.0.0.1")]
    [InlineData("redis://[::1]", "LOCALHOST,abortConnect=false")]
    [InlineData("redis.example:7000,other.example:7000", "rediss://Redis.Example:7000")]
    public async Task Start_TwoQueuesOnePrefixAndOneRedisUnderTwoNames_NamesBoth(string one, string other)
    {
        var told = await FaultsOf(services =>
        {
            services.AddAssistantMessageQueue(o => o.RedisConnectionString = one).ProducerOnly();
            services.AddAssistantMessageQueue("b", o => (o.RedisConnectionString, o.QueuePrefix) = (other, "assistant")).ProducerOnly();
        });

        Assert.Contains("are both 'assistant' on one Redis", Assert.Single(told), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_TwoQueuesOnePrefixAndTheAppsMultiplexer_NamesBothWithoutMakingIt()
    {
        var told = await FaultsOf(services =>
        {
            services.AddSingleton<IConnectionMultiplexer>(_ => throw new InvalidOperationException("not to be made while settings are checked"));
            services.AddAssistantMessageQueue().ProducerOnly();
            services.AddAssistantMessageQueue("b", o => o.QueuePrefix = "assistant").ProducerOnly();
        });

        Assert.Contains("are both 'assistant' on one Redis", Assert.Single(told), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_TwoQueuesOnePrefixAndAMultiplexerThatCannotConnect_StartsAndSaysSo()
    {
        var said = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var host = Host(services =>
        {
            services.AddLogging(logging => logging.AddFakeLogging(o => o.OutputSink = line =>
            {
                if (line.Contains("'b' can't reach Redis", StringComparison.Ordinal))
                {
                    said.TrySetResult();
                }
            }));
            services.AddKeyedSingleton<IConnectionMultiplexer>("b", (_, _) => ConnectionMultiplexer.Connect("127.0.0.1:1,connectTimeout=100,connectRetry=0"));
            services.AddAssistantMessageQueue(o => o.RedisConnectionString = "127.0.0.1:2").ProducerOnly();
            services.AddAssistantMessageQueue("b", o => o.QueuePrefix = "assistant").ProducerOnly();
        });

        await host.StartAsync();
        await said.Task.WaitAsync(TimeSpan.FromSeconds(60));
        await host.StopAsync();
    }

    [Fact]
    public async Task Start_FaultsInSeveralQueues_AreAllInOneMessage()
    {
        var told = await FaultsOf(services =>
        {
            services.AddAssistantMessageQueue(o => o.Concurrency = 0);
            services.AddAssistantMessageQueue("support", o => o.MaxAttempts = 0);
        });

        Assert.Equal(6, told.Count);
        Assert.Contains(told, f => f.StartsWith("AssistantQueue:Concurrency is 0", StringComparison.Ordinal));
        Assert.Contains(told, f => f.StartsWith("AssistantQueue:Queues:support:MaxAttempts is 0", StringComparison.Ordinal));
        Assert.Contains(told, f => f.StartsWith("queue 'support' has a worker", StringComparison.Ordinal));
    }

    public static TheoryData<string, string[]> Backends => new()
    {
        { "OpenAI", ["AssistantQueue:OpenAI:Model is not set", "AssistantQueue:OpenAI:ApiKey is not set"] },
        { "ChatClient", ["The queue uses a chat client, but there is no IChatClient"] },
        { "Agent", ["The queue uses an agent, but there is no AIAgent"] },
    };

    [Theory]
    [MemberData(nameof(Backends))]
    public async Task Start_FaultsOfTheQueueAndOfItsBackend_AreAllInOneMessage(string backend, string[] faults)
    {
        var told = await FaultsOf(services => Use(services.AddAssistantMessageQueue(o => (o.RedisConnectionString, o.Concurrency) = ("localhost", 0)), backend));

        Assert.Equal(1 + faults.Length, told.Count);
        Assert.StartsWith("AssistantQueue:Concurrency is 0", told[0], StringComparison.Ordinal);
        Assert.All(faults.Zip(told.Skip(1)), f => Assert.StartsWith(f.First, f.Second, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Start_BackendChosenTwice_TellsItsFaultsOnce()
    {
        var told = await FaultsOf(services => services.AddAssistantMessageQueue(Local).UseOpenAI(o => o.Model = "m").UseOpenAI());

        Assert.StartsWith("AssistantQueue:OpenAI:ApiKey is not set", Assert.Single(told), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("OpenAI", true)]
    [InlineData("ChatClient", true)]
    [InlineData("Agent", true)]
    [InlineData(null, true)]
    [InlineData("OpenAI", false)]
    [InlineData("ChatClient", false)]
    [InlineData("Agent", false)]
    [InlineData(null, false)]
    public async Task Start_BadSettingOfAHostWithoutWorker_TellsOfNothingThatOnlyWorkersNeed(string? backend, bool inCode)
    {
        var told = await FaultsOf(services =>
        {
            var queue = Use(services.AddAssistantMessageQueue(o => (o.RedisConnectionString, o.RunWorker, o.Concurrency) = ("localhost", inCode, 0)), backend);
            if (inCode)
            {
                queue.ProducerOnly();
            }
        });

        Assert.StartsWith("AssistantQueue:Concurrency is 0", Assert.Single(told), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_BadSettingAndHandlerOfAHostWithoutWorker_TellsBoth()
    {
        var told = await FaultsOf(services => services
            .AddAssistantMessageQueue(o => (o.RedisConnectionString, o.RunWorker, o.Concurrency) = ("localhost", false, 0))
            .OnReply((_, _) => Task.CompletedTask));

        Assert.Equal(2, told.Count);
        Assert.StartsWith("AssistantQueue:Concurrency is 0", told[0], StringComparison.Ordinal);
        Assert.Contains("reply handler but no worker", told[1], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Start_RunWorkerFalse_NeedsNoBackend(bool inCode)
    {
        using var host = Host(
            services => services.AddAssistantMessageQueue(o => (o.RedisConnectionString, o.RunWorker) = ("127.0.0.1:1", !inCode && o.RunWorker)),
            new() { ["AssistantQueue:RunWorker"] = "false" });

        await host.StartAsync();
        await host.StopAsync();
    }

    [Fact]
    public async Task Start_TwoQueuesOnePrefixOnTwoServers_IsFine()
    {
        using var host = Host(services =>
        {
            services.AddAssistantMessageQueue(o => o.RedisConnectionString = "127.0.0.1:1").ProducerOnly();
            services.AddAssistantMessageQueue("b", o => (o.RedisConnectionString, o.QueuePrefix) = ("127.0.0.1:2", "assistant")).ProducerOnly();
        });

        await host.StartAsync();
        await host.StopAsync();
    }

    [Fact]
    public async Task Start_MultiplexerThatCannotConnect_StillStarts()
    {
        using var host = Host(services =>
        {
            services.AddSingleton<IConnectionMultiplexer>(_ => ConnectionMultiplexer.Connect("127.0.0.1:1,connectTimeout=100,connectRetry=0"));
            services.AddAssistantMessageQueue().ProducerOnly();
        });

        await host.StartAsync();
        await host.StopAsync();
    }

    private static IAssistantQueueBuilder Use(IAssistantQueueBuilder queue, string? backend) => backend switch
    {
        "OpenAI" => queue.UseOpenAI(),
        "ChatClient" => queue.UseChatClient(),
        "Agent" => queue.UseAgent(),
        _ => queue,
    };

    private static void Local(AssistantQueueOptions options) => options.RedisConnectionString = "localhost";

    private static async Task<List<string>> FaultsOf(Action<IServiceCollection> add)
    {
        using var host = Host(add);
        var e = await Assert.ThrowsAsync<OptionsValidationException>(() => host.StartAsync());
        return [.. e.Failures];
    }

    private static IHost Host(Action<IServiceCollection> add, Dictionary<string, string?>? settings = null)
    {
        var builder = Microsoft.Extensions.Hosting.Host.CreateEmptyApplicationBuilder(null);
        builder.Configuration.AddInMemoryCollection(settings);
        add(builder.Services);
        return builder.Build();
    }
}
