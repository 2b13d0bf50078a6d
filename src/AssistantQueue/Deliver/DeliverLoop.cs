using AssistantQueue.Diagnostics;
using AssistantQueue.Store;
using AssistantQueue.Waiting;
using Microsoft.Extensions.Logging;

namespace AssistantQueue.Deliver;

/// <summary>Claims open deliveries of one partition and hands each to the deliver step: when told by a completion or a look, and now and then to be safe.</summary>
internal sealed class DeliverLoop : IDisposable
{
    // Who opened or postponed a delivery looks itself, in time.
    private static readonly TimeSpan BehindOthers = TimeSpan.FromMilliseconds(250);

    private readonly int _partition;
    private readonly string _workerId;
    private readonly IQueueStore _store;
    private readonly DeliverSlots _slots;
    private readonly LookTimer _look;
    private readonly DueTimer.Entry _expected;
    private readonly Action<OpenDelivery> _deliver;
    private readonly ILogger _log;
    private readonly Every _errors;

    /// <param name="partition">The partition.</param>
    /// <param name="workerId">The worker.</param>
    /// <param name="store">The store.</param>
    /// <param name="slots">How many deliveries may be under way in the process.</param>
    /// <param name="timer">Wakes the loop.</param>
    /// <param name="time">The clock.</param>
    /// <param name="log">The log.</param>
    /// <param name="deliver">Delivers; returns at once, and returns the slot when it is done.</param>
    public DeliverLoop(
        int partition,
        string workerId,
        IQueueStore store,
        DeliverSlots slots,
        DueTimer timer,
        TimeProvider time,
        ILogger log,
        Action<OpenDelivery> deliver)
    {
        _partition = partition;
        _workerId = workerId;
        _store = store;
        _slots = slots;
        _look = new LookTimer(timer, time);
        _expected = timer.Add(() => _look.Wake());
        _deliver = deliver;
        _log = log;
        _errors = new Every(TimeSpan.FromMinutes(1), time);
    }

    /// <summary>Asks for a look after a time, or sooner.</summary>
    public void Wake(TimeSpan due = default) => _look.Wake(due);

    /// <summary>Says when a delivery will be due, or another worker's lease of one ends, as far as the last renewal knows, unless the next one says otherwise.</summary>
    public void Expect(TimeSpan? due) => _expected.Change(due + BehindOthers);

    /// <summary>Runs rounds until told to stop.</summary>
    public Task RunAsync(CancellationToken stopping) => _look.RunAsync(RoundAsync, OnFailed, stopping);

    /// <summary>Looks and claims once.</summary>
    /// <returns>How long until the next look, if nothing wakes the loop before.</returns>
    internal async Task<TimeSpan> RoundAsync()
    {
        var free = _slots.Take(this);
        if (free == 0)
        {
            return SafetyLook();
        }

        var used = 0;
        DeliveryClaim claim;
        try
        {
            claim = await _store.ClaimDeliveriesAsync(_partition, _workerId, free, CancellationToken.None);
            _errors.Reset();
            foreach (var delivery in claim.Deliveries)
            {
                used++;
                _deliver(delivery);
            }
        }
        finally
        {
            _slots.Return(free - used);
        }

        var safety = SafetyLook();
        return claim.NextLook is { } next && next < safety
            ? (used == 0 && next <= TimeSpan.Zero ? TimeSpan.FromMilliseconds(50) : next)
            : safety;
    }

    /// <summary>Looks once more before the host stops.</summary>
    public async Task LastRoundAsync()
    {
        try
        {
            await RoundAsync();
        }
        catch (Exception e)
        {
            // The next worker delivers them.
            Log.DeliveryClaimFailed(_log, _partition, e);
        }
    }

    public void Dispose()
    {
        _expected.Dispose();
        _look.Dispose();
    }

    // What a lost answer claimed is open again at the end of its lease.
    private void OnFailed(Exception e)
    {
        if (_errors.IsTime())
        {
            Log.DeliveryClaimFailed(_log, _partition, e);
        }
    }

    // Looks for due threads carry the time of the next delivery, so this one is only for the case that they rest.
    private TimeSpan SafetyLook() =>
        TimeSpan.FromSeconds(Math.Max(15, 4 * _store.Partitions) * (0.5 + Random.Shared.NextDouble()));
}
