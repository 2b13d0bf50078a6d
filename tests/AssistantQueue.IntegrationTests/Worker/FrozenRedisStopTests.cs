using AssistantQueue.IntegrationTests.Faults;
using AssistantQueue.IntegrationTests.Redis;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using StackExchange.Redis;

namespace AssistantQueue.IntegrationTests.Worker;

/// <summary>A worker stops although its Redis stands still: nothing that only tidies up is waited for.</summary>
public sealed class FrozenRedisStopTests
{
    private const int Partitions = 8;

    // The client would wait ten minutes for each answer, and the host as long for the worker.
    [Fact]
    public async Task Stop_RedisStandsStill_DoesNotWaitForItsSubscriptions()
    {
        await using var redis = await RedisInstance.StartDedicatedAsync();
        await using var connection = await redis.ConnectAsync();
        var prefix = TestRedis.NewPrefix();
        var builder = Host.CreateApplicationBuilder();
        builder.Services.Configure<HostOptions>(options => options.ShutdownTimeout = TimeSpan.FromMinutes(10));
        builder.Services.AddAssistantMessageQueue(options =>
            {
                options.RedisConnectionString = redis.ConnectionString + ",asyncTimeout=600000,syncTimeout=600000";
                options.QueuePrefix = prefix;
                options.Partitions = Partitions;
            })
            .UseBackend(new NoBackend());
        using var host = builder.Build();
        await host.StartAsync();
        var server = connection.GetServers()[0];
        // Wake-ups and signals; and each partition was looked at.
        await Servers.AgreeAsync(async () => (await server.SubscriptionChannelsAsync(RedisChannel.Pattern($"*{prefix}*"))).Length == 2 * Partitions, "the worker listens");
        await Servers.AgreeAsync(
            async () => (await Task.WhenAll(Enumerable.Range(0, Partitions).Select(p => connection.GetDatabase().KeyExistsAsync($"{{{prefix}:{p}}}:idle")))).All(isThere => isThere),
            "the worker has looked");

        await redis.PauseAsync();
        try
        {
            await host.StopAsync().WaitAsync(TimeSpan.FromMinutes(1));
        }
        finally
        {
            await redis.ResumeAsync();
        }
    }

    private sealed class NoBackend : IAssistantBackend
    {
        public IAsyncEnumerable<RunUpdate> RunAsync(BatchRun run, CancellationToken cancellationToken) => throw new InvalidOperationException("Nothing was enqueued.");
    }
}
