namespace AssistantQueue.OpenAI.Polling;

/// <summary>How long to wait between two looks at a run: short at first, longer for runs that take long.</summary>
internal static class PollPauses
{
    private const double Growth = 1.5;

    /// <summary>The pause after look number <paramref name="look"/> (from 0).</summary>
    /// <param name="look">How many looks there were before.</param>
    /// <param name="first">The first pause.</param>
    /// <param name="longest">The longest pause.</param>
    /// <param name="random">0 to 1: runs that began together must not be asked for together.</param>
    public static TimeSpan Next(int look, TimeSpan first, TimeSpan longest, double random)
    {
        // beyond 40 looks every sensible setting has reached its longest pause; the power would overflow later
        var grown = first * Math.Pow(Growth, Math.Min(look, 40));
        return (grown < longest ? grown : longest) * (0.8 + (0.4 * random));
    }

    /// <summary>The pause after a failed look: from a second to half a minute, or what the API asks for up to a minute.</summary>
    public static TimeSpan AfterFailure(int failures, TimeSpan? asked, double random)
    {
        if (asked is { } wish)
        {
            return wish < TimeSpan.FromMinutes(1) ? wish : TimeSpan.FromMinutes(1);
        }

        return Next(failures, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(30), random);
    }
}
