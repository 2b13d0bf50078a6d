using AssistantQueue;
using AssistantQueue.Emulators;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Puts a queue on a Redis in the app's own process.</summary>
public static class EmbeddedRedisExtensions
{
    private const string Section = "AssistantQueue:Emulators";

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
        var services = builder.Services;

        // Each queue asks for it; the server is one, and so is what its options come from.
        if (!services.Any(s => s.ServiceType == typeof(EmbeddedRedis)))
        {
            services.AddSingleton<IConfigureOptions<EmbeddedRedisOptions>>(s => new ConfigureOptions<EmbeddedRedisOptions>(o => Bind(o, s)));
            services.AddSingleton(s => EmbeddedRedis.Start(s.GetRequiredService<IOptions<EmbeddedRedisOptions>>().Value, s.GetService<ILoggerFactory>()));
        }

        if (configure is not null)
        {
            services.Configure(configure);
        }

        services.AddOptions<AssistantQueueOptions>(builder.Name).PostConfigure<EmbeddedRedis>((options, redis) => options.RedisConnectionString = redis.ConnectionString);
        return builder;
    }

    private static void Bind(EmbeddedRedisOptions options, IServiceProvider services)
    {
        if (services.GetService<IConfiguration>() is not { } configuration)
        {
            return;
        }

        configuration.GetSection(Section + ":Redis").Bind(options);
        if (options.DataDirectory is null && configuration[Section + ":DataDirectory"] is { Length: > 0 } parent)
        {
            options.DataDirectory = Path.Combine(parent, "redis");
        }

        if (options.DataDirectory is { Length: > 0 } directory && services.GetService<IHostEnvironment>() is { } host)
        {
            options.DataDirectory = Path.Combine(host.ContentRootPath, directory);
        }
    }
}
