using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Garnet;
using Garnet.common;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace AssistantQueue.Emulators;

/// <summary>A Redis in this process (Microsoft Garnet), reached over TCP on 127.0.0.1 by this process and others. Thread-safe.</summary>
/// <remarks>
/// <para>Made for a developer's machine and for tests. With a data folder every acknowledged write survives a kill of the process; several instances may live in one process.
/// A script that the kill interrupts may be stored in part: Garnet 2.2.8 writes each of its commands into the log by itself. Where that matters, use a Redis server
/// (<c>src/AssistantQueue.Emulators/Redis/README.md</c> has the details).</para>
/// <para>Scripts lock only the keys that they declare. Reading a list, hash or sorted set with a plain command while a script of another connection writes it
/// closes the reading connection; read through a script that declares the same key. <c>SCAN</c> and <c>KEYS</c> inside a script never return.</para>
/// </remarks>
public sealed class EmbeddedRedis : IAsyncDisposable, IDisposable
{
    // Between finding a free port and listening on it somebody else may take it.
    private const int PortTries = 10;

    private readonly GarnetServer _server;
    private readonly DataFolderLock? _folder;
    private int _disposed;

    private EmbeddedRedis(GarnetServer server, DataFolderLock? folder, int port, string? dataDirectory)
    {
        (_server, _folder, Port, DataDirectory) = (server, folder, port, dataDirectory);
    }

    /// <summary>Gets the TCP port on 127.0.0.1.</summary>
    public int Port { get; }

    /// <summary>Gets the full path of the folder that holds the data, or <see langword="null"/> when it is in memory only.</summary>
    public string? DataDirectory { get; }

    /// <summary>Gets the connection string, in the syntax of StackExchange.Redis.</summary>
    public string ConnectionString => string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{Port}");

    /// <summary>Starts a server, which accepts connections when this returns; with a folder that has data, all of it is there again.</summary>
    /// <param name="options">Port and folder; the defaults are a free port and no folder.</param>
    /// <param name="loggerFactory">Takes the server's log, one level lower than it speaks, under <c>AssistantQueue.EmbeddedRedis</c>.</param>
    /// <param name="cancellationToken">Gives up before the start; a server that has begun to start is started.</param>
    /// <exception cref="IOException">The folder is in use by another instance, the port is taken, or the data can't be read.</exception>
    public static Task<EmbeddedRedis> StartAsync(EmbeddedRedisOptions? options = null, ILoggerFactory? loggerFactory = null, CancellationToken cancellationToken = default) =>
        Task.Run(() => Start(options, loggerFactory), cancellationToken);

    /// <summary>Starts a server, as <see cref="StartAsync"/> does, on the caller's thread: for about a second the first time, longer with much data.</summary>
    /// <param name="options">Port and folder; the defaults are a free port and no folder.</param>
    /// <param name="loggerFactory">Takes the server's log.</param>
    /// <returns>The running server.</returns>
    /// <exception cref="IOException">The folder is in use by another instance, the port is taken, or the data can't be read.</exception>
    public static EmbeddedRedis Start(EmbeddedRedisOptions? options = null, ILoggerFactory? loggerFactory = null)
    {
        options ??= new EmbeddedRedisOptions();
        ArgumentOutOfRangeException.ThrowIfNegative(options.Port);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.Port, IPEndPoint.MaxPort);
        loggerFactory ??= NullLoggerFactory.Instance;

        var directory = options.DataDirectory is { Length: > 0 } given ? Path.GetFullPath(given) : null;
        var folder = directory is null ? null : DataFolderLock.Take(directory);
        try
        {
            var (server, port) = Listen(options.Port, directory, new GarnetLogging(loggerFactory));
            var redis = new EmbeddedRedis(server, folder, port, directory);
            redis.Announce(loggerFactory.CreateLogger("AssistantQueue.EmbeddedRedis"));
            return redis;
        }
        catch
        {
            folder?.Dispose();
            throw;
        }
    }

    /// <summary>Closes all connections and ends the server; its data stays in the folder, if it has one.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            _server.Dispose();
            _folder?.Dispose();
        }
    }

    /// <summary>Closes all connections and ends the server; its data stays in the folder, if it has one.</summary>
    /// <returns>A task that is done when the port and the folder are free.</returns>
    public async ValueTask DisposeAsync() => await Task.Run(Dispose);

    private static (GarnetServer Server, int Port) Listen(int wanted, string? directory, ILoggerFactory logging)
    {
        for (var attempt = 1; ; attempt++)
        {
            var port = wanted == 0 ? FreePort() : wanted;
            GarnetServer? server = null;
            try
            {
                server = new GarnetServer(GarnetArguments.For(port, directory), logging);
                server.Start();
                return (server, port);
            }
            catch (GarnetException) when (wanted == 0 && attempt < PortTries && !IsFree(port))
            {
                server?.Dispose();
            }
            catch (Exception e) when (e is not IOException)
            {
                server?.Dispose();
                throw new IOException(Explain(e, port, directory), e);
            }
        }
    }

    private static string Explain(Exception e, int port, string? directory)
    {
        var where = directory is null ? "" : $" with the data in '{directory}'";
        return IsFree(port)
            ? $"The embedded Redis can't start{where}: {e.Message}"
            : $"The embedded Redis can't listen on 127.0.0.1:{port}: something else does. Choose another port (AssistantQueue:Emulators:Redis:Port), or 0 for a free one.";
    }

    private static bool IsFree(int port)
    {
        using var probe = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            probe.Bind(new IPEndPoint(IPAddress.Loopback, port));
            return true;
        }
        catch (SocketException)
        {
            // The answer is the exception itself.
            return false;
        }
    }

    private static int FreePort()
    {
        using var probe = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        probe.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)probe.LocalEndPoint!).Port;
    }

    private void Announce(ILogger logger)
    {
        if (DataDirectory is { } directory)
        {
            Log.EmbeddedRedisKeeps(logger, ConnectionString, directory);
        }
        else
        {
            Log.EmbeddedRedisForgets(logger, ConnectionString);
        }
    }
}
