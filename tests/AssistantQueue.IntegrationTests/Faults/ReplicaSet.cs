using System.Diagnostics;
using System.Globalization;
using System.Net;
using AssistantQueue.IntegrationTests.Redis;
using StackExchange.Redis;

namespace AssistantQueue.IntegrationTests.Faults;

/// <summary>A primary, its replicas and a sentinel, each a <c>redis-server</c> of its own.</summary>
internal sealed class ReplicaSet : IAsyncDisposable
{
    private const string Service = "queue";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly List<RedisInstance> _servers = [];
    private readonly string _directory = Directory.CreateTempSubdirectory("assistantqueue-sentinel-").FullName;
    private readonly int _port = FreePort.Find();
    private Process? _sentinel;
    private ConnectionMultiplexer? _toSentinel;

    private ReplicaSet()
    {
    }

    public string ConnectionString => string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{_port},serviceName={Service}");

    private IServer Sentinel => _toSentinel!.GetServer(IPAddress.Loopback, _port);

    public static async Task<ReplicaSet> StartAsync(int replicas)
    {
        var set = new ReplicaSet();
        try
        {
            await set.StartServersAsync(replicas);
            await set.StartSentinelAsync();
            return set;
        }
        catch
        {
            await set.DisposeAsync();
            throw;
        }
    }

    /// <summary>SIGKILL to the primary; completes when the sentinel has found another one and told the clients.</summary>
    public Task KillPrimaryAsync() => SwitchAsync(async () => await (await PrimaryAsync()).KillAsync());

    /// <summary>An operator's <c>SENTINEL FAILOVER</c>; completes when the old primary is a replica. Until then, some ten seconds, both take writes.</summary>
    public async Task FailOverAsync()
    {
        var old = await PrimaryAsync();
        await SwitchAsync(() => Sentinel.SentinelFailoverAsync(Service));
        await Servers.AgreeAsync(async () => (string?)(await CallAsync(old, "ROLE"))[0] == "slave", "the old primary is a replica");
    }

    /// <summary>Completes when a replica has everything that the primary had when this was called.</summary>
    public async Task ReplicatedAsync()
    {
        await using var connection = await (await PrimaryAsync()).ConnectAsync();
        var server = connection.GetServers()[0];
        // WAIT speaks of the writes of its own connection.
        await server.ExecuteAsync("SET", "replicated", "yes");
        Assert.NotEqual(0, (int)await server.ExecuteAsync("WAIT", 1, (int)Patience.TotalMilliseconds));
    }

    public async ValueTask DisposeAsync()
    {
        if (_toSentinel is not null)
        {
            await _toSentinel.DisposeAsync();
        }

        if (_sentinel is not null)
        {
            _sentinel.Kill();
            await _sentinel.WaitForExitAsync();
            _sentinel.Dispose();
        }

        foreach (var server in _servers)
        {
            await server.DisposeAsync();
        }

        Directory.Delete(_directory, recursive: true);
    }

    private async Task StartServersAsync(int replicas)
    {
        var primary = await RedisInstance.StartDedicatedAsync(new RedisInstanceOptions { Kind = RedisKind.Process, Arguments = ["--repl-diskless-sync-delay", "0"] });
        _servers.Add(primary);
        var port = primary.ConnectionString.Split(':')[1];
        for (var i = 0; i < replicas; i++)
        {
            _servers.Add(await RedisInstance.StartDedicatedAsync(new RedisInstanceOptions
            {
                Kind = RedisKind.Process,
                Arguments = ["--repl-diskless-sync-delay", "0", "--replicaof", "127.0.0.1", port],
            }));
        }

        foreach (var replica in _servers.Skip(1))
        {
            await using var connection = await replica.ConnectAsync();
            var server = connection.GetServer(replica.ConnectionString);
            await Servers.AgreeAsync(async () => ((string)(await server.ExecuteAsync("INFO", "replication"))!).Contains("master_link_status:up", StringComparison.Ordinal), "a replica follows");
        }
    }

    private async Task StartSentinelAsync()
    {
        var file = Path.Combine(_directory, "sentinel.conf");
        await File.WriteAllTextAsync(file, string.Create(CultureInfo.InvariantCulture, $"""
            bind 127.0.0.1
            port {_port}
            dir {_directory}
            sentinel monitor {Service} 127.0.0.1 {_servers[0].ConnectionString.Split(':')[1]} 1
            sentinel down-after-milliseconds {Service} 1000
            sentinel failover-timeout {Service} 10000

            """));
        // Nobody reads what it says: its own log would fill a pipe.
        _sentinel = Process.Start(new ProcessStartInfo("redis-server", [file, "--sentinel", "--logfile", Path.Combine(_directory, "sentinel.log")]))!;
        var options = ConfigurationOptions.Parse($"127.0.0.1:{_port}");
        options.AbortOnConnectFail = false;
        options.AllowAdmin = true;
        options.CommandMap = CommandMap.Sentinel;
        options.TieBreaker = "";
        options.ReconnectRetryPolicy = new LinearRetry(50);
        _toSentinel = await ConnectionMultiplexer.SentinelConnectAsync(options);
        await Servers.AgreeAsync(
            async () => _toSentinel.IsConnected && (await Sentinel.SentinelReplicasAsync(Service)).Count(r => r.Contains(new("master-link-status", "ok"))) == _servers.Count - 1,
            "the sentinel knows every replica");
    }

    private static async Task<RedisResult> CallAsync(RedisInstance instance, string command)
    {
        await using var connection = await instance.ConnectAsync();
        return await connection.GetServers()[0].ExecuteAsync(command);
    }

    private async Task<RedisInstance> PrimaryAsync()
    {
        var address = (await Sentinel.SentinelGetMasterAddressByNameAsync(Service))!.ToString();
        return _servers.Single(s => s.ConnectionString == address);
    }

    private async Task SwitchAsync(Func<Task> begin)
    {
        var switched = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var messages = await _toSentinel!.GetSubscriber().SubscribeAsync(RedisChannel.Literal("+switch-master"));
        messages.OnMessage(_ => switched.TrySetResult());
        await begin();
        await switched.Task.WaitAsync(Patience);
        await messages.UnsubscribeAsync();
    }
}
