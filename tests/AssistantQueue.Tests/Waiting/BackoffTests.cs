using AssistantQueue.Waiting;

namespace AssistantQueue.Tests.Waiting;

/// <summary>The stored pause between attempts.</summary>
public class BackoffTests
{
    [Theory]
    [InlineData(BackoffKind.Exponential, 1, 5)]
    [InlineData(BackoffKind.Exponential, 2, 10)]
    [InlineData(BackoffKind.Exponential, 3, 20)]
    [InlineData(BackoffKind.Exponential, 7, 300)]
    [InlineData(BackoffKind.Exponential, 10_000, 300)]
    [InlineData(BackoffKind.Fixed, 1, 5)]
    [InlineData(BackoffKind.Fixed, 7, 5)]
    public void Next_WithoutJitter_GrowsUpToTheLongest(BackoffKind type, int failed, int seconds) =>
        Assert.Equal(
            TimeSpan.FromSeconds(seconds),
            Backoff.Next(failed, new BackoffOptions { Type = type, UseJitter = false }, retryAfter: null, random: 0.9));

    [Theory]
    [InlineData(0.0, 3.75)]
    [InlineData(0.5, 5)]
    [InlineData(0.999_999, 6.25)]
    public void Next_WithJitter_IsSpreadOverAQuarterEachWay(double random, double seconds) =>
        Assert.Equal(seconds, Backoff.Next(1, new BackoffOptions(), retryAfter: null, random).TotalSeconds, precision: 4);

    [Theory]
    [InlineData(17, 17)]
    [InlineData(1, 1)]
    [InlineData(86_400, 300)]
    public void Next_ApiAsksForAPause_TakesItUpToTheLongest(int asked, int seconds) =>
        Assert.Equal(TimeSpan.FromSeconds(seconds), Backoff.Next(1, new BackoffOptions(), TimeSpan.FromSeconds(asked), random: 0.1));

    [Theory]
    [InlineData(0)]
    [InlineData(-3)]
    public void Next_ApiAsksForNoPauseOrATimeThatHasPassed_TakesItsOwn(int asked) =>
        Assert.Equal(
            TimeSpan.FromSeconds(10),
            Backoff.Next(2, new BackoffOptions { UseJitter = false }, TimeSpan.FromSeconds(asked), random: 0.1));
}
