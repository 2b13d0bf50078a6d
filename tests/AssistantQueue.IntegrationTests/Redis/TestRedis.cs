using StackExchange.Redis;

namespace AssistantQueue.IntegrationTests.Redis;

/// <summary>The Redis of the tests: one a test process for all that only need some Redis, started when the first of them asks.</summary>
/// <remarks>
/// A container when a Docker engine answers (<c>ASSISTANTQUEUE_TEST_REDIS_IMAGE</c> names the image), else the machine's redis-server, else the embedded one.
/// <c>ASSISTANTQUEUE_TEST_REDIS</c> (container, process or embedded) chooses instead. What was taken is printed, and written to the file that
/// <c>ASSISTANTQUEUE_TEST_REDIS_REPORT</c> names, if any.
/// </remarks>
public static class TestRedis
{
    private static readonly Lock Gate = new();
    private static readonly Dictionary<(RedisKind Kind, bool IsApart), Task<Shared>> Instances = [];
    private static Task<RedisKind>? s_kind;

    /// <summary>Prints a line where <c>dotnet test</c> shows it.</summary>
    internal static Action<string> Print { get; set; } = Console.WriteLine;

    /// <summary>A prefix that no other test has.</summary>
    public static string NewPrefix() => "t" + Guid.NewGuid().ToString("N");

    /// <summary>The shared instance and the connection to it. Not to be paused or stopped.</summary>
    public static async Task<Shared> GetAsync() => await GetAsync(await KindAsync());

    /// <summary>A shared one of a certain kind: for tests that run on several.</summary>
    public static Task<Shared> GetAsync(RedisKind kind) => GetAsync(kind, isApart: false);

    /// <summary>Another one, for tests that look at all of their keys, and remove them: what the others leave would be looked through each time.</summary>
    public static async Task<Shared> GetApartAsync(RedisKind? kind = null) => await GetAsync(kind ?? await KindAsync(), isApart: true);

    private static Task<Shared> GetAsync(RedisKind kind, bool isApart)
    {
        lock (Gate)
        {
            if (!Instances.TryGetValue((kind, isApart), out var shared))
            {
                Instances[(kind, isApart)] = shared = Task.Run(async () =>
                {
                    var instance = await StartAsync(new RedisInstanceOptions { Kind = kind });
                    return new Shared(instance, await instance.ConnectAsync());
                });
            }

            return shared;
        }
    }

    /// <summary>The kind that this machine gives: decided, printed and reported once.</summary>
    public static Task<RedisKind> KindAsync()
    {
        lock (Gate)
        {
            return s_kind ??= Task.Run(ChooseAsync);
        }
    }

    internal static async Task<RedisInstance> StartAsync(RedisInstanceOptions options) => (options.Kind ?? await KindAsync()) switch
    {
        RedisKind.Container => await ContainerRedis.StartAsync(options),
        RedisKind.Process => await ProcessRedis.StartAsync(options),
        _ => await EmbeddedRedisProcess.StartAsync(options),
    };

    /// <summary>Ends what was started.</summary>
    internal static async Task EndAsync()
    {
        Task<Shared>[] started;
        lock (Gate)
        {
            started = [.. Instances.Values];
            Instances.Clear();
        }

        await Task.WhenAll(started.Select(async starting =>
        {
            await ((Task)starting).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (starting.IsCompletedSuccessfully)
            {
                await (await starting).DisposeAsync();
            }
        }));
    }

    private static async Task<RedisKind> ChooseAsync()
    {
        if (Enum.TryParse<RedisKind>(Environment.GetEnvironmentVariable("ASSISTANTQUEUE_TEST_REDIS"), ignoreCase: true, out var wanted))
        {
            return Chosen(wanted, "as ASSISTANTQUEUE_TEST_REDIS says");
        }

        var why = "no Docker engine answers";
        if (await DockerEngine.AnswersAsync())
        {
            try
            {
                await using var probe = await ContainerRedis.StartAsync(new RedisInstanceOptions());
                return Chosen(RedisKind.Container, $"a container of {ContainerRedis.Image}");
            }
            catch (Exception e)
            {
                // Whatever keeps the container from running (no such image, mostly): the tests have other ways, and the line below says why.
                why = $"a Docker engine answers, but a container of {ContainerRedis.Image} can't be started: {e.Message.Split('\n')[0]}";
            }
        }

        return ProcessRedis.IsInstalled
            ? Chosen(RedisKind.Process, $"redis-server of this machine ({why})")
            : Chosen(RedisKind.Embedded, $"the embedded one, Garnet ({why}, and there is no redis-server on the PATH)");
    }

    private static RedisKind Chosen(RedisKind kind, string how)
    {
        Print($"Redis of the tests: {kind}, {how}.");
        if (Environment.GetEnvironmentVariable("ASSISTANTQUEUE_TEST_REDIS_REPORT") is { Length: > 0 } report)
        {
            File.AppendAllText(report, kind + "\n");
        }

        return kind;
    }

    /// <summary>A running Redis and a connection that all tests share.</summary>
    public sealed record Shared(RedisInstance Instance, ConnectionMultiplexer Multiplexer) : IAsyncDisposable
    {
        /// <summary>The first database.</summary>
        public IDatabase Database => Multiplexer.GetDatabase();

        public async ValueTask DisposeAsync()
        {
            await Multiplexer.DisposeAsync();
            await Instance.DisposeAsync();
        }
    }
}
