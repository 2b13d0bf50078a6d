using AssistantQueue.Emulators;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace AssistantQueue.Tests.Emulators.Redis;

/// <summary>The registration: where the queue's connection string comes from.</summary>
public sealed class UseEmbeddedRedisTests
{
    [Fact]
    public async Task UseEmbeddedRedis_TwoQueues_ShareOneServer()
    {
        var services = new ServiceCollection();
        new Builder("", services).UseEmbeddedRedis();
        new Builder("support", services).UseEmbeddedRedis();
        services.Configure<AssistantQueueOptions>(options => options.RedisConnectionString = "elsewhere:6379");
        await using var provider = services.BuildServiceProvider();

        var options = provider.GetRequiredService<IOptionsMonitor<AssistantQueueOptions>>();
        var redis = provider.GetRequiredService<EmbeddedRedis>();

        Assert.Equal(redis.ConnectionString, options.Get("").RedisConnectionString);
        Assert.Equal(redis.ConnectionString, options.Get("support").RedisConnectionString);
        Assert.Null(redis.DataDirectory);
    }

    [Fact]
    public async Task UseEmbeddedRedis_DataDirectoryInTheConfiguration_KeepsItsDataBelow()
    {
        var parent = Directory.CreateTempSubdirectory("use-embedded-redis-").FullName;
        try
        {
            var services = new ServiceCollection();
            services.AddSingleton<IConfiguration>(new ConfigurationBuilder()
                .AddInMemoryCollection([new("AssistantQueue:Emulators:DataDirectory", parent)]).Build());
            new Builder("", services).UseEmbeddedRedis();
            await using var provider = services.BuildServiceProvider();

            Assert.Equal(Path.Combine(parent, "redis"), provider.GetRequiredService<EmbeddedRedis>().DataDirectory);
        }
        finally
        {
            Directory.Delete(parent, recursive: true);
        }
    }

    [Fact]
    public void UseEmbeddedRedis_ProviderDisposedWithoutAwait_EndsTheServer()
    {
        var services = new ServiceCollection();
        new Builder("", services).UseEmbeddedRedis();
        var provider = services.BuildServiceProvider();
        var port = provider.GetRequiredService<EmbeddedRedis>().Port;

        provider.Dispose();

        using var next = EmbeddedRedis.Start(new() { Port = port });
    }

    private sealed record Builder(string Name, IServiceCollection Services) : IAssistantQueueBuilder
    {
        public string ConfigurationPath => "AssistantQueue";

        public IEnumerable<IConfiguration> GetSections(IServiceProvider services) => [];
    }
}
