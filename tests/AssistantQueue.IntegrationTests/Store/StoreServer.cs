using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using AssistantQueue.Emulators;
using StackExchange.Redis;

namespace AssistantQueue.IntegrationTests.Store;

/// <summary>The servers that every script is tested on: one of each kind a test process, shared; tests keep apart by their prefixes.</summary>
public sealed class StoreServer
{
    private readonly Lazy<Task<string>> _address;
    private readonly Lazy<Task<IConnectionMultiplexer>> _connection;

    private StoreServer(string name, Func<Task<string>> start)
    {
        Name = name;
        _address = new(() => Task.Run(start));
        _connection = new(ConnectAnewAsync);
    }

    public static StoreServer Redis { get; } = new("Redis", () => Task.FromResult(StartRedis()));

    public static StoreServer Garnet { get; } = new("Garnet", async () => (await EmbeddedRedis.StartAsync()).ConnectionString);

    public string Name { get; }

    public Task<IConnectionMultiplexer> ConnectAsync() => _connection.Value;

    public async Task<IConnectionMultiplexer> ConnectAnewAsync() => await ConnectAsync(await _address.Value);

    /// <summary>A Redis of a test's own, for settings that the others must not feel.</summary>
    public static StoreServer OwnRedis() => new("Redis", () => Task.FromResult(StartRedis()));

    public override string ToString() => Name;

    private static async Task<IConnectionMultiplexer> ConnectAsync(string address)
    {
        var options = ConfigurationOptions.Parse(address);
        options.AbortOnConnectFail = false;
        options.AllowAdmin = true;
        options.ConnectTimeout = options.SyncTimeout = options.AsyncTimeout = 30_000;
        return await ConnectionMultiplexer.ConnectAsync(options);
    }

    private static string StartRedis()
    {
        var port = FreePort();
        var process = Process.Start(new ProcessStartInfo("redis-server",
            ["--port", port.ToString(CultureInfo.InvariantCulture), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        {
            RedirectStandardOutput = true,
        })!;
        process.OutputDataReceived += (_, _) => { };
        process.BeginOutputReadLine();
        AppDomain.CurrentDomain.ProcessExit += (_, _) => process.Kill();
        return string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{port}");
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
