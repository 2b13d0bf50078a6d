using System.Runtime.CompilerServices;
using AssistantQueue.Emulators;
using AssistantQueue.Tests.Enqueue;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using StackExchange.Redis;

namespace AssistantQueue.Tests.DependencyInjection;

/// <summary>A real host with a worker and a backend of its own, on the embedded Redis.</summary>
public sealed class HostRunTests(SharedRedis shared) : IClassFixture<SharedRedis>
{
    private static readonly TimeSpan Long = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task Ask_WorkerInTheSameHost_IsAnsweredAndHandled()
    {
        var handled = new TaskCompletionSource<AssistantReply>();
        using var host = Start(services => services
            .AddAssistantMessageQueue(Settings("ask"))
            .UseBackend<EchoBackend>()
            .OnReply((reply, _) =>
            {
                handled.TrySetResult(reply);
                return Task.CompletedTask;
            }));

        var reply = await host.Services.GetRequiredService<IAssistantMessageQueue>().AskAsync("c1", "hi").WaitAsync(Long);

        Assert.Equal("You said: hi", reply.Text);
        Assert.Equal(reply.BatchId, (await handled.Task.WaitAsync(Long)).BatchId);
        await host.StopAsync();
    }

    [Fact]
    public async Task Ask_NamedQueues_AreAnsweredByTheirOwnBackends()
    {
        using var host = Start(services =>
        {
            services.AddAssistantMessageQueue("sales", Settings("sales")).UseBackend(new EchoBackend("Sales"));
            services.AddAssistantMessageQueue("support", Settings("support")).UseBackend(_ => new EchoBackend("Support"));
        });

        var sales = host.Services.GetRequiredKeyedService<IAssistantMessageQueue>("sales").AskAsync("c1", "hi");
        var support = host.Services.GetRequiredKeyedService<IAssistantMessageQueue>("support").AskAsync("c1", "hi");

        Assert.Equal(("Sales said: hi", "sales"), ((await sales.WaitAsync(Long)).Text, (await sales).QueueName));
        Assert.Equal("Support said: hi", (await support.WaitAsync(Long)).Text);
        Assert.Null(host.Services.GetService<IAssistantMessageQueue>());
        await host.StopAsync();
    }

    [Fact]
    public async Task Start_RedisComesLater_SaysSoAndConnectsThen()
    {
        int port;
        await using (var before = await EmbeddedRedis.StartAsync())
        {
            port = before.Port;
        }

        var said = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var host = Start(services =>
        {
            services.AddLogging(logging => logging.AddFakeLogging(o => o.OutputSink = line =>
            {
                if (line.Contains("can't reach Redis", StringComparison.Ordinal))
                {
                    said.TrySetResult();
                }
            }));
            services
                .AddAssistantMessageQueue(o => (o.RedisConnectionString, o.ConnectTimeout, o.MessageDelay) = ($"127.0.0.1:{port}", TimeSpan.FromSeconds(20), TimeSpan.Zero))
                .UseBackend<EchoBackend>();
        });
        await said.Task.WaitAsync(Long);
        await using var redis = await EmbeddedRedis.StartAsync(new() { Port = port });

        var reply = await host.Services.GetRequiredService<IAssistantMessageQueue>().AskAsync("c1", "hi").WaitAsync(Long);

        Assert.Equal("You said: hi", reply.Text);
        await host.StopAsync();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Ask_MultiplexerOfTheApp_IsUsedAndNeverDisposed(bool keyed)
    {
        await using var multiplexer = await ConnectionMultiplexer.ConnectAsync(shared.Redis.ConnectionString);
        using (var host = Start(services =>
        {
            if (keyed)
            {
                services.AddKeyedSingleton<IConnectionMultiplexer>("q", multiplexer);
                services.AddSingleton<IConnectionMultiplexer>(_ => throw new InvalidOperationException("The keyed one goes first."));
            }
            else
            {
                services.AddSingleton<IConnectionMultiplexer>(multiplexer);
            }

            services.AddAssistantMessageQueue("q", o => (o.QueuePrefix, o.MessageDelay) = ($"mine{keyed}", TimeSpan.Zero)).UseBackend<EchoBackend>();
        }))
        {
            var reply = await host.Services.GetRequiredKeyedService<IAssistantMessageQueue>("q").AskAsync("c1", "hi").WaitAsync(Long);
            Assert.Equal("You said: hi", reply.Text);
            await host.StopAsync();
        }

        Assert.True(multiplexer.IsConnected);
        Assert.True(await multiplexer.GetDatabase().KeyExistsAsync($"{{mine{keyed}:0}}:counters"));
    }

    private Action<AssistantQueueOptions> Settings(string prefix) => o =>
        (o.RedisConnectionString, o.QueuePrefix, o.MessageDelay) = (shared.Redis.ConnectionString, prefix + Guid.NewGuid().ToString("N"), TimeSpan.Zero);

    private static IHost Start(Action<IServiceCollection> add)
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        add(builder.Services);
        var host = builder.Build();
        host.Start();
        return host;
    }

    private sealed class EchoBackend(string who) : IAssistantBackend
    {
        public EchoBackend()
            : this("You")
        {
        }

        public async IAsyncEnumerable<RunUpdate> RunAsync(BatchRun run, [EnumeratorCancellation] CancellationToken cancellationToken)
        {
            await run.SaveAsync(cancellationToken);
            yield return new RunCompleted { Text = $"{who} said: {string.Join(", ", run.Messages.SelectMany(m => m.Contents))}" };
        }
    }
}
