using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using StackExchange.Redis;

namespace AssistantQueue.Redis;

/// <summary>Finds a queue's Redis among the app's services: a multiplexer keyed by the queue's name, an unkeyed one, or one of the queue's own.</summary>
internal static class RedisServices
{
    public static bool HasMultiplexer(IServiceProvider services, string name) => KeyOf(services, name) is not null;

    public static RedisConnection Connect(IServiceProvider services, string name)
    {
        var options = services.GetRequiredKeyedService<CurrentOptions>(name).Value;
        var time = services.GetService<TimeProvider>() ?? TimeProvider.System;
        var logger = services.GetRequiredService<ILoggerFactory>().CreateLogger("AssistantQueue.Redis");
        return KeyOf(services, name) is { } key
            ? RedisConnection.Given(name, () => Multiplexer(services, key), options.ConnectTimeout, time, logger)
            : RedisConnection.Own(name, options.RedisConnectionString!, options.ConnectTimeout, time, logger);
    }

    /// <summary>A second connection to the queue's Redis, for calls that hold theirs up. Of a given multiplexer the configuration is taken.</summary>
    public static RedisConnection ConnectApart(IServiceProvider services, string name)
    {
        var options = services.GetRequiredKeyedService<CurrentOptions>(name).Value;
        return RedisConnection.Own(
            name,
            KeyOf(services, name) is { } key ? Multiplexer(services, key).Configuration : options.RedisConnectionString!,
            options.ConnectTimeout,
            services.GetService<TimeProvider>() ?? TimeProvider.System,
            services.GetRequiredService<ILoggerFactory>().CreateLogger("AssistantQueue.Redis"));
    }

    /// <summary>Whether the two queues' keys would lie on one Redis. Databases don't count: channels are shared by all of them.</summary>
    public static bool IsSameServer(IServiceProvider services, (string Name, AssistantQueueOptions Options) one, (string Name, AssistantQueueOptions Options) other) =>
        (KeyOf(services, one.Name), KeyOf(services, other.Name)) is ({ IsKeyed: false }, { IsKeyed: false })
        || ServersOf(services, one.Name, one.Options).Overlaps(ServersOf(services, other.Name, other.Options));

    private static HashSet<string> ServersOf(IServiceProvider services, string name, AssistantQueueOptions options)
    {
        if (KeyOf(services, name) is { } key)
        {
            try
            {
                return [.. Multiplexer(services, key).GetEndPoints(configuredOnly: true).Select(ServerOf)];
            }
            catch (Exception)
            {
                // Whatever the app's own factory throws: the connection asks for it again, says why there is none, and the host starts meanwhile.
                return [];
            }
        }

        var own = RedisConnectionString.Parse(options.RedisConnectionString!);
        own.SetDefaultPorts();
        return [.. own.EndPoints.Select(ServerOf)];
    }

    // The machine's own names are one server; 127.0.0.2 may be another.
    private static string ServerOf(EndPoint endPoint) => endPoint switch
    {
        IPEndPoint ip when ip.Address.Equals(IPAddress.Loopback) || ip.Address.Equals(IPAddress.IPv6Loopback) => $"localhost:{ip.Port}",
        _ => RedisConnection.Name(endPoint).ToLowerInvariant(),
    };

    private static IConnectionMultiplexer Multiplexer(IServiceProvider services, Registered key) => key.IsKeyed
        ? services.GetRequiredKeyedService<IConnectionMultiplexer>(key.Name)
        : services.GetRequiredService<IConnectionMultiplexer>();

    private static Registered? KeyOf(IServiceProvider services, string name)
    {
        var known = services.GetRequiredService<IServiceProviderIsKeyedService>();
        return known.IsKeyedService(typeof(IConnectionMultiplexer), name) ? new(true, name)
            : known.IsService(typeof(IConnectionMultiplexer)) ? new(false, name)
            : null;
    }

    private sealed record Registered(bool IsKeyed, string Name);
}
