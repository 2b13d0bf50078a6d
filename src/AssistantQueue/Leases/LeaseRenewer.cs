using AssistantQueue.Diagnostics;
using AssistantQueue.Store;
using AssistantQueue.Waiting;
using Microsoft.Extensions.Logging;

namespace AssistantQueue.Leases;

/// <summary>Renews all leases that this worker holds in one partition, and its own record, on a thread of its own: a blocked thread pool must not lose them. Passes on what the store says is due next.</summary>
/// <remarks>Answers: renewed; lost (ended at once); unknown (asked again soon); unknown for too long (ended by this process' own clock, see <see cref="HeldLease.UsableFor"/>).</remarks>
internal sealed class LeaseRenewer : IDisposable
{
    private readonly int _partition;
    private readonly string _workerId;
    private readonly IQueueStore _store;
    private readonly Func<AssistantQueueOptions> _options;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly QueueMetrics _metrics;
    private readonly Action<int, RenewOutcome> _answered;
    private readonly DueTimer.Entry _cutOff;
    private readonly Every _errors;
    private readonly object _sync = new();
    private readonly List<HeldLease> _held = [];
    private Thread? _thread;
    private bool _stopped;

    /// <param name="partition">The partition.</param>
    /// <param name="workerId">The worker.</param>
    /// <param name="store">The store.</param>
    /// <param name="options">The settings as they are now.</param>
    /// <param name="timer">Ends what can't be proved any more.</param>
    /// <param name="time">The clock.</param>
    /// <param name="metrics">The queue's numbers.</param>
    /// <param name="log">The log.</param>
    /// <param name="answered">Told each answer of the store; must return soon.</param>
    public LeaseRenewer(
        int partition,
        string workerId,
        IQueueStore store,
        Func<AssistantQueueOptions> options,
        DueTimer timer,
        TimeProvider time,
        QueueMetrics metrics,
        ILogger log,
        Action<int, RenewOutcome> answered)
    {
        _partition = partition;
        _workerId = workerId;
        _store = store;
        _options = options;
        _time = time;
        _metrics = metrics;
        _log = log;
        _answered = answered;
        _errors = new Every(TimeSpan.FromMinutes(1), time);
        _cutOff = timer.Add(EndUnproven);
    }

    /// <summary>Starts the thread; until then (and in tests) only <see cref="Round"/> renews.</summary>
    public void Start()
    {
        _thread = new Thread(Loop) { Name = $"AssistantQueue leases {_partition}", IsBackground = true, Priority = ThreadPriority.AboveNormal };
        _thread.Start();
    }

    /// <summary>Renews a lease from now on.</summary>
    public HeldLease Hold(Lease lease)
    {
        var held = new HeldLease(lease, _time, () => _options().LockDuration);
        lock (_sync)
        {
            _held.Add(held);
        }

        ScheduleCutOff();
        return held;
    }

    /// <summary>Stops renewing a lease: its work is finished, or no longer ours.</summary>
    public void Drop(HeldLease held)
    {
        lock (_sync)
        {
            _held.Remove(held);
        }

        // A backend that doesn't stop may still want to post or write.
        held.Leave();
    }

    /// <summary>Tells a run what newer messages want of it; nothing when it has ended, or belongs to another owner.</summary>
    public void Wants(string threadId, long fence, RunWish wish)
    {
        HeldLease? held;
        lock (_sync)
        {
            held = _held.FirstOrDefault(lease => lease.Lease.Fence == fence && lease.Lease.ThreadId == threadId);
        }

        if (held is not null)
        {
            Tell(held, wish);
        }
    }

    /// <summary>Renews everything once.</summary>
    /// <returns>How long until the next time: a third of the lease, or soon when the store did not answer.</returns>
    internal TimeSpan Round()
    {
        HeldLease[] held;
        lock (_sync)
        {
            held = [.. _held];
        }

        var (sentAt, sentOn) = (_time.GetTimestamp(), _time.GetUtcNow());
        var outcome = Ask(held);
        var answers = outcome?.Answers;
        for (var i = 0; i < held.Length; i++)
        {
            switch (answers is null ? RenewAnswer.Unknown : answers[i].Answer)
            {
                case RenewAnswer.Renewed:
                    held[i].Renewed(sentAt, sentOn, outcome!.Length);
                    Tell(held[i], answers![i].Wish);
                    break;
                case RenewAnswer.Lost:
                    EndLost(held[i]);
                    break;
            }
        }

        ScheduleCutOff();
        var third = _options().LockDuration / 3;
        var soon = TimeSpan.FromMilliseconds(Math.Clamp(third.TotalMilliseconds / 5, 50, 1000));
        if (outcome is not { IsAnswered: true })
        {
            return soon;
        }

        _answered(_partition, outcome);
        return third;
    }

    public void Dispose()
    {
        lock (_sync)
        {
            _stopped = true;
            Monitor.PulseAll(_sync);
        }

        _cutOff.Dispose();
    }

    private RenewOutcome? Ask(HeldLease[] held)
    {
        try
        {
            var outcome = _store.Renew(_partition, _workerId, [.. held.Select(lease => lease.Current)]);
            _errors.Reset();
            return outcome;
        }
        catch (Exception e)
        {
            // Whatever it was, the leases' own clocks go on; the thread that renews must not end.
            if (_errors.IsTime())
            {
                Log.RenewFailed(_log, _partition, held.Length, e);
            }

            return null;
        }
    }

    // A run's own fault must end neither the thread that renews all leases nor the one that hears of wishes.
    private void Tell(HeldLease held, RunWish wish)
    {
        try
        {
            held.Wants(wish);
        }
        catch (Exception e)
        {
            Log.WishNotTold(_log, held.Lease.ThreadId, held.Lease.Fence, e);
        }
    }

    private void EndLost(HeldLease held)
    {
        bool ours;
        lock (_sync)
        {
            // Finished while the renewal was on its way: then "lost" is only the finish's own doing.
            ours = !held.IsFinishing && _held.Remove(held);
        }

        if (!ours)
        {
            return;
        }

        if (held.Lost())
        {
            _metrics.LeaseLost();
            Log.LeaseLost(_log, held.Lease.ThreadId, held.Lease.Fence);
        }
    }

    /// <summary>Ends what can't be proved any more; runs on the timer's thread.</summary>
    private void EndUnproven()
    {
        HeldLease[] held;
        lock (_sync)
        {
            held = [.. _held];
        }

        foreach (var lease in held)
        {
            if (!lease.IsProven && !lease.Ended.IsCancellationRequested)
            {
                lease.End();
                Log.LeaseUnproven(_log, lease.Lease.ThreadId, lease.Lease.Fence);
            }
        }

        ScheduleCutOff();
    }

    private void ScheduleCutOff()
    {
        TimeSpan? earliest = null;
        lock (_sync)
        {
            foreach (var lease in _held)
            {
                var remaining = lease.Remaining;
                if (!lease.Ended.IsCancellationRequested && !(earliest <= remaining))
                {
                    earliest = remaining;
                }
            }

            if (!_stopped)
            {
                _cutOff.Change(earliest);
            }
        }
    }

    private void Loop()
    {
        while (true)
        {
            var pause = Round();
            lock (_sync)
            {
                if (!_stopped)
                {
                    Monitor.Wait(_sync, pause);
                }

                if (_stopped)
                {
                    return;
                }
            }
        }
    }
}
