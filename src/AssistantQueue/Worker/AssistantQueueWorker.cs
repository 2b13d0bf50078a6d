using AssistantQueue.Claim;
using AssistantQueue.Deliver;
using AssistantQueue.Diagnostics;
using AssistantQueue.Finish;
using AssistantQueue.Leases;
using AssistantQueue.Outcomes;
using AssistantQueue.Run;
using AssistantQueue.Store;
using AssistantQueue.Waiting;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Polly;

namespace AssistantQueue.Worker;

/// <summary>Joins the steps of one queue in this process: claims, runs, finishes and delivers, and stops them in order.</summary>
/// <remarks>The steps don't know each other; each gets the next one from here.</remarks>
internal sealed class AssistantQueueWorker : BackgroundService
{
    private static readonly TimeSpan FirstSubscribePause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LongestSubscribePause = TimeSpan.FromSeconds(30);

    // What only tidies up waits for Redis no longer than this.
    private static readonly TimeSpan LastWords = TimeSpan.FromSeconds(1);

    private readonly string _workerId = $"{Environment.MachineName}-{Environment.ProcessId}-{Guid.NewGuid():N}"[..^24];
    private readonly string _queueName;
    private readonly IQueueStore _store;
    private readonly HandlerDispatcher _dispatcher;
    private readonly QueueMetrics _metrics;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly StopClock _stopClock;
    private readonly StopStages _stop = new();
    private readonly DueTimer _timer;
    private readonly BackendPause _pause;
    private readonly RunSlots _slots;
    private readonly DeliverSlots _deliverSlots;
    private readonly LiveReplies _lives = new();
    private readonly RunStep _run;
    private readonly FinishStep _finish;
    private readonly DeliverStep _deliver;
    private readonly LeaseRenewer[] _renewers;
    private readonly ClaimLoop[] _claims;
    private readonly DeliverLoop[] _deliveries;
    private readonly TaskTracker _runs = new();
    private readonly TaskTracker _handlers = new();
    private readonly CancellationTokenSource _deliveriesStop = new();
    private Task _delivering = Task.CompletedTask;
    private Task _resting = Task.CompletedTask;
    private Task _unsubscribing = Task.CompletedTask;
    private IAsyncDisposable? _signals;
    private readonly CancellationTokenRegistration _onHostStopping;

    /// <param name="queueName">The queue's name; empty for the unnamed queue.</param>
    /// <param name="store">The store; owned by the container.</param>
    /// <param name="backend">Runs the batches.</param>
    /// <param name="tools">What the model may call.</param>
    /// <param name="caller">Calls it.</param>
    /// <param name="options">The settings as they are now.</param>
    /// <param name="dispatcher">Calls the handlers.</param>
    /// <param name="metrics">The queue's numbers.</param>
    /// <param name="time">The clock.</param>
    /// <param name="log">The log.</param>
    /// <param name="lifetime">Says when the host begins to stop; that is when the shutdown time begins to count.</param>
    /// <param name="shutdownTimeout">The host's shutdown time.</param>
    public AssistantQueueWorker(
        string queueName,
        IQueueStore store,
        IAssistantBackend backend,
        ToolSet tools,
        ToolCaller caller,
        Func<AssistantQueueOptions> options,
        HandlerDispatcher dispatcher,
        QueueMetrics metrics,
        TimeProvider time,
        ILogger<AssistantQueueWorker> log,
        IHostApplicationLifetime lifetime,
        TimeSpan shutdownTimeout)
    {
        _queueName = queueName;
        _store = store;
        _dispatcher = dispatcher;
        _metrics = metrics;
        _time = time;
        _log = log;
        _stopClock = new StopClock(shutdownTimeout, time);
        _timer = new DueTimer(time, "AssistantQueue timer");
        _pause = new BackendPause(queueName, _timer, time, log);
        _slots = new RunSlots(_pause, WakeClaim, time);
        _deliverSlots = new DeliverSlots(options);
        _run = new RunStep(queueName, store, backend, tools, caller, options, _stop, _lives, metrics, time, log);
        _finish = new FinishStep(queueName, store, options, _pause, _stop, metrics, time, log, new FinishLinks
        {
            HasHandlers = dispatcher.HasHandlers,
            ThreadDue = (partition, due) => _claims![partition].Wake(due),
            DeliveryOpened = partition => WakeDelivery(partition, TimeSpan.Zero),
            CancelRunAsync = _run.CancelAsync,
            Retrying = attempt => _handlers.Run(() => dispatcher.RetryingAsync(attempt, _stop.Leaving)),
            DeliverUnstoredAsync = result => dispatcher.UnstoredAsync(result, _stop.Leaving),
        });
        _deliver = new DeliverStep(queueName, store, dispatcher, options, metrics, time, log);

        var partitions = Enumerable.Range(0, store.Partitions).ToArray();
        _renewers = [.. partitions.Select(p => new LeaseRenewer(p, _workerId, store, options, _timer, time, metrics, log, OnRenewed))];
        _claims = [.. partitions.Select(p => new ClaimLoop(p, _workerId, store, _slots, options, _timer, time, log, Begin, WakeDelivery, _pause.ProbeUnused))];
        _deliveries = dispatcher.HasHandlers
            ? [.. partitions.Select(p => new DeliverLoop(p, _workerId, store, _deliverSlots, _timer, time, log, Begin))]
            : [];
        _onHostStopping = lifetime.ApplicationStopping.Register(BeginStop);
    }

