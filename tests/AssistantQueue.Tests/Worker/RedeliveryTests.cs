using System.Collections.Concurrent;
using System.Text.Json;
using AssistantQueue.IntegrationTests.Store;
using AssistantQueue.Store;
using Microsoft.Extensions.Logging;

namespace AssistantQueue.Tests.Worker;

/// <summary>Replies that their handlers have not taken: offered again, in order, until they are too old.</summary>
public class RedeliveryTests
{
    [Fact]
    public async Task Reply_ThatIsStoredButNotDelivered_IsDeliveredByTheNextWorkerWithoutARun()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        rig.Options.LockDuration = TimeSpan.FromMilliseconds(500);
        await rig.AddAsync("c1", "hi");
        var batch = (await rig.ClaimAsDyingWorkerAsync()).Batches[0];
        var reply = new AssistantReply
        {
            ThreadId = "c1",
            BatchId = batch.Lease.BatchId,
            Text = "hello",
            MessageIds = ["id-hi"],
            FirstSequence = batch.FirstSequence,
            LastSequence = batch.LastSequence,
        };
        await rig.Store.CompleteAsync(batch.Lease, new CompleteWrite(JsonSerializer.Serialize(reply, StoreJson.Reply), [], true, false), default);

        await rig.StartWorkerAsync();

        var delivered = await rig.Handler.NextReplyAsync();
        Assert.Equal(("hello", batch.Lease.BatchId), (delivered.Text, delivered.BatchId));
        Assert.Empty(rig.Backend.Runs);
    }

    [Fact]
    public async Task Handler_ThatFails_GetsTheReplyAgainBeforeTheThreadsNextOne()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        var failures = 2;
        rig.Handler.Reply = (reply, _) => reply.Text == "first" && Interlocked.Decrement(ref failures) >= 0
            ? throw new InvalidOperationException("the shop is closed")
            : Task.CompletedTask;
        var store = rig.Connect();
        var pauses = new ConcurrentQueue<TimeSpan>();
        store.Postponed = pauses.Enqueue;
        await rig.StartWorkerAsync(store: store);
        await rig.AddAsync("c1", "first");
        await rig.Backend.NextAsync();
        await rig.AddAsync("c1", "second");
        // The thread's next run does not wait for the handler.
        await rig.Backend.NextAsync();

        Assert.Equal("first", (await rig.Handler.NextReplyAsync()).Text);
        Assert.Equal("second", (await rig.Handler.NextReplyAsync()).Text);
        Assert.Equal(2, rig.Backend.Runs.Count);
        Assert.Equal([rig.Options.Backoff.Delay, 2 * rig.Options.Backoff.Delay], pauses);
    }

    [Fact]
    public async Task Handler_ThatFailsUntilTheDeliveryIsTooOld_LeavesTheReplyInTheFailedStore()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        rig.Options.DeliveryMaxAge = TimeSpan.FromMilliseconds(200);
        rig.Handler.Reply = (_, _) => throw new InvalidOperationException("for ever");
        var abandoned = new TaskCompletionSource();
        var store = rig.Connect();
        store.After = method =>
        {
            if (method == nameof(IQueueStore.AbandonDeliveryAsync))
            {
                abandoned.TrySetResult();
            }
        };
        await rig.StartWorkerAsync(store: store);
        await rig.AddAsync("c1", "hi");
        await abandoned.Task.WaitAsync(TestTimes.Patience);
        await rig.StopWorkersAsync();
        var failed = new List<string>();
        await foreach (var one in rig.Store.Failed.ListAsync(default))
        {
            failed.Add(one);
        }

        Assert.Equal(FailureKind.Delivery, JsonSerializer.Deserialize(Assert.Single(failed), StoreJson.Failure)!.Kind);
        var log = Assert.Single(rig.Logged(LogLevel.Error));
        Assert.Contains("could not be delivered", log.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Handlers_ThatAreSlow_HoldUpNoRun()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        rig.Options.Concurrency = 1;
        var go = new TaskCompletionSource();
        rig.Handler.Reply = (_, token) => go.Task.WaitAsync(token);
        await rig.StartWorkerAsync();
        for (var i = 0; i < 12; i++)
        {
            await rig.AddAsync($"c{i}", "hi");
        }

        for (var i = 0; i < 12; i++)
        {
            await rig.Backend.NextAsync();
        }

        go.SetResult();
        for (var i = 0; i < 12; i++)
        {
            await rig.Handler.NextReplyAsync();
        }
    }
}
