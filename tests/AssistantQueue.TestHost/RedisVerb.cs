using System.Globalization;
using AssistantQueue.Emulators;

namespace AssistantQueue.TestHost;

/// <summary><c>redis [--data DIR] [--port N]</c>: an embedded Redis in a process of its own, so that it can be killed.</summary>
internal static class RedisVerb
{
    public static async Task<int> RunAsync(string[] args)
    {
        await using var redis = await EmbeddedRedis.StartAsync(new EmbeddedRedisOptions
        {
            DataDirectory = args.Value("data"),
            Port = int.Parse(args.Value("port") ?? "0", CultureInfo.InvariantCulture),
        });
        VerbLife.Ready(redis.ConnectionString);
        await VerbLife.UntilToldToEndAsync();
        return 0;
    }
}
