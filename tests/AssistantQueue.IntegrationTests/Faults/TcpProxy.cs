using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace AssistantQueue.IntegrationTests.Faults;

/// <summary>The network between a queue and its Redis: passes bytes on, or delays, holds back or resets them.</summary>
internal sealed class TcpProxy : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stopped = new();
    private readonly ConcurrentDictionary<Socket, byte> _sockets = [];
    private readonly string _host;
    private readonly int _port;
    private readonly Task _accepting;
    private TaskCompletionSource _open = Opened();
    private TaskCompletionSource _openBack = Opened();

    public TcpProxy(string target)
    {
        var address = target.Split(',')[0].Split(':');
        (_host, _port) = (address[0], int.Parse(address[1], System.Globalization.CultureInfo.InvariantCulture));
        _listener.Start();
        _accepting = AcceptAsync();
    }

    /// <summary>Where to connect instead.</summary>
    public string Address => _listener.LocalEndpoint.ToString()!;

    /// <summary>How long each piece waits on its way.</summary>
    public TimeSpan Delay { get; set; }

    /// <summary>Holds everything back, connections open, until <see cref="Release"/>.</summary>
    public void Hold()
    {
        HoldAnswers();
        _open = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    /// <summary>Lets requests pass and holds the answers back until <see cref="Release"/>.</summary>
    public void HoldAnswers() => _openBack = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Lets everything pass again.</summary>
    public void Release()
    {
        _open.TrySetResult();
        _openBack.TrySetResult();
    }

    /// <summary>Resets every connection; what was on its way is lost.</summary>
    public void Reset()
    {
        foreach (var socket in _sockets.Keys)
        {
            Close(socket, reset: true);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stopped.CancelAsync();
        _listener.Dispose();
        Release();
        Reset();
        await _accepting;
        _stopped.Dispose();
    }

    private static TaskCompletionSource Opened()
    {
        var opened = new TaskCompletionSource();
        opened.SetResult();
        return opened;
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                var client = await _listener.AcceptSocketAsync(_stopped.Token);
                _sockets[client] = 0;
                _ = ConnectAsync(client);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // The proxy is being disposed.
        }
    }

    private async Task ConnectAsync(Socket client)
    {
        var server = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        client.NoDelay = true;
        _sockets[server] = 0;
        try
        {
            await server.ConnectAsync(_host, _port, _stopped.Token);
            await Task.WhenAny(PumpAsync(client, server, () => _open), PumpAsync(server, client, () => _openBack));
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // No server, or an end of the connection is gone: so is the other.
        }

        Close(client, reset: false);
        Close(server, reset: false);
    }

    private async Task PumpAsync(Socket from, Socket to, Func<TaskCompletionSource> gate)
    {
        var buffer = new byte[64 * 1024];
        try
        {
            while (await from.ReceiveAsync(buffer, _stopped.Token) is var count and > 0)
            {
                await gate().Task.WaitAsync(_stopped.Token);
                if (Delay > TimeSpan.Zero)
                {
                    await Task.Delay(Delay, _stopped.Token);
                }

                await to.SendAsync(buffer.AsMemory(0, count), _stopped.Token);
            }
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // An end of the connection is gone: so is the other.
        }
    }

    private void Close(Socket socket, bool reset)
    {
        if (!_sockets.TryRemove(socket, out _))
        {
            // The other direction, or a reset, closed it already.
            return;
        }

        if (reset)
        {
            socket.LingerState = new LingerOption(true, 0);
        }

        socket.Dispose();
    }
}
