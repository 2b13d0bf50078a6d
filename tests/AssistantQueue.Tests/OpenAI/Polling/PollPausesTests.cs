using AssistantQueue.OpenAI.Polling;

namespace AssistantQueue.Tests.OpenAIBackends.Polling;

/// <summary>The pauses between two looks at a run.</summary>
public class PollPausesTests
{
    private static readonly TimeSpan First = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(2);

    [Fact]
    public void Next_OneAfterTheOther_GrowByHalfUpToTheLongest() =>
        Assert.Equal([250, 375, 562.5, 843.75, 1265.625, 1898.4375, 2000, 2000], Enumerable.Range(0, 8).Select(look => PollPauses.Next(look, First, Longest, 0.5).TotalMilliseconds), (a, b) => Math.Abs(a - b) < 0.001);

    [Theory]
    [InlineData(0, 0.0, 200)]
    [InlineData(0, 1.0, 300)]
    [InlineData(1_000_000, 0.5, 2000)]
    public void Next_AnyLookAndChance_StaysInItsBounds(int look, double random, double expected) =>
        Assert.Equal(expected, PollPauses.Next(look, First, Longest, random).TotalMilliseconds, 3);

    [Fact]
    public void AfterFailure_ApiAsksForAnHour_WaitsAMinute() =>
        Assert.Equal(TimeSpan.FromMinutes(1), PollPauses.AfterFailure(0, TimeSpan.FromHours(1), 0.5));
}
