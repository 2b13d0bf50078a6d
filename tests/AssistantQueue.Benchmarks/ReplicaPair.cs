using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using StackExchange.Redis;

namespace AssistantQueue.Benchmarks;

/// <summary>A primary and its replica, <c>redis-server</c> processes of this machine without persistence.</summary>
internal sealed class ReplicaPair : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly List<Process> _servers = [];
    private readonly string _folder = Directory.CreateTempSubdirectory("benchmark-").FullName;

    public string ConnectionString { get; private set; } = "";

    public static async Task<ReplicaPair> StartAsync()
    {
        var pair = new ReplicaPair();
        try
        {
            await pair.StartServersAsync();
            return pair;
        }
        catch
        {
            await pair.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var server in _servers)
        {
            server.Kill();
            await server.WaitForExitAsync();
            server.Dispose();
        }

        Directory.Delete(_folder, recursive: true);
    }

    private async Task StartServersAsync()
    {
        var primary = await StartServerAsync();
        var replica = await StartServerAsync("--replicaof", "127.0.0.1", primary.ToString(CultureInfo.InvariantCulture));
        ConnectionString = string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{primary}");
        await using var connection = await ConnectionMultiplexer.ConnectAsync(string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{replica},allowAdmin=true"));
        using var patience = new CancellationTokenSource(Patience);
        while (!((string)(await connection.GetServers()[0].ExecuteAsync("INFO", "replication"))!).Contains("master_link_status:up", StringComparison.Ordinal))
        {
            await Task.Delay(50, patience.Token);
        }
    }

    private async Task<int> StartServerAsync(params string[] arguments)
    {
        using var probe = new TcpListener(IPAddress.Loopback, 0);
        probe.Start();
        var port = ((IPEndPoint)probe.LocalEndpoint).Port;
        probe.Stop();
        var process = new Process
        {
            StartInfo = new ProcessStartInfo("redis-server",
                ["--bind", "127.0.0.1", "--port", port.ToString(CultureInfo.InvariantCulture), "--dir", _folder, "--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0", .. arguments])
            {
                RedirectStandardOutput = true,
            },
        };
        var ready = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        process.OutputDataReceived += (_, e) =>
        {
            if (e.Data?.Contains("Ready to accept connections", StringComparison.Ordinal) == true)
            {
                ready.TrySetResult();
            }
        };
        process.Start();
        process.BeginOutputReadLine();
        _servers.Add(process);
        await ready.Task.WaitAsync(Patience);
        return port;
    }
}
