namespace AssistantQueue.Waiting;

/// <summary>How long to pause before the next attempt, with the meaning of Polly's retry options. The pause is stored, so it can't be Polly's own waiting.</summary>
internal static class Backoff
{
    /// <summary>The pause after a failed attempt.</summary>
    /// <param name="failed">How many attempts failed, from 1.</param>
    /// <param name="options">Growth, first and longest pause, jitter.</param>
    /// <param name="retryAfter">What the API asks for; wins, see <see cref="Asked"/>.</param>
    /// <param name="random">From 0 to below 1; spreads the pause over 75 to 125 percent, as Polly does.</param>
    public static TimeSpan Next(int failed, BackoffOptions options, TimeSpan? retryAfter, double random)
    {
        if (Asked(retryAfter, options.MaxDelay) is { } asked)
        {
            return asked;
        }

        var pause = options.Type == BackoffKind.Fixed ? options.Delay : Doubled(failed, options.Delay, options.MaxDelay);
        return Clamp(options.UseJitter ? pause * (0.75 + (0.5 * random)) : pause, options.MaxDelay);
    }

    /// <summary>A first pause that doubles with each failure up to the longest.</summary>
    public static TimeSpan Doubled(int failed, TimeSpan first, TimeSpan longest) =>
        // In seconds: a TimeSpan can't hold what comes out after some hundred failures.
        TimeSpan.FromSeconds(Math.Min(first.TotalSeconds * Math.Pow(2, failed - 1), longest.TotalSeconds));

    /// <summary>What the API asks for, up to the longest pause. Zero, or a date that has passed by this clock, is no wish at all: without any pause all attempts would be over in a moment.</summary>
    public static TimeSpan? Asked(TimeSpan? retryAfter, TimeSpan longest) =>
        retryAfter is { } asked && asked > TimeSpan.Zero ? Clamp(asked, longest) : null;

    private static TimeSpan Clamp(TimeSpan pause, TimeSpan longest) => pause > longest ? longest : pause;
}
