using AssistantQueue.Store;

namespace AssistantQueue.Claim;

/// <summary>When a partition is looked at next.</summary>
internal static class NextLook
{
    /// <summary>One worker of a partition looks in time; the others only see to it that somebody did.</summary>
    public static readonly TimeSpan BehindTimekeeper = TimeSpan.FromMilliseconds(250);

    /// <summary>What is due but was not given (a suspect that has to wait, a thread that another worker is just taking) must not spin the loop.</summary>
    public static readonly TimeSpan AfterNothing = TimeSpan.FromMilliseconds(50);

    /// <param name="outcome">What the look gave.</param>
    /// <param name="wasForSuspect">Whether it was for a suspect only.</param>
    /// <param name="safetyLook">When to look without any reason.</param>
    public static TimeSpan After(ClaimOutcome outcome, bool wasForSuspect, TimeSpan safetyLook)
    {
        if (outcome.SuspectsDue > 0)
        {
            // Asks for a slot at once, so that it gets the next turn that belongs to suspects.
            return wasForSuspect && outcome.Batches.Count == 0 ? AfterNothing : TimeSpan.Zero;
        }

        if (outcome.NextLook is not { } due)
        {
            return safetyLook;
        }

        if (outcome.Batches.Count > 0 && due <= TimeSpan.Zero)
        {
            return TimeSpan.Zero;
        }

        var next = outcome.IsTimekeeper ? due : due + BehindTimekeeper;
        if (next <= TimeSpan.Zero)
        {
            next = AfterNothing;
        }

        return next < safetyLook ? next : safetyLook;
    }
}
