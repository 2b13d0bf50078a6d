using System.Text.Json;
using AssistantQueue.Emulators;
using AssistantQueue.Store;
using Microsoft.Extensions.DependencyInjection;

namespace AssistantQueue.Tests.Enqueue;

/// <summary>One embedded Redis for the tests of the producer.</summary>
public sealed class SharedRedis : IAsyncLifetime
{
    public EmbeddedRedis Redis { get; private set; } = null!;

    public async Task InitializeAsync() => Redis = await EmbeddedRedis.StartAsync();

    public async Task DisposeAsync() => await Redis.DisposeAsync();
}

/// <summary>A queue with keys of its own whose batches the test runs by hand.</summary>
internal sealed class TestQueue : IAsyncDisposable
{
    private readonly ServiceProvider _services;
    private readonly string _prefix;
    private readonly string _connectionString;

    public TestQueue(string connectionString, Action<AssistantQueueOptions>? configure = null, string? prefix = null)
    {
        (_connectionString, _prefix) = (connectionString, prefix ?? "t" + Guid.NewGuid().ToString("N"));
        var services = new ServiceCollection();
        services.AddAssistantMessageQueue(o =>
        {
            (o.RedisConnectionString, o.QueuePrefix, o.MessageDelay) = (connectionString, _prefix, TimeSpan.Zero);
            configure?.Invoke(o);
        }).ProducerOnly();
        _services = services.BuildServiceProvider();
    }

    public IAssistantMessageQueue Queue => _services.GetRequiredService<IAssistantMessageQueue>();

    public IQueueStore Store => _services.GetRequiredKeyedService<IQueueStore>("");

    /// <summary>The same queue as another process would see it.</summary>
    public TestQueue Elsewhere() => new(_connectionString, prefix: _prefix);

    public async Task<ClaimedBatch> ClaimAsync()
    {
        var outcome = await Store.ClaimAsync(new ClaimRequest(0, "w", Guid.NewGuid().ToString("N"), 1, 1, Suspects: false), default);
        return Assert.Single(outcome.Batches);
    }

    public async Task<string> ReplyAsync(ClaimedBatch batch, string text)
    {
        var reply = new AssistantReply
        {
            ThreadId = batch.Lease.ThreadId,
            BatchId = batch.Lease.BatchId,
            Text = text,
            MessageIds = IdsOf(batch),
            FirstSequence = batch.FirstSequence,
            LastSequence = batch.LastSequence,
        };
        var answer = await Store.CompleteAsync(batch.Lease, new CompleteWrite(JsonSerializer.Serialize(reply, StoreJson.Reply), [], OpenDelivery: false, Keep: false, [.. batch.Entries.Select(e => e.Sequence)]), default);
        Assert.Equal(FinishAnswer.Applied, answer);
        return batch.Lease.BatchId;
    }

    public async Task FailAsync(ClaimedBatch batch, string error)
    {
        var failure = new FailedBatch
        {
            ThreadId = batch.Lease.ThreadId,
            BatchId = batch.Lease.BatchId,
            Kind = FailureKind.Permanent,
            Error = error,
            MessageIds = IdsOf(batch),
            FirstSequence = batch.FirstSequence,
            LastSequence = batch.LastSequence,
        };
        var write = new FailWrite(JsonSerializer.Serialize(failure, StoreJson.Failure), FailureKind.Permanent, [], OpenDelivery: false);
        Assert.Equal(FinishAnswer.Applied, await Store.FailAsync(batch.Lease, write, default));
    }

    public static List<string> IdsOf(ClaimedBatch batch) => [.. batch.Entries.Select(e => JsonSerializer.Deserialize(e.Body, StoreJson.Message)!.MessageId)];

    public ValueTask DisposeAsync() => _services.DisposeAsync();
}
