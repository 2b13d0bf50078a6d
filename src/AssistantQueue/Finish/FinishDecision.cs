using AssistantQueue.Store;
using AssistantQueue.Waiting;

namespace AssistantQueue.Finish;

/// <summary>What becomes of a batch whose run failed: a pure function of the error, what happened before, and the settings.</summary>
internal static class FinishDecision
{
    private static readonly TimeSpan FirstBusyPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestBusyPause = TimeSpan.FromSeconds(30);

    /// <param name="error">The run's error.</param>
    /// <param name="failedAttempts">Attempts of the batch that failed before this one.</param>
    /// <param name="busyBefore">How often in a row the thread was busy at the API.</param>
    /// <param name="isBackendSuspect">Whether so many different threads were refused in a row that the fault must be the backend's or the settings'.</param>
    /// <param name="options">The settings.</param>
    /// <param name="random">From 0 to below 1, for the jitter.</param>
    public static FinishAction For(
        Exception error,
        int failedAttempts,
        int busyBefore,
        bool isBackendSuspect,
        AssistantQueueOptions options,
        double random)
    {
        if (error is LeaseLostException)
        {
            return new LeaveAlone();
        }

        if (error is StoreUnavailableException)
        {
            // Redis' trouble, not the run's.
            return new GiveBack(TimeSpan.Zero, "store");
        }

        var known = error as AssistantBackendException;
        switch (known?.Kind ?? BackendErrorKind.Transient)
        {
            case BackendErrorKind.ThreadBusy:
                var pause = known!.RetryAfter is { } asked && asked < options.Backoff.MaxDelay
                    ? asked
                    : known.RetryAfter is null ? Backoff.Doubled(busyBefore + 1, FirstBusyPause, LongestBusyPause) : options.Backoff.MaxDelay;
                return new GiveBack(pause, "busy");
            case BackendErrorKind.BackendUnavailable:
                return new PauseBackend(CapOf(known!.RetryAfter, options));
            case BackendErrorKind.Permanent:
                return isBackendSuspect ? new PauseBackend(null) : new GiveUp(FailureKind.Permanent);
            default:
                return failedAttempts + 1 >= options.MaxAttempts
                    ? new GiveUp(FailureKind.AttemptsExhausted)
                    : new TryAgain(Backoff.Next(failedAttempts + 1, options.Backoff, known?.RetryAfter, random));
        }
    }

    private static TimeSpan? CapOf(TimeSpan? asked, AssistantQueueOptions options) =>
        asked > options.Backoff.MaxDelay ? options.Backoff.MaxDelay : asked;
}

/// <summary>What becomes of a batch.</summary>
internal abstract record FinishAction;

/// <summary>One attempt is counted; the batch is due again after a pause.</summary>
internal sealed record TryAgain(TimeSpan Delay) : FinishAction;

/// <summary>The batch goes to the failed store.</summary>
internal sealed record GiveUp(FailureKind Kind) : FinishAction;

/// <summary>The thread is given back, no attempt is counted.</summary>
/// <param name="Delay">When it is due again.</param>
/// <param name="Reason">Why, in a word for the metric.</param>
internal sealed record GiveBack(TimeSpan Delay, string Reason) : FinishAction;

/// <summary>The whole backend pauses; the thread is given back.</summary>
/// <param name="RetryAfter">What the API asks for, capped.</param>
internal sealed record PauseBackend(TimeSpan? RetryAfter) : FinishAction;

/// <summary>The thread is somebody else's: nothing is written.</summary>
internal sealed record LeaveAlone : FinishAction;
