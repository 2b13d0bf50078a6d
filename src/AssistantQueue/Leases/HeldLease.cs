using AssistantQueue.Store;

namespace AssistantQueue.Leases;

/// <summary>A lease that this process holds: whether it can still be proved, and a token that ends when it can't. Thread-safe.</summary>
#pragma warning disable CA1001 // The token source has no timer, and the renewer may still end it while the lease's work is being left: not disposed.
internal sealed class HeldLease
#pragma warning restore CA1001
{
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _ended = new();
    private readonly Lock _sync = new();
    private TaskCompletionSource _changed = NewSignal();
    private Proof _proof;
    private bool _lost;
    private bool _left;
    private RunWish _wish;
    private Action? _onWish;

    /// <param name="lease">The lease.</param>
    /// <param name="time">The clock.</param>
    /// <param name="length">How long a lease is that doesn't say so itself.</param>
    public HeldLease(Lease lease, TimeProvider time, Func<TimeSpan> length)
    {
        Lease = lease;
        _time = time;
        _proof = new Proof(lease.ProvenAt, lease.ProvenOn ?? time.GetUtcNow() - time.GetElapsedTime(lease.ProvenAt), lease.Length ?? length());
    }

    /// <summary>The lease as it was claimed.</summary>
    public Lease Lease { get; }

    /// <summary>The lease with the time of its last proof.</summary>
    public Lease Current
    {
        get
        {
            var proof = ProofNow();
            return Lease with { ProvenAt = proof.At, ProvenOn = proof.On, Length = proof.Length };
        }
    }

    /// <summary>Ends for good when the lease is lost, or could not be proved for too long: what runs under it stops.</summary>
    public CancellationToken Ended => _ended.Token;

    /// <summary>Whether the store said that the lease is somebody else's.</summary>
    public bool IsLost
    {
        get
        {
            lock (_sync)
            {
                return _lost;
            }
        }
    }

    /// <summary>Whether a finishing step is under way: its own answer says what became of the lease, a renewal's would only be its shadow.</summary>
    public volatile bool IsFinishing;

    /// <summary>Whether the lease holds by this process' own clock, counted from before the last good renewal was sent.</summary>
    /// <remarks>Asked before each write and each call to the API: it also holds when the timer's thread did not run.</remarks>
    public bool IsProven => !IsOver() && Remaining > TimeSpan.Zero;

    /// <summary>How long the lease can be used without another proof.</summary>
    /// <remarks>
    /// By the date too: the monotonic clock stands still while the machine sleeps, and Redis' doesn't. A date that is set back changes nothing,
    /// one that is set forward only ends the work early.
    /// </remarks>
    public TimeSpan Remaining
    {
        get
        {
            var proof = ProofNow();
            var (awake, dated) = (_time.GetElapsedTime(proof.At), _time.GetUtcNow() - proof.On);
            return UsableFor(proof.Length) - (awake > dated ? awake : dated);
        }
    }

    /// <summary>How much of a lease is used: all but 2 s (short leases of tests: all but a fifth), so that the owner stops before anybody may begin.</summary>
    public static TimeSpan UsableFor(TimeSpan lockDuration)
    {
        var margin = lockDuration / 5;
        return lockDuration - (margin < TimeSpan.FromSeconds(2) ? margin : TimeSpan.FromSeconds(2));
    }

    public void ThrowIfNotProven()
    {
        if (!IsProven)
        {
            throw new LeaseLostException(Lease.ThreadId, Lease.Fence);
        }
    }

    /// <summary>A renewal was answered well.</summary>
    /// <param name="sentAt">From before it was sent.</param>
    /// <param name="sentOn">The date of that.</param>
    /// <param name="length">How long the lease is from then on.</param>
    public void Renewed(long sentAt, DateTimeOffset sentOn, TimeSpan length)
    {
        lock (_sync)
        {
            if (sentAt >= _proof.At)
            {
                _proof = new Proof(sentAt, sentOn, length);
            }

            _changed.TrySetResult();
            _changed = NewSignal();
        }
    }

    /// <summary>Gets what newer messages want of the run under this lease.</summary>
    public RunWish Wish
    {
        get
        {
            lock (_sync)
            {
                return _wish;
            }
        }
    }

    /// <summary>Newer messages want something of the run.</summary>
    public void Wants(RunWish wish)
    {
        Action? tell;
        lock (_sync)
        {
            if ((_wish | wish) == _wish)
            {
                return;
            }

            _wish |= wish;
            tell = _onWish;
        }

        tell?.Invoke();
    }

    /// <summary>The run did what was wanted, or can't.</summary>
    public void Granted(RunWish wish)
    {
        lock (_sync)
        {
            _wish &= ~wish;
        }
    }

    /// <summary>Calls back, quickly and on any thread, when newer messages want something; also at once when they do already.</summary>
    public void OnWish(Action callback)
    {
        bool isTime;
        lock (_sync)
        {
            _onWish = callback;
            isTime = _wish != RunWish.None;
        }

        if (isTime)
        {
            callback();
        }
    }

    /// <summary>The store says that the lease is somebody else's.</summary>
    /// <returns>Whether that is news.</returns>
    public bool Lost()
    {
        lock (_sync)
        {
            if (_lost)
            {
                return false;
            }

            _lost = true;
            _changed.TrySetResult();
        }

        End();
        return true;
    }

    /// <summary>Its work is finished, or was left to itself: nothing is done under the lease any more, and nobody renews it.</summary>
    public void Leave()
    {
        lock (_sync)
        {
            _left = true;
            _changed.TrySetResult();
        }
    }

    /// <summary>Stops what runs under the lease; its callbacks run on the pool, the token is set before this returns.</summary>
    public void End() => _ = _ended.CancelAsync();

    /// <summary>Waits until the lease is proved (again) or lost. A result that is at hand is written if nobody else took the thread meanwhile.</summary>
    /// <returns>Whether it is proved.</returns>
    public async Task<bool> ProvenAgainAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            Task changed;
            lock (_sync)
            {
                if (_lost || _left)
                {
                    return false;
                }

                changed = _changed.Task;
            }

            if (IsProven)
            {
                return true;
            }

            await changed.WaitAsync(cancellationToken);
        }
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private bool IsOver()
    {
        lock (_sync)
        {
            return _lost || _left;
        }
    }

    private Proof ProofNow()
    {
        lock (_sync)
        {
            return _proof;
        }
    }

    private readonly record struct Proof(long At, DateTimeOffset On, TimeSpan Length);
}
