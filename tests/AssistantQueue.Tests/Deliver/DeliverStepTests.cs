using System.Text.Json;
using AssistantQueue.Deliver;
using AssistantQueue.Diagnostics;
using AssistantQueue.Leases;
using AssistantQueue.Store;
using AssistantQueue.Tests.Worker;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace AssistantQueue.Tests.Deliver;

/// <summary>One delivery whose host leaves while its handler works and doesn't look at its token, and one that nobody can read.</summary>
public sealed class DeliverStepTests : IAsyncLifetime
{
    private static readonly string Reply = JsonSerializer.Serialize(
        new AssistantReply { ThreadId = "c1", BatchId = "b", Text = "hi", MessageIds = ["id-hi"], FirstSequence = 1, LastSequence = 1 }, StoreJson.Reply);

    private readonly CancellationTokenSource _leaving = new();
    private readonly CancellationTokenSource _over = new();
    private readonly TaskCompletionSource _working = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _ends = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly List<string> _calls = [];
    private readonly QueueMetrics _metrics = new("");
    private readonly ServiceProvider _services = new ServiceCollection().BuildServiceProvider();
    private WorkerRig _rig = null!;

    [Fact]
    public async Task Deliver_HostLeavesAndTheHandlerGoesOn_IsClosedWhenItHasEnded()
    {
        var delivering = await BeginAsync(Reply);
        await _working.Task.WaitAsync(TestTimes.Patience);
        await _leaving.CancelAsync();
        _ends.SetResult();

        await delivering.WaitAsync(TestTimes.Patience);

        Assert.Equal([nameof(IQueueStore.CloseDeliveryAsync)], _calls);
    }

    [Fact]
    public async Task Deliver_HostLeavesAndTheHandlerNeverEnds_IsLeftToItsLease()
    {
        var delivering = await BeginAsync(Reply);
        await _working.Task.WaitAsync(TestTimes.Patience);
        await _leaving.CancelAsync();
        await _over.CancelAsync();

        await delivering.WaitAsync(TestTimes.Patience);

        Assert.Empty(_calls);
        Assert.Contains(_rig.Logged(LogLevel.Warning), r => r.Message.Contains("although it was told to stop", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("no JSON")]
    [InlineData("null")]
    public async Task Deliver_ReplyThatCanNotBeRead_IsGivenUpAtOnceAndSaysSo(string reply)
    {
        await (await BeginAsync(reply)).WaitAsync(TestTimes.Patience);

        Assert.Equal([nameof(IQueueStore.AbandonDeliveryAsync)], _calls);
        await foreach (var json in _rig.Store.Failed.ListAsync(default))
        {
            var failure = JsonSerializer.Deserialize(json, StoreJson.Failure)!;
            Assert.Equal((FailureKind.Delivery, "The stored reply can't be read, so no handler was called with it."), (failure.Kind, failure.Error));
        }

        Assert.False(_working.Task.IsCompleted);
        Assert.Contains("can't be read", Assert.Single(_rig.Logged(LogLevel.Error)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Deliver_HandlerWhoseConstructorThrowsJsonException_IsPostponedLikeAnyThatFails()
    {
        await using var services = new ServiceCollection()
            .AddScoped<IAssistantReplyHandler>(_ => throw new JsonException("The handler's own settings can't be read."))
            .BuildServiceProvider();

        await (await BeginAsync(Reply, services)).WaitAsync(TestTimes.Patience);

        Assert.Equal([nameof(IQueueStore.PostponeDeliveryAsync)], _calls);
    }

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        _ends.TrySetResult();
        await _rig.DisposeAsync();
        await _services.DisposeAsync();
        _metrics.Dispose();
        _leaving.Dispose();
        _over.Dispose();
    }

    /// <param name="reply">What is stored.</param>
    /// <param name="services">What makes the handlers; null when the test's own is called.</param>
    private async Task<Task> BeginAsync(string reply, ServiceProvider? services = null)
    {
        _rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        await _rig.AddAsync("c1", "hi");
        var batch = Assert.Single((await _rig.ClaimAsDyingWorkerAsync()).Batches);
        await _rig.Store.CompleteAsync(batch.Lease, new CompleteWrite(reply, [], OpenDelivery: true, Keep: false), default);
        var delivery = Assert.Single((await _rig.Store.ClaimDeliveriesAsync(0, "w1", 1, default)).Deliveries);
        var store = _rig.Connect();
        store.After = _calls.Add;
        var handler = new TestHandler
        {
            Reply = (_, _) =>
            {
                _working.TrySetResult();
                return _ends.Task;
            },
        };
        var dispatcher = new HandlerDispatcher(
            (services ?? _services).GetRequiredService<IServiceScopeFactory>(),
            scope => services is null ? [handler] : scope.GetServices<IAssistantReplyHandler>(),
            hasHandlers: true,
            _rig.Log);
        var step = new DeliverStep("", store, dispatcher, () => _rig.Options, _metrics, TimeProvider.System, _rig.Log);
        var held = new HeldLease(delivery.Lease, TimeProvider.System, () => _rig.Options.LockDuration);
        return step.DeliverAsync(delivery, held, _leaving.Token, _over.Token);
    }
}
