using AssistantQueue.Diagnostics;
using Microsoft.Extensions.Logging;

namespace AssistantQueue.Waiting;

/// <summary>Keeps the process from claiming while nothing can work at the backend (wrong key, endpoint or model, exhausted quota), with one probe at a time. Thread-safe.</summary>
internal sealed class BackendPause
{
    private static readonly TimeSpan First = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(1);

    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly string _queue;
    private readonly DueTimer.Entry _over;
    private readonly Every _errors;
    private readonly Lock _sync = new();
    private int _pauses;
    private long _since;
    private TimeSpan _length;
    private bool _probing;

    public BackendPause(string queue, DueTimer timer, TimeProvider time, ILogger log)
    {
        _queue = queue;
        _time = time;
        _log = log;
        _errors = new Every(TimeSpan.FromMinutes(1), time);
        _over = timer.Add(() => Changed?.Invoke());
    }

    /// <summary>A pause has ended, or a probe may be tried. Must return soon.</summary>
    public Action? Changed { get; set; }

    public bool IsPaused
    {
        get
        {
            lock (_sync)
            {
                return _pauses > 0;
            }
        }
    }

    /// <summary>What may be claimed now; a probe is taken by asking.</summary>
    public ClaimAllowance Ask()
    {
        lock (_sync)
        {
            if (_pauses == 0)
            {
                return ClaimAllowance.Free;
            }

            if (_probing || RemainingUnderLock() > TimeSpan.Zero)
            {
                return ClaimAllowance.None;
            }

            _probing = true;
            return ClaimAllowance.Probe;
        }
    }

    /// <summary>Nothing works: pauses, or prolongs the pause if this was its probe.</summary>
    /// <param name="threadId">The thread whose run told.</param>
    /// <param name="message">The API's own words.</param>
    /// <param name="wasProbe">Whether the run was the pause's probe; others began before the pause and say nothing new.</param>
    /// <param name="retryAfter">What the API asks for, already capped.</param>
    /// <returns>When the thread may be claimed again.</returns>
    public TimeSpan Begin(string threadId, string message, bool wasProbe, TimeSpan? retryAfter)
    {
        TimeSpan remaining;
        lock (_sync)
        {
            if (_pauses == 0 || wasProbe)
            {
                _pauses++;
                _since = _time.GetTimestamp();
                _length = Backoff.Doubled(_pauses, First, Longest);
                if (retryAfter > _length)
                {
                    _length = retryAfter.Value;
                }

                _over.Change(_length);
            }

            _probing &= !wasProbe;
            remaining = RemainingUnderLock();
        }

        if (_errors.IsTime())
        {
            Log.BackendPaused(_log, _queue, remaining, threadId, message);
        }

        return remaining > TimeSpan.Zero ? remaining : TimeSpan.Zero;
    }

    /// <summary>The backend works: the pause, if there is one, is over.</summary>
    public void End()
    {
        lock (_sync)
        {
            if (_pauses == 0)
            {
                return;
            }

            _pauses = 0;
            _probing = false;
            _over.Change(null);
        }

        _errors.Reset();
        Log.BackendResumed(_log, _queue);
        Changed?.Invoke();
    }

    /// <summary>The probe ended without telling anything (no thread was due, its lease was lost): the next may try.</summary>
    public void ProbeUnused()
    {
        lock (_sync)
        {
            if (!_probing)
            {
                return;
            }

            _probing = false;
        }

        Changed?.Invoke();
    }

    private TimeSpan RemainingUnderLock() => _length - _time.GetElapsedTime(_since);
}

/// <summary>What the backend's state lets a worker claim.</summary>
internal enum ClaimAllowance
{
    /// <summary>As much as there are slots.</summary>
    Free,

    /// <summary>One batch, to see whether the backend works again.</summary>
    Probe,

    /// <summary>Nothing for now.</summary>
    None,
}
