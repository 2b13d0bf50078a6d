using System.Globalization;

namespace AssistantQueue.OpenAI.Errors;

/// <summary>Reads how long an API asks to wait: <c>retry-after-ms</c> first, then <c>retry-after</c> in seconds or as a date. The queue caps it.</summary>
internal static class RetryAfter
{
    // not: believe any number
    // but: a real service once asked for 114 hours; a number that no TimeSpan holds must not throw either
    private static readonly TimeSpan Most = TimeSpan.FromDays(30);

    public static TimeSpan? Read(string? milliseconds, string? secondsOrDate, DateTimeOffset now)
    {
        if (TryNumber(milliseconds, out var ms))
        {
            return Bounded(ms);
        }

        if (TryNumber(secondsOrDate, out var seconds))
        {
            return Bounded(seconds * 1000);
        }

        return DateTimeOffset.TryParse(secondsOrDate, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var date)
            ? Bounded((date - now).TotalMilliseconds)
            : null;
    }

    private static bool TryNumber(string? text, out double number) =>
        double.TryParse(text, NumberStyles.AllowDecimalPoint | NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out number) && double.IsFinite(number);

    private static TimeSpan? Bounded(double ms) =>
        ms < 0 ? TimeSpan.Zero : TimeSpan.FromMilliseconds(Math.Min(ms, Most.TotalMilliseconds));
}
