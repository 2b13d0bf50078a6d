using System.Text.Json;
using System.Threading.Channels;
using AssistantQueue.Deliver;
using AssistantQueue.Diagnostics;
using AssistantQueue.Enqueue;
using AssistantQueue.Redis;
using AssistantQueue.Run;
using AssistantQueue.Store;
using AssistantQueue.Watch;
using AssistantQueue.Worker;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging.Testing;
using Microsoft.Extensions.Logging;
using StackExchange.Redis;

namespace AssistantQueue.Tests.Worker;

/// <summary>Workers on one queue of a real store, each with a connection of its own, with a test's backend and handler.</summary>
internal class WorkerRig : IAsyncDisposable
{
    private readonly string _redis;
    private readonly List<IAsyncDisposable> _connections = [];
    private readonly List<AssistantQueueWorker> _workers = [];
    private readonly ServiceProvider _services = new ServiceCollection().BuildServiceProvider();
    private readonly Channel<RunSignal> _signals = Channel.CreateUnbounded<RunSignal>();
    private readonly QueueMetrics _metrics = new("");

    public WorkerRig(string redis, int partitions = 1)
    {
        _redis = redis;
        Options.Partitions = partitions;
        Options.QueuePrefix = "worker-" + Guid.NewGuid().ToString("N")[..8];
        Options.Backoff = new BackoffOptions { Delay = TimeSpan.FromMilliseconds(50), UseJitter = false };
        Store = Connect();
    }

    public AssistantQueueOptions Options { get; } = new();

    public TestBackend Backend { get; } = new();

    public TestHandler Handler { get; } = new();

    /// <summary>The workers' tools.</summary>
    public List<AIFunction> Tools { get; } = [];

    public FakeLogger<AssistantQueueWorker> Log { get; } = new();

    /// <summary>The test's own way to the queue.</summary>
    public IQueueStore Store { get; }

    /// <param name="time">The clock of the process that connects; null is the system's.</param>
    public TroubledStore Connect(TimeProvider? time = null)
    {
        var connection = RedisConnection.Own("", _redis, TimeSpan.FromSeconds(5), time ?? TimeProvider.System, Log);
        connection.Start();
        var store = new TroubledStore(new RedisQueueStore(connection, () => Options, time ?? TimeProvider.System));
        store.Signalled = signal => _signals.Writer.TryWrite(signal);
        _connections.Add(store);
        _connections.Add(connection);
        return store;
    }

    /// <summary>Starts one more worker.</summary>
    /// <param name="shutdown">The host's shutdown time.</param>
    /// <param name="store">The worker's store; null connects anew.</param>
    /// <param name="handler">Its handler; null is the rig's.</param>
    /// <param name="backend">Its backend; null is the rig's.</param>
    /// <param name="time">Its clock; null is the system's.</param>
    public async Task<AssistantQueueWorker> StartWorkerAsync(
        TimeSpan? shutdown = null, IQueueStore? store = null, IAssistantReplyHandler? handler = null, IAssistantBackend? backend = null, TimeProvider? time = null)
    {
        var dispatcher = new HandlerDispatcher(_services.GetRequiredService<IServiceScopeFactory>(), _ => [handler ?? Handler], hasHandlers: true, Log);
        var worker = new AssistantQueueWorker(
            "", store ?? Connect(time), backend ?? Backend, new ToolSet("", Tools), new ToolCaller(_services.GetRequiredService<IServiceScopeFactory>(), TimeProvider.System, Log),
            () => Options, dispatcher, _metrics, time ?? TimeProvider.System, Log, new NoLifetime(), shutdown ?? TimeSpan.FromSeconds(30));
        _workers.Add(worker);
        await worker.StartAsync(CancellationToken.None);
        return worker;
    }

    /// <summary>Waits until a worker was told that newer messages of the thread want something of its run.</summary>
    public async Task WishedAsync(string thread)
    {
        while (await _signals.Reader.ReadAsync().AsTask().WaitAsync(TestTimes.Patience) is var signal && (signal.ThreadId != thread || signal.Wish == RunWish.None))
        {
        }
    }

