using AssistantQueue.IntegrationTests.Redis;
using AssistantQueue.Redis;
using AssistantQueue.Store;
using AssistantQueue.Tests.OpenAIBackends;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging.Abstractions;
using StackExchange.Redis;

namespace AssistantQueue.IntegrationTests.Store;

/// <summary><c>Durability = Replicas(n)</c>: an enqueue completes when n replicas have the message, and not before, whatever happens to the connection.</summary>
public sealed class DurabilityTests : IAsyncLifetime
{
    private readonly AssistantQueueOptions _options = new() { QueuePrefix = "d", Durability = Durability.Replicas(1) };
    private RedisInstance _primary = null!;
    private RedisInstance _replica = null!;
    private ConnectionMultiplexer _toPrimary = null!;
    private ConnectionMultiplexer _toReplica = null!;
    private RedisQueueStore _store = null!;

    public async Task InitializeAsync()
    {
        if (!ProcessRedis.IsInstalled)
        {
            return;
        }

        _primary = await RedisInstance.StartDedicatedAsync(new RedisInstanceOptions { Kind = RedisKind.Process, Arguments = ["--repl-diskless-sync-delay", "0"] });
        var port = _primary.ConnectionString.Split(',')[0].Split(':')[1];
        _replica = await RedisInstance.StartDedicatedAsync(new RedisInstanceOptions { Kind = RedisKind.Process, Arguments = ["--replicaof", "127.0.0.1", port] });
        _toPrimary = await _primary.ConnectAsync();
        _toReplica = await _replica.ConnectAsync();
        _store = new RedisQueueStore(Connect(), () => _options, TimeProvider.System, Connect);
    }

    public async Task DisposeAsync()
    {
        if (_store is not null)
        {
            await _store.DisposeAsync();
            await _toReplica.DisposeAsync();
            await _toPrimary.DisposeAsync();
            await _replica.DisposeAsync();
            await _primary.DisposeAsync();
        }
    }

    [RedisServerFact]
    public async Task Enqueue_ReplicaIsThere_CompletesWhenTheReplicaHasTheMessage()
    {
        var outcome = await EnqueueAsync();

        Assert.Equal(EnqueueStatus.Stored, outcome.Status);
        Assert.Equal(1, (int)await Server(_toReplica).ExecuteAsync("LLEN", "{d:0}:messages:c1"));
    }

    [RedisServerFact]
    public async Task Enqueue_OverTheAppsMultiplexer_WaitsOnAConnectionOfTheQueuesOwn()
    {
        var builder = Host.CreateApplicationBuilder();
        builder.Services.AddSingleton<IConnectionMultiplexer>(_toPrimary);
        builder.Services.AddAssistantMessageQueue(options => (options.QueuePrefix, options.Durability) = ("d", Durability.Replicas(1))).ProducerOnly();
        using var host = builder.Build();
        await host.StartAsync();

        await host.Services.GetRequiredService<IAssistantMessageQueue>().EnqueueAsync(new AssistantMessage { ThreadId = "c1", Text = "hi" });

        Assert.Equal(1, (int)await Server(_toReplica).ExecuteAsync("LLEN", "{d:0}:messages:c1"));
        Assert.Contains(await Server(_toPrimary).ClientListAsync(), client => client.Name == "AssistantQueue");
        await host.StopAsync();
    }

    [RedisServerFact]
    public async Task Enqueue_ReplicaStandsStill_WaitsForItAndStoresOnce()
    {
        await EnqueueAsync();
        await _replica.PauseAsync();
        var stored = new TaskCompletionSource();
        await using var watch = await _store.SubscribeToThreadAsync("c1", _ => stored.TrySetResult(), default);

        var enqueue = EnqueueAsync();
        await stored.Task;
        Assert.False(enqueue.IsCompleted);
        await _replica.ResumeAsync();

        Assert.Equal(EnqueueStatus.Stored, (await enqueue).Status);
        Assert.Equal(2, await _toPrimary.GetDatabase().ListLengthAsync("{d:0}:messages:c1"));
        Assert.Equal(2, (int)await Server(_toReplica).ExecuteAsync("LLEN", "{d:0}:messages:c1"));
    }

