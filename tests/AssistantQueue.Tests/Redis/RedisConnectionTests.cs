using System.Net;
using System.Net.Sockets;
using AssistantQueue.Redis;
using AssistantQueue.Store;
using AssistantQueue.Tests.Waiting;
using AssistantQueue.Tests.Worker;
using Microsoft.Extensions.Logging.Testing;
using StackExchange.Redis;

namespace AssistantQueue.Tests.Redis;

public sealed class RedisConnectionTests
{
    [Fact]
    public async Task Get_NothingListens_ThrowsAfterConnectTimeoutWithoutThePassword()
    {
        var logger = new FakeLogger();
        await using var connection = RedisConnection.Own("q", $"127.0.0.1:{FreePort()},password=hidden", TimeSpan.FromMilliseconds(300), TimeProvider.System, logger);

        var e = await Assert.ThrowsAsync<StoreUnavailableException>(() => connection.GetAsync(default).AsTask());

        Assert.Contains("0.3 s (ConnectTimeout)", e.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("hidden", e.Message, StringComparison.Ordinal);
        Assert.Equal(TimeSpan.Zero, connection.ReachableFor);
        Assert.DoesNotContain(logger.Collector.GetSnapshot(), r => r.Message.Contains("hidden", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Get_ConnectionIsNotMade_WaitsForConnectTimeoutAndNoLonger()
    {
        var time = new AlarmedTime();
        var end = new TaskCompletionSource<IConnectionMultiplexer>();
        await using var connection = RedisConnection.Given("q", () => end.Task.GetAwaiter().GetResult(), TimeSpan.FromMilliseconds(600), time, new FakeLogger());
        var waiting = connection.GetAsync(default).AsTask();

        // It looks every 250 ms whether an event was lost; the last of these waits ends with the timeout.
        foreach (var step in new[] { 250, 250, 99 })
        {
            await time.Alarms.ReadAsync().AsTask().WaitAsync(TestTimes.Patience);
            time.Advance(TimeSpan.FromMilliseconds(step));
        }

        Assert.False(waiting.IsCompleted);
        time.Advance(TimeSpan.FromMilliseconds(1));
        await Assert.ThrowsAsync<StoreUnavailableException>(() => waiting.WaitAsync(TestTimes.Patience));
        end.SetCanceled();
    }

    [Fact]
    public async Task Get_Cancelled_EndsAtOnce()
    {
        using var cancelled = new CancellationTokenSource();
        await using var connection = RedisConnection.Own("", $"127.0.0.1:{FreePort()}", TimeSpan.FromMinutes(5), TimeProvider.System, new FakeLogger());
        var waiting = connection.GetAsync(cancelled.Token).AsTask();

        await cancelled.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
    }

    [Fact]
    public async Task Dispose_WhileSomebodyWaits_EndsTheWaiting()
    {
        var connection = RedisConnection.Own("", $"127.0.0.1:{FreePort()}", TimeSpan.FromSeconds(5), TimeProvider.System, new FakeLogger());
        var waiting = connection.GetAsync(default).AsTask();

        await connection.DisposeAsync();

        await Assert.ThrowsAsync<ObjectDisposedException>(() => waiting);
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
