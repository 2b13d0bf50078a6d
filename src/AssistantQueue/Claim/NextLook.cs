using AssistantQueue.Store;

namespace AssistantQueue.Claim;

/// <summary>When a partition is looked at next.</summary>
internal static class NextLook
{
    /// <summary>One worker of a partition looks in time; the others only see to it that somebody did.</summary>
    public static readonly TimeSpan BehindTimekeeper = TimeSpan.FromMilliseconds(250);

    /// <summary>What is due but was not given (a suspect that has to wait, a thread that another worker is just taking) must not spin the loop.</summary>
    public static readonly TimeSpan AfterNothing = TimeSpan.FromMilliseconds(50);

    /// <summary>Suspects wait for their turn, which may take a while; when nothing else was given there is no hurry.</summary>
    public static readonly TimeSpan ForSuspects = TimeSpan.FromMilliseconds(250);

    public static TimeSpan After(ClaimOutcome outcome, TimeSpan safetyLook)
    {
        if (outcome.Batches.Count > 0 && (outcome.SuspectsDue > 0 || outcome.NextLook <= TimeSpan.Zero))
        {
            return TimeSpan.Zero;
        }

        var atMost = outcome.SuspectsDue > 0 ? ForSuspects : safetyLook;
        if (outcome.NextLook is not { } due)
        {
            return atMost;
        }

        var next = outcome.IsTimekeeper ? due : due + BehindTimekeeper;
        if (next <= TimeSpan.Zero)
        {
            next = AfterNothing;
        }

        return next < atMost ? next : atMost;
    }
}
