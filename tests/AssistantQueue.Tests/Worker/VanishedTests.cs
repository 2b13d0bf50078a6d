using AssistantQueue.Emulators;
using AssistantQueue.Store;
using Microsoft.Extensions.Logging;
using StackExchange.Redis;

namespace AssistantQueue.Tests.Worker;

/// <summary>Redis loses its data while a run is under way: the reply in hand still reaches the handlers, and the log says so.</summary>
public class VanishedTests
{
    [Fact]
    public async Task Complete_ThreadIsGoneFromRedis_HandsTheReplyOverAndSaysSo()
    {
        await using var redis = await EmbeddedRedis.StartAsync();
        await using var rig = new WorkerRig(redis.ConnectionString);
        var flushed = new TaskCompletionSource();
        rig.Backend.Answer = async (_, token) =>
        {
            await flushed.Task.WaitAsync(token);
            return "secret words";
        };
        await rig.StartWorkerAsync();
        await rig.AddAsync("c1", "hi");
        await rig.Backend.NextAsync();

        await using var multiplexer = await ConnectionMultiplexer.ConnectAsync(redis.ConnectionString + ",allowAdmin=true");
        await multiplexer.GetServers()[0].FlushAllDatabasesAsync();
        flushed.SetResult();

        Assert.Equal("secret words", (await rig.Handler.NextReplyAsync()).Text);
        var error = Assert.Single(rig.Logged(LogLevel.Error));
        Assert.Contains("'c1' is gone from Redis", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Run_ThreadIsGoneFromRedisForSeveralRenewals_GoesOnAndHandsItsReplyOver()
    {
        await using var redis = await EmbeddedRedis.StartAsync();
        await using var rig = new WorkerRig(redis.ConnectionString);
        rig.Options.LockDuration = TimeSpan.FromSeconds(3);
        var (flushed, renewed) = (new TaskCompletionSource(), new TaskCompletionSource());
        rig.Backend.Answer = async (run, token) =>
        {
            await renewed.Task.WaitAsync(token);
            await run.SaveAsync(token);
            return "hello";
        };
        var store = rig.Connect();
        var renewals = 0;
        store.Before = method =>
        {
            // The third begins when two were answered.
            if (method == nameof(IQueueStore.Renew) && flushed.Task.IsCompleted && ++renewals == 3)
            {
                renewed.TrySetResult();
            }
        };
        await rig.StartWorkerAsync(store: store);
        await rig.AddAsync("c1", "hi");
        await rig.Backend.NextAsync();

        await using var multiplexer = await ConnectionMultiplexer.ConnectAsync(redis.ConnectionString + ",allowAdmin=true");
        await multiplexer.GetServers()[0].FlushAllDatabasesAsync();
        flushed.SetResult();

        Assert.Equal("hello", (await rig.Handler.NextReplyAsync()).Text);
        Assert.Single(rig.Backend.Runs);
    }
}