    public string WorkerId => _workerId;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        // The host may stop this service without ever having announced it.
        await using var onStop = stoppingToken.Register(BeginStop);
        Log.WorkerStarting(_log, _queueName, _workerId, _store.Partitions);
        foreach (var renewer in _renewers)
        {
            renewer.Start();
        }

        _delivering = Task.WhenAll(_deliveries.Select(loop => loop.RunAsync(_deliveriesStop.Token)));
        await Task.WhenAll([SubscribeAsync(), .. _claims.Select(loop => loop.RunAsync(_stop.Stopping))]);
        // Runs may still take a while; who is woken meanwhile should be somebody who claims. Not awaited here: the runs' time is running.
        _resting = LeaveAsync(isGone: false);
    }

    /// <summary>Stops in order: claiming; runs that can be adopted, at once; the other runs and the handlers when their time is over; what they still write; the worker's record.</summary>
    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        BeginStop();
        await base.StopAsync(cancellationToken);
        if (!await _stopClock.WaitAsync(EndWorkAsync(), _stopClock.Leave, cancellationToken))
        {
            Log.WorkerLeaving(_log, _queueName, _runs.Count, _handlers.Count);
        }

        await _deliveriesStop.CancelAsync();
        await _stop.LeaveAsync();
        var rest = RestAsync();
        await _stopClock.WaitAsync(rest, _stopClock.Over, cancellationToken);
        await _stop.EndAsync();
        // What was waiting for the store lets go of it now; nothing here waits for anything else.
        await _stopClock.WaitAsync(rest, _stopClock.Over + TimeSpan.FromMilliseconds(500), CancellationToken.None);

        foreach (var renewer in _renewers)
        {
            renewer.Dispose();
        }

        await _resting;
        await Task.WhenAll(EndSubscriptionsAsync(), LeaveAsync(isGone: true));
        Log.WorkerStopped(_log, _queueName, _workerId);
    }

    public override void Dispose()
    {
        _onHostStopping.Dispose();
        foreach (var disposable in (IEnumerable<IDisposable>)[.. _renewers, .. _claims, .. _deliveries, _timer])
        {
            disposable.Dispose();
        }

        _deliveriesStop.Dispose();
        base.Dispose();
    }

    /// <summary>Waits for the runs, then hands over what they opened: it could wait long for a next worker.</summary>
    private async Task EndWorkAsync()
    {
        await _runs.WhenIdle();
        foreach (var loop in _deliveries)
        {
            await loop.LastRoundAsync();
        }

        await _handlers.WhenIdle();
    }

    /// <summary>What is still under way: runs, and the loops that may hand over one more delivery; then the handlers.</summary>
    private async Task RestAsync()
    {
        await Task.WhenAll(_runs.WhenIdle(), _delivering);
        await _handlers.WhenIdle();
    }

    private void BeginStop()
    {
        _stopClock.Start();
        _ = _stop.StopAsync();
    }

    private async Task SubscribeAsync()
    {
        var errors = new Every(TimeSpan.FromMinutes(1), _time);
        void Say(Exception e)
        {
            if (errors.IsTime())
            {
                Log.SubscribeFailed(_log, _queueName, e);
            }
        }

        var untilAnswered = StoreRetry.UntilAnswered(_time, Say);
        for (var failures = 1; !_stop.Stopping.IsCancellationRequested; failures++)
        {
            try
            {
                await ListenAsync(untilAnswered);
            }
            catch (OperationCanceledException) when (_stop.Stopping.IsCancellationRequested)
            {
                // The host stops.
            }
            catch (Exception e)
            {
                // Whatever it is: without wake-ups the loops still look in time, but new threads wait for the next safety look.
                Say(e);
                await Task.Delay(Backoff.Doubled(failures, FirstSubscribePause, LongestSubscribePause), _time, _stop.Stopping)
                    .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private async Task ListenAsync(ResiliencePipeline untilAnswered)
    {
        var wakeUps = await untilAnswered.ExecuteAsync(async token => await _store.SubscribeToWakeUpsAsync(_workerId, OnWake, token), _stop.Stopping);
        try
        {
            // While runs go on, also after the host began to stop.
            _signals ??= await untilAnswered.ExecuteAsync(async token => await _store.SubscribeToRunSignalsAsync(_workerId, OnSignal, token), _stop.Stopping);
            await Task.Delay(Timeout.InfiniteTimeSpan, _stop.Stopping);
        }
        finally
        {
            var unsubscribing = wakeUps.DisposeAsync().AsTask();
            if (_stop.Stopping.IsCancellationRequested)
            {
                // Not awaited here: a Redis that stands still would take the runs' time.
                _unsubscribing = unsubscribing;
            }
            else
            {
                await unsubscribing;
            }
        }
    }

    private void OnSignal(RunSignal signal)
    {
        if (signal.LiveAfter is { } after)
        {
            _lives.Ask(signal.ThreadId, signal.Fence, after);
        }
        else
        {
            _renewers[_store.PartitionOf(signal.ThreadId)].Wants(signal.ThreadId, signal.Fence, signal.Wish);
        }
    }

    private void OnWake(int partition, TimeSpan due)
    {
        if (partition >= 0 && partition < _claims.Length)
        {
            _claims[partition].Wake(due);
        }
    }

    private void OnRenewed(int partition, RenewOutcome outcome)
    {
        _claims[partition].Expect(outcome.NextLook);
        if (_deliveries.Length > 0)
        {
            _deliveries[partition].Expect(outcome.NextDelivery);
        }
    }

    private void WakeClaim(int partition) => _claims[partition].Wake();

    private void WakeDelivery(int partition, TimeSpan due)
    {
        if (_deliveries.Length > 0)
        {
            _deliveries[partition].Wake(due);
        }
    }

    /// <summary>A claimed batch: held at once, then run and finished on the pool.</summary>
    private void Begin(ClaimedBatch batch, SlotGrant grant)
    {
        _metrics.Claimed(batch.Deaths);
        var held = _renewers[batch.Lease.Partition].Hold(batch.Lease);
        _runs.Run(() => RunBatchAsync(batch, held, grant));
    }

    private async Task RunBatchAsync(ClaimedBatch batch, HeldLease held, SlotGrant grant)
    {
        try
        {
            var outcome = await RunAsync(batch, held, grant);
            await _finish.FinishAsync(batch, held, outcome, grant.IsProbe);
        }
        catch (Exception e)
        {
            // A fault of ours. The lease is not renewed any more, so the thread goes on when it ends.
            Log.BatchBroken(_log, batch.Lease.ThreadId, batch.Lease.BatchId, e);
        }
        finally
        {
            _renewers[batch.Lease.Partition].Drop(held);
            _slots.Return(grant, 1);
        }
    }

    private async Task<RunOutcome> RunAsync(ClaimedBatch batch, HeldLease held, SlotGrant grant)
    {
        try
        {
            return await _run.RunAsync(batch, held);
        }
        catch when (grant.IsProbe)
        {
            // It told nothing about the backend, and while a probe is out nobody else of this process may claim.
            _pause.ProbeUnused();
            throw;
        }
    }

    private void Begin(OpenDelivery delivery)
    {
        var renewer = _renewers[delivery.Lease.Partition];
        var held = renewer.Hold(delivery.Lease);
        _handlers.Run(async () =>
        {
            try
            {
                await _deliver.DeliverAsync(delivery, held, _stop.Leaving, _stop.Over);
            }
            catch (Exception e)
            {
                // The delivery stays open and is repeated when its lease ends.
                Log.DeliveryBroken(_log, delivery.Lease.ThreadId, delivery.BatchId, e);
            }
            finally
            {
                renewer.Drop(held);
                _deliverSlots.Return(1);
                WakeDelivery(delivery.Lease.Partition, TimeSpan.Zero);
            }
        });
    }

    private async Task EndSubscriptionsAsync()
    {
        var ending = Task.WhenAll(_unsubscribing, _signals?.DisposeAsync().AsTask() ?? Task.CompletedTask);
        // What Redis doesn't answer in time ends with the connection.
        await ending.WaitAsync(LastWords, _time).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private async Task LeaveAsync(bool isGone)
    {
        using var limit = new CancellationTokenSource(LastWords, _time);
        try
        {
            await Task.WhenAll(Enumerable.Range(0, _store.Partitions).Select(p => _store.LeaveAsync(p, _workerId, isGone, limit.Token))).WaitAsync(limit.Token);
        }
        catch (Exception e)
        {
            // The record ends by itself.
            Log.LeaveFailed(_log, _queueName, _workerId, e);
        }
    }
}
