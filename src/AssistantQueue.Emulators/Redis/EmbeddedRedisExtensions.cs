using AssistantQueue;
using AssistantQueue.Emulators;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Puts a queue on a Redis in the app's own process.</summary>
public static class EmbeddedRedisExtensions
{
    /// <summary>Runs a Redis in this process and lets the queue use it, whatever its <c>RedisConnectionString</c> says.</summary>
    /// <remarks>
    /// All queues of a host share one; it is up before the first of them connects, and ends after them with the host's services.
    /// Data is kept in the folder <c>redis</c> below <c>AssistantQueue:Emulators:DataDirectory</c> (a relative path counts from the content root); without that setting it is in memory only.
    /// An <c>IConnectionMultiplexer</c> that the app registers goes before it.
    /// </remarks>
    /// <param name="builder">The queue.</param>
    /// <param name="configure">Sets port and folder; wins over the configuration.</param>
    /// <returns>The same builder.</returns>
    public static IAssistantQueueBuilder UseEmbeddedRedis(this IAssistantQueueBuilder builder, Action<EmbeddedRedisOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        EmulatorServices.AddServer<EmbeddedRedis, EmbeddedRedisOptions>(
            builder.Services, Bind, configure, (services, options) => EmbeddedRedis.Start(options, services.GetService<ILoggerFactory>()));
        builder.Services.AddOptions<AssistantQueueOptions>(builder.Name).PostConfigure<EmbeddedRedis>((options, redis) => options.RedisConnectionString = redis.ConnectionString);
        return builder;
    }

    private static void Bind(EmbeddedRedisOptions options, IConfigurationSection emulators, IServiceProvider services)
    {
        emulators.GetSection("Redis").Bind(options);
        options.DataDirectory = EmulatorServices.Folder(options.DataDirectory, "redis", emulators, services);
    }
}