    /// <summary>Adds messages as the app does.</summary>
    public AssistantMessageQueue Queue(IQueueStore? store = null)
    {
        var mine = store ?? Store;
        var (updates, outcomes) = (new ThreadSubscriptions(mine.SubscribeToThreadAsync), new ThreadSubscriptions(mine.SubscribeToOutcomesAsync));
        return new AssistantMessageQueue(
            "", mine, () => Options, new ReplyWaiter(mine, outcomes, TimeProvider.System), new ThreadWatcher(mine, updates, () => Options, TimeProvider.System, Log), _metrics);
    }

    public Task<StoredReceipt> AddAsync(string thread, string text, int delayMs = 0, string? instructions = null) =>
        AddRawAsync(thread, JsonSerializer.Serialize(new StoredMessage { MessageId = "id-" + text, Text = text, Instructions = instructions }, StoreJson.Message), "id-" + text, delayMs);

    public async Task<StoredReceipt> AddRawAsync(string thread, string body, string id = "raw", int delayMs = 0)
    {
        var message = new NewMessage(id, false, body, body.Length, TimeSpan.FromMilliseconds(delayMs), false);
        return (await Store.EnqueueAsync(new EnqueueUnit(thread, [message]), CancellationToken.None)).Receipts[0];
    }

    /// <summary>Claims what is due as a worker that is then never heard of again.</summary>
    public async Task<ClaimOutcome> ClaimAsDyingWorkerAsync(bool suspects = false) =>
        await Store.ClaimAsync(new ClaimRequest(0, "dead-" + Guid.NewGuid().ToString("N"), Guid.NewGuid().ToString("N"), 1, 1, suspects), CancellationToken.None);

    /// <summary>Gets what the names of the keys begin with.</summary>
    public string Keys => $"{{{Options.QueuePrefix}:0}}";

    /// <summary>The test's own way to the keys.</summary>
    public Task<ConnectionMultiplexer> ToRedisAsync() => ConnectionMultiplexer.ConnectAsync(_redis + ",allowAdmin=true");

    /// <summary>Ends every lease and every worker's record, as time would; Redis' clock can't be moved.</summary>
    public Task EndLeasesAsync() => EndAsync("leases", "workers");

    /// <summary>Ends every pause, as time would.</summary>
    public Task EndPausesAsync() => EndAsync("due");

    private async Task EndAsync(params string[] sets)
    {
        await using var connection = await ConnectionMultiplexer.ConnectAsync(_redis);
        foreach (var key in sets.Select(set => $"{{{Options.QueuePrefix}:0}}:{set}"))
        {
            foreach (var member in await connection.GetDatabase().SortedSetRangeByRankAsync(key))
            {
                await connection.GetDatabase().SortedSetAddAsync(key, member, 1);
            }
        }
    }

    /// <summary>The members of one of the first partition's sorted sets.</summary>
    public async Task<string[]> MembersAsync(string set)
    {
        await using var connection = await ConnectionMultiplexer.ConnectAsync(_redis);
        return [.. (await connection.GetDatabase().SortedSetRangeByRankAsync($"{{{Options.QueuePrefix}:0}}:{set}")).Select(member => (string)member!)];
    }

    public async Task StopWorkersAsync()
    {
        foreach (var worker in _workers)
        {
            await worker.StopAsync(CancellationToken.None);
            worker.Dispose();
        }

        _workers.Clear();
    }

    public IReadOnlyList<FakeLogRecord> Logged(LogLevel level) => [.. Log.Collector.GetSnapshot().Where(r => r.Level >= level)];

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        await StopWorkersAsync();
        foreach (var connection in _connections)
        {
            await connection.DisposeAsync();
        }

        _metrics.Dispose();
        await _services.DisposeAsync();
    }

    private sealed class NoLifetime : IHostApplicationLifetime
    {
        public CancellationToken ApplicationStarted => default;

        public CancellationToken ApplicationStopping => default;

        public CancellationToken ApplicationStopped => default;

        public void StopApplication()
        {
        }
    }
}
