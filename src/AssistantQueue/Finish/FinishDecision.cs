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
    /// <param name="refusals">How often the backend refused this batch as if nothing could work, this time included; see <see cref="Refusals"/>.</param>
    /// <param name="isBackendSuspect">Whether so many different threads would be given up in a row that the fault must be the backend's or the settings'.</param>
    /// <param name="options">The settings.</param>
    /// <param name="random">From 0 to below 1, for the jitter.</param>
    public static FinishAction For(
        Exception error,
        int failedAttempts,
        int busyBefore,
        int refusals,
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
        var retryAfter = Backoff.Asked(known?.RetryAfter, options.Backoff.MaxDelay);
        switch (known?.Kind)
        {
            case BackendErrorKind.ThreadBusy:
                return new GiveBack(retryAfter ?? Backoff.Doubled(busyBefore + 1, FirstBusyPause, LongestBusyPause), "busy");
            case BackendErrorKind.BackendUnavailable:
                return refusals switch
                {
                    >= Refusals.Limit => new GiveUp(FailureKind.Permanent)
                    {
                        Error = $"The batch was refused {refusals} times as if nothing could work, and others were answered in between; so it is refused for itself. {error.Message}",
                    },
                    // Others need not wait for what looks like this batch's own trouble.
                    2 => new GiveBack(Backoff.Next(refusals, options.Backoff, retryAfter, random), "refused"),
                    _ => new PauseBackend(retryAfter),
                };
            default:
                return EndOf(error, failedAttempts, options) is not { } end ? new TryAgain(Backoff.Next(failedAttempts + 1, options.Backoff, retryAfter, random))
                    : isBackendSuspect ? new PauseBackend(retryAfter)
                    : new GiveUp(end);
        }
    }

    /// <summary>How an error ends the batch, unless the backend is suspect; null when it doesn't.</summary>
    /// <param name="error">The run's error.</param>
    /// <param name="failedAttempts">Attempts of the batch that failed before this one.</param>
    /// <param name="options">The settings.</param>
    public static FailureKind? EndOf(Exception error, int failedAttempts, AssistantQueueOptions options) => error switch
    {
        LeaseLostException or StoreUnavailableException => null,
        AssistantBackendException { Kind: BackendErrorKind.ThreadBusy or BackendErrorKind.BackendUnavailable } => null,
        AssistantBackendException { Kind: BackendErrorKind.Permanent } => FailureKind.Permanent,
        _ => failedAttempts + 1 >= options.MaxAttempts ? FailureKind.AttemptsExhausted : null,
    };
}

/// <summary>What becomes of a batch.</summary>
internal abstract record FinishAction;

/// <summary>One attempt is counted; the batch is due again after a pause.</summary>
internal sealed record TryAgain(TimeSpan Delay) : FinishAction;

/// <summary>The batch goes to the failed store.</summary>
internal sealed record GiveUp(FailureKind Kind) : FinishAction
{
    /// <summary>Gets why; null when the run's error says it.</summary>
    public string? Error { get; init; }
}

/// <summary>The thread is given back, no attempt is counted.</summary>
/// <param name="Delay">When it is due again.</param>
/// <param name="Reason">Why, in a word for the metric.</param>
internal sealed record GiveBack(TimeSpan Delay, string Reason) : FinishAction;

/// <summary>The whole backend pauses; the thread is given back.</summary>
/// <param name="RetryAfter">What the API asks for, capped.</param>
internal sealed record PauseBackend(TimeSpan? RetryAfter) : FinishAction;

/// <summary>The thread is somebody else's: nothing is written.</summary>
internal sealed record LeaveAlone : FinishAction;
