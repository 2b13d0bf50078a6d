using AssistantQueue.OpenAI.Errors;

namespace AssistantQueue.Tests.OpenAIBackends.Errors;

/// <summary>The headers by which an API asks to wait.</summary>
public class RetryAfterTests
{
    private static readonly DateTimeOffset Now = new(2026, 11, 23, 12, 0, 0, TimeSpan.Zero);

    [Theory]
    [InlineData("1500", "7", 1.5)]
    [InlineData(null, "7", 7.0)]
    [InlineData(null, "0.5", 0.5)]
    [InlineData("12.5", null, 0.0125)]
    [InlineData(null, "Mon, 23 Nov 2026 12:00:30 GMT", 30.0)]
    [InlineData(null, "Mon, 23 Nov 2026 11:00:00 GMT", 0.0)]
    [InlineData(null, "-5", 0.0)]
    [InlineData(null, "410400", 410400.0)]
    [InlineData(null, "1e400", null)]
    [InlineData(null, "99999999999999999999", 30d * 24 * 3600)]
    [InlineData(null, "soon", null)]
    [InlineData(null, null, null)]
    public void Read_Headers_MeanThisManySeconds(string? milliseconds, string? seconds, double? expected) =>
        Assert.Equal(expected, RetryAfter.Read(milliseconds, seconds, Now)?.TotalSeconds);
}
