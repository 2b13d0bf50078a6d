using System.Diagnostics;
using System.Globalization;
using AssistantQueue.TestHost;

namespace AssistantQueue.IntegrationTests.Redis;

/// <summary>The machine's own <c>redis-server</c>, on a free port, with a folder that goes with it.</summary>
internal sealed class ProcessRedis : RedisInstance
{
    private readonly RedisInstanceOptions _options;
    private readonly int _port = FreePort.Find();
    private readonly string _directory = Directory.CreateTempSubdirectory("assistantqueue-redis-").FullName;
    private Process? _process;

    private ProcessRedis(RedisInstanceOptions options)
        : base(RedisKind.Process, "redis-server of this machine")
    {
        _options = options;
    }

    /// <summary>Whether there is one on the PATH.</summary>
    public static bool IsInstalled => (Environment.GetEnvironmentVariable("PATH") ?? "")
        .Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
        .Any(directory => File.Exists(Path.Combine(directory, "redis-server")));

    public override string ConnectionString => string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{_port}");

    private Process Running => _process ?? throw new InvalidOperationException("It isn't running.");

    public static async Task<ProcessRedis> StartAsync(RedisInstanceOptions options)
    {
        var redis = new ProcessRedis(options);
        try
        {
            await redis.StartAgainAsync();
            return redis;
        }
        catch
        {
            await redis.DisposeAsync();
            throw;
        }
    }

    public override Task PauseAsync()
    {
        ProcessSignals.Freeze(Running.Id);
        return Task.CompletedTask;
    }

    public override Task ResumeAsync()
    {
        ProcessSignals.Thaw(Running.Id);
        return Task.CompletedTask;
    }

    public override async Task StopAsync()
    {
        ProcessSignals.Terminate(Running.Id);
        await EndedAsync();
    }

    public override async Task KillAsync()
    {
        Running.Kill();
        await EndedAsync();
    }

    public override async Task StartAgainAsync()
    {
        var ready = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var said = new List<string>();
        var process = new Process
        {
            StartInfo = new ProcessStartInfo("redis-server",
                ["--bind", "127.0.0.1", "--port", _port.ToString(CultureInfo.InvariantCulture), "--dir", _directory, .. _options.ServerArguments])
            {
                RedirectStandardOutput = true,
            },
            EnableRaisingEvents = true,
        };
        process.OutputDataReceived += (_, e) =>
        {
            if (e.Data is null)
            {
                ready.TrySetException(new InvalidOperationException("redis-server ended:\n" + string.Join('\n', said)));
            }
            else if (e.Data.Contains("Ready to accept connections", StringComparison.Ordinal))
            {
                ready.TrySetResult();
            }
            else if (!ready.Task.IsCompleted)
            {
                said.Add(e.Data);
            }
        };
        process.Start();
        process.BeginOutputReadLine();
        _process = process;
        AppDomain.CurrentDomain.ProcessExit += (_, _) => End();
        await ready.Task.WaitAsync(TimeSpan.FromMinutes(1));
    }

    public override async ValueTask DisposeAsync()
    {
        if (_process is not null)
        {
            await KillAsync();
        }

        Directory.Delete(_directory, recursive: true);
    }

    private async Task EndedAsync()
    {
        var process = Running;
        await process.WaitForExitAsync().WaitAsync(TimeSpan.FromMinutes(1));
        _process = null;
        process.Dispose();
    }

    private void End()
    {
        if (_process is { HasExited: false } left)
        {
            left.Kill();
        }
    }
}
