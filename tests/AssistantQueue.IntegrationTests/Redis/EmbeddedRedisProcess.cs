using System.Globalization;
using AssistantQueue.TestHost;

namespace AssistantQueue.IntegrationTests.Redis;

/// <summary>The embedded Redis in a process of its own, so that it can be frozen and killed.</summary>
internal sealed class EmbeddedRedisProcess : RedisInstance
{
    private readonly int _port = FreePort.Find();
    private readonly string? _directory;
    private TestHostProcess? _process;

    private EmbeddedRedisProcess(RedisInstanceOptions options)
        : base(RedisKind.Embedded, "the embedded Redis (Garnet)")
    {
        _directory = options.KeepsData ? Directory.CreateTempSubdirectory("assistantqueue-redis-").FullName : null;
    }

    public override string ConnectionString => string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{_port}");

    private TestHostProcess Running => _process ?? throw new InvalidOperationException("It isn't running.");

    public static async Task<EmbeddedRedisProcess> StartAsync(RedisInstanceOptions options)
    {
        if (options.Arguments.Count > 0)
        {
            throw new NotSupportedException("The embedded Redis takes no arguments of redis-server.");
        }

        var redis = new EmbeddedRedisProcess(options);
        await redis.StartAgainAsync();
        return redis;
    }

    public override Task PauseAsync()
    {
        Running.Freeze();
        return Task.CompletedTask;
    }

    public override Task ResumeAsync()
    {
        Running.Thaw();
        return Task.CompletedTask;
    }

    public override async Task StopAsync()
    {
        await Running.StopAsync();
        await EndedAsync();
    }

    public override async Task KillAsync()
    {
        await Running.KillAsync();
        await EndedAsync();
    }

    public override async Task StartAgainAsync()
    {
        string[] data = _directory is null ? [] : ["--data", _directory];
        _process = await TestHostProcess.StartAsync(["redis", "--port", _port.ToString(CultureInfo.InvariantCulture), .. data]);
    }

    public override async ValueTask DisposeAsync()
    {
        if (_process is not null)
        {
            await KillAsync();
        }

        if (_directory is not null)
        {
            Directory.Delete(_directory, recursive: true);
        }
    }

    private async Task EndedAsync()
    {
        await Running.DisposeAsync();
        _process = null;
    }
}