    [RedisServerFact]
    public async Task Enqueue_ConnectionCutWhileTheReplicaStandsStill_ANewConnectionsAnswerIsNotBelieved()
    {
        await EnqueueAsync();
        await _replica.PauseAsync();
        var stored = new TaskCompletionSource();
        await using var watch = await _store.SubscribeToThreadAsync("c1", announcement => { if (announcement is not null) stored.TrySetResult(); }, default);

        var enqueue = EnqueueAsync();
        await stored.Task;
        // All but this one: the enqueue's connection with its WAIT is among them, and comes back without writes of its own.
        await Server(_toPrimary).ExecuteAsync("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
        var connected = await NextConnectionAsync();
        Assert.True(connected);
        Assert.False(enqueue.IsCompleted);
        await _replica.ResumeAsync();

        Assert.Equal(EnqueueStatus.Stored, (await enqueue).Status);
        Assert.Equal(2, await _toPrimary.GetDatabase().ListLengthAsync("{d:0}:messages:c1"));
        Assert.Equal(2, (int)await Server(_toReplica).ExecuteAsync("LLEN", "{d:0}:messages:c1"));
    }

    [RedisServerFact]
    public async Task Enqueue_ClientIdsAroundTheWaitDifferOnce_IsRepeatedAndStoredOnce()
    {
        var ids = new ClientIds { Differ = number => number == 1 };
        await using var store = new RedisQueueStore(Connect(), () => _options, TimeProvider.System, () => Given(ids.On(_toPrimary)));

        var outcome = await EnqueueAsync(store);

        Assert.Equal((EnqueueStatus.Stored, 2), (outcome.Status, ids.Pairs));
        Assert.Equal(1, await _toPrimary.GetDatabase().ListLengthAsync("{d:0}:messages:c1"));
    }

    [RedisServerFact]
    public async Task Enqueue_ClientIdsAroundTheWaitAlwaysDiffer_SaysThatItDoesNotKnow()
    {
        var clock = new HurriedTime();
        var ids = new ClientIds { Differ = _ => true };
        await using var store = new RedisQueueStore(Connect(), () => _options, clock, () => Given(ids.On(_toPrimary)));

        var told = await Assert.ThrowsAsync<EnqueueOutcomeUnknownException>(() => EnqueueAsync(store));

        Assert.Contains("cut while replicas were waited for", told.InnerException!.Message, StringComparison.Ordinal);
        Assert.Equal(1, await _toPrimary.GetDatabase().ListLengthAsync("{d:0}:messages:c1"));
    }

    // The store answers again: its connections are there, and a repetition is on its way or waiting.
    private async Task<bool> NextConnectionAsync()
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (!patience.IsCancellationRequested)
        {
            try
            {
                return (await _store.GetStatusAsync(patience.Token)).WaitingCount + (await _store.GetStatusAsync(patience.Token)).DelayedCount == 2;
            }
            catch (StoreUnavailableException)
            {
                // Not yet; each call waits for the connection by itself.
            }
        }

        return false;
    }

    private Task<EnqueueOutcome> EnqueueAsync() => EnqueueAsync(_store);

    private static Task<EnqueueOutcome> EnqueueAsync(RedisQueueStore store) =>
        store.EnqueueAsync(new EnqueueUnit("c1", [new NewMessage("m", false, """{"id":"m","text":"hi"}""", 2, null, false)]), default);

    private RedisConnection Connect() => RedisConnection.Own("", _primary.ConnectionString, TimeSpan.FromSeconds(30), TimeProvider.System, NullLogger.Instance);

    private static RedisConnection Given(IConnectionMultiplexer multiplexer) =>
        RedisConnection.Given("", () => multiplexer, TimeSpan.FromSeconds(30), TimeProvider.System, NullLogger.Instance);

    private static IServer Server(ConnectionMultiplexer multiplexer) => multiplexer.GetServer(multiplexer.GetEndPoints()[0]);
}
