using AssistantQueue.Diagnostics;
using AssistantQueue.Store;
using AssistantQueue.Waiting;
using Microsoft.Extensions.Logging;
using Polly;

namespace AssistantQueue.Claim;

/// <summary>Looks for due threads of one partition and claims up to the free slots: when something is due, when woken, when a slot became free, and now and then to be safe.</summary>
internal sealed class ClaimLoop : IDisposable
{
    private readonly int _partition;
    private readonly string _workerId;
    private readonly IQueueStore _store;
    private readonly RunSlots _slots;
    private readonly Func<AssistantQueueOptions> _options;
    private readonly LookTimer _look;
    private readonly DueTimer.Entry _expected;
    private readonly ILogger _log;
    private readonly ResiliencePipeline _untilAnswered;
    private readonly Action<ClaimedBatch, SlotGrant> _run;
    private readonly Action<int, TimeSpan> _deliveryDue;
    private readonly Action _probeUnused;
    private readonly Every _errors;
    private bool _hasSuspects;
    private bool _isKnownFull;

    /// <param name="partition">The partition.</param>
    /// <param name="workerId">The worker.</param>
    /// <param name="store">The store.</param>
    /// <param name="slots">How many runs may begin.</param>
    /// <param name="options">The settings as they are now.</param>
    /// <param name="timer">Wakes the loop.</param>
    /// <param name="time">The clock.</param>
    /// <param name="log">The log.</param>
    /// <param name="run">The next step; returns at once, and returns the slot when the run is over.</param>
    /// <param name="deliveryDue">Told when a delivery of the partition is due.</param>
    /// <param name="probeUnused">Told when a probe found nothing to run.</param>
    public ClaimLoop(
        int partition,
        string workerId,
        IQueueStore store,
        RunSlots slots,
        Func<AssistantQueueOptions> options,
        DueTimer timer,
        TimeProvider time,
        ILogger log,
        Action<ClaimedBatch, SlotGrant> run,
        Action<int, TimeSpan> deliveryDue,
        Action probeUnused)
    {
        _partition = partition;
        _workerId = workerId;
        _store = store;
        _slots = slots;
        _options = options;
        _look = new LookTimer(timer, time);
        _expected = timer.Add(() => _look.Wake());
        _log = log;
        _run = run;
        _deliveryDue = deliveryDue;
        _probeUnused = probeUnused;
        _errors = new Every(TimeSpan.FromMinutes(1), time);
        _untilAnswered = StoreRetry.UntilAnswered(time, OnUnanswered);
    }

    /// <summary>Asks for a look after a time, or sooner.</summary>
    public void Wake(TimeSpan due = default) => _look.Wake(due);

    /// <summary>Says when something will be due as far as the last renewal knows, unless the next one says otherwise; null: nothing is.</summary>
    /// <remarks>
    /// A claim tells other workers nothing of its leases. While their owner lives, each renewal moves this time before it comes, and it costs nothing;
    /// when the owner died it comes, whatever the safety look's interval is.
    /// </remarks>
    public void Expect(TimeSpan? due) => _expected.Change(due + NextLook.BehindTimekeeper);

    /// <summary>Runs rounds until told to stop; a claim that is under way then is awaited, so that what it gave is not left to the end of its lease.</summary>
    public Task RunAsync(CancellationToken stopping) => _look.RunAsync(() => RoundAsync(stopping), OnFailed, stopping);

    /// <summary>Looks and claims once.</summary>
    /// <returns>How long until the next look, if nothing wakes the loop before.</returns>
    internal async Task<TimeSpan> RoundAsync(CancellationToken stopping)
    {
        var grant = _slots.Take(_partition, _options().Concurrency, _hasSuspects);
        if (grant.Count == 0)
        {
            if (!_isKnownFull)
            {
                // Says so once, so that somebody else is woken for what is due.
                await LookAsync(grant, stopping);
                _isKnownFull = true;
            }

            return SafetyLook();
        }

        var used = 0;
        ClaimOutcome outcome;
        try
        {
            outcome = await LookAsync(grant, stopping);
            _isKnownFull = false;
            foreach (var batch in outcome.Batches)
            {
                used++;
                _run(batch, grant);
            }
        }
        finally
        {
            if (grant.Count > used)
            {
                _slots.Return(grant, grant.Count - used);
            }

            if (grant.IsProbe && used == 0)
            {
                _probeUnused();
            }
        }

        return NextLook.After(outcome, SafetyLook());
    }

    public void Dispose()
    {
        _expected.Dispose();
        _look.Dispose();
    }

    private async Task<ClaimOutcome> LookAsync(SlotGrant grant, CancellationToken stopping)
    {
        // The same token until there is an answer: what a lost answer gave is given again.
        var request = new ClaimRequest(_partition, _workerId, Guid.NewGuid().ToString("N"), grant.Count, grant.Free, grant.IsSuspect);
        var outcome = await _untilAnswered.ExecuteAsync(
            static async (call, _) => await call._store.ClaimAsync(call.request, CancellationToken.None),
            (_store, request),
            stopping);
        _errors.Reset();
        _hasSuspects = outcome.SuspectsDue > 0;
        foreach (var threadId in outcome.ForeignThreads)
        {
            Log.ForeignThread(_log, threadId);
        }

        if (outcome.NextDelivery is { } delivery)
        {
            _deliveryDue(_partition, delivery);
        }

        return outcome;
    }

    // not: every 5 s
    // but: workers start together after a deploy; half to one-and-a-half intervals keeps the average and breaks the rhythm.
    // With many partitions the interval grows, so that an idle worker asks less than once in three seconds in all.
    private TimeSpan SafetyLook() =>
        TimeSpan.FromSeconds(Math.Max(5, 3 * _store.Partitions) * (0.5 + Random.Shared.NextDouble()));

    // A fault of ours or an answer that nobody expected: said once a minute, and tried again.
    private void OnFailed(Exception e)
    {
        if (_errors.IsTime())
        {
            Log.ClaimFailed(_log, _partition, e);
        }
    }

    private void OnUnanswered(Exception e)
    {
        if (_errors.IsTime())
        {
            Log.ClaimUnanswered(_log, _partition, e);
        }
    }
}
