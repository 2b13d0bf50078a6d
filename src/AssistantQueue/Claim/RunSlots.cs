using AssistantQueue.Waiting;

namespace AssistantQueue.Claim;

/// <summary>Decides how many runs may begin: concurrency over all partitions, in turn; nothing beside a suspect; one probe while the backend is paused. Thread-safe.</summary>
/// <remarks>
/// Suspects (batches whose owner died) run alone in their process. Healthy threads and suspects alternate:
/// before each suspect the healthy get one claim, so that neither starves the other. A suspect waits with free slots for the runs
/// that are under way; when they take long the healthy go on for as long as it waited, and it waits twice as long the next time.
/// </remarks>
internal sealed class RunSlots
{
    private static readonly TimeSpan FirstDrain = TimeSpan.FromSeconds(10);

    private readonly BackendPause _pause;
    private readonly Action<int> _wake;
    private readonly TimeProvider _time;
    private readonly Lock _sync = new();
    private readonly List<int> _waiting = [];
    private int _used;
    private int? _alone;
    private bool _isHealthyTurn = true;
    private bool _isSuspectRunning;
    private TimeSpan _drainLimit = FirstDrain;
    private long _drainSince;
    private long _drainNotBefore;

    /// <param name="pause">The backend's pause.</param>
    /// <param name="wake">Called with a partition that was refused and may ask again. Must return soon.</param>
    /// <param name="time">The clock.</param>
    public RunSlots(BackendPause pause, Action<int> wake, TimeProvider time)
    {
        _pause = pause;
        _wake = wake;
        _time = time;
        pause.Changed = WakeAll;
    }

    /// <summary>Takes slots for a claim. What is not used is returned.</summary>
    /// <param name="partition">Who asks.</param>
    /// <param name="concurrency">How many runs there may be in the process.</param>
    /// <param name="hasSuspects">Whether the partition's last look saw suspects.</param>
    /// <returns>What may be claimed; with none, the partition is woken when it may ask again.</returns>
    public SlotGrant Take(int partition, int concurrency, bool hasSuspects)
    {
        int? next = null;
        SlotGrant grant;
        lock (_sync)
        {
            StopLongDrainUnderLock();
            if (hasSuspects && !_isHealthyTurn && _alone is null && _time.GetTimestamp() >= _drainNotBefore)
            {
                _alone = partition;
                _drainSince = _time.GetTimestamp();
            }

            var isBlocked = _alone is { } alone && (alone != partition || _used > 0);
            var free = concurrency - _used;
            var allowance = isBlocked || free <= 0 ? ClaimAllowance.None : _pause.Ask();
            if (allowance == ClaimAllowance.None)
            {
                if (!_waiting.Contains(partition))
                {
                    _waiting.Add(partition);
                }

                return new SlotGrant(0, 0, false, false);
            }

            _waiting.Remove(partition);
            var isSuspect = _alone == partition;
            // Others that were refused get their share of what is free now.
            var share = isSuspect || allowance == ClaimAllowance.Probe ? 1 : (free + _waiting.Count) / (_waiting.Count + 1);
            grant = new SlotGrant(share, isSuspect ? 1 : free, isSuspect, allowance == ClaimAllowance.Probe);
            _used += share;
            _isHealthyTurn &= isSuspect;
            _isSuspectRunning = isSuspect;
            if (!isSuspect && concurrency > _used)
            {
                next = NextUnderLock();
            }
        }

        Wake(next);
        return grant;
    }

    /// <summary>Gives slots back: runs that are over, or what a claim did not use.</summary>
    public void Return(SlotGrant grant, int count)
    {
        int? next;
        lock (_sync)
        {
            _used -= count;
            if (grant.IsSuspect && count > 0)
            {
                _alone = null;
                _isHealthyTurn = true;
                _isSuspectRunning = false;
                _drainLimit = FirstDrain;
            }

            next = _alone is { } alone ? (_used == 0 ? alone : null) : NextUnderLock();
        }

        Wake(next);
    }

    /// <summary>Asked at each claim; a loop asks every few seconds even when nothing wakes it.</summary>
    private void StopLongDrainUnderLock()
    {
        if (_alone is null || _isSuspectRunning || _time.GetElapsedTime(_drainSince) < _drainLimit)
        {
            return;
        }

        _alone = null;
        _isHealthyTurn = true;
        _drainNotBefore = _time.GetTimestamp() + (long)(_drainLimit.TotalSeconds * _time.TimestampFrequency);
        _drainLimit *= 2;
    }

    private int? NextUnderLock()
    {
        if (_waiting.Count == 0)
        {
            return null;
        }

        var next = _waiting[0];
        _waiting.RemoveAt(0);
        return next;
    }

    private void Wake(int? partition)
    {
        if (partition is { } next)
        {
            _wake(next);
        }
    }

    private void WakeAll()
    {
        int[] waiting;
        lock (_sync)
        {
            waiting = [.. _waiting];
        }

        foreach (var partition in waiting)
        {
            _wake(partition);
        }
    }
}

/// <summary>How many batches may be claimed.</summary>
/// <param name="Count">At most so many; zero: none now.</param>
/// <param name="Free">How many slots were free in the process.</param>
/// <param name="IsSuspect">Whether one suspect may be claimed, and nothing else.</param>
/// <param name="IsProbe">Whether the batch probes a paused backend.</param>
internal readonly record struct SlotGrant(int Count, int Free, bool IsSuspect, bool IsProbe);
