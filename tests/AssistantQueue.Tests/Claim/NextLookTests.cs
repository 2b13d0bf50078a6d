using AssistantQueue.Claim;
using AssistantQueue.Store;

namespace AssistantQueue.Tests.Claim;

/// <summary>When a partition is looked at next.</summary>
public class NextLookTests
{
    [Theory]
    [InlineData(null, true, 5000)]
    [InlineData(1200, true, 1200)]
    [InlineData(1200, false, 1450)]
    [InlineData(60_000, true, 5000)]
    [InlineData(0, true, 50)]
    [InlineData(0, false, 250)]
    public void After_NothingClaimed_TimekeeperInTimeOthersBehindAllByTheSafetyLook(int? due, bool isTimekeeper, int expected) =>
        Assert.Equal(expected, After(due, isTimekeeper, claimed: 0));

    [Theory]
    [InlineData(0, 0)]
    [InlineData(700, 700)]
    public void After_SomethingClaimed_LooksAgainAtOnceWhileMoreIsDue(int due, int expected) =>
        Assert.Equal(expected, After(due, isTimekeeper: true, claimed: 1));

    [Theory]
    [InlineData(null, 1, 0)]
    [InlineData(null, 0, 250)]
    [InlineData(70, 0, 70)]
    [InlineData(4000, 0, 250)]
    public void After_SuspectsWait_AsksForTheirTurnWithoutSpinning(int? due, int claimed, int expected)
    {
        var outcome = new ClaimOutcome([.. Enumerable.Repeat<ClaimedBatch>(null!, claimed)], due is { } ms ? TimeSpan.FromMilliseconds(ms) : null, null, true, SuspectsDue: 1, []);
        Assert.Equal(expected, NextLook.After(outcome, TimeSpan.FromSeconds(5)).TotalMilliseconds);
    }

    private static double After(int? due, bool isTimekeeper, int claimed)
    {
        var batches = Enumerable.Repeat<ClaimedBatch>(null!, claimed).ToList();
        var outcome = new ClaimOutcome(batches, due is { } ms ? TimeSpan.FromMilliseconds(ms) : null, null, isTimekeeper, 0, []);
        return NextLook.After(outcome, TimeSpan.FromSeconds(5)).TotalMilliseconds;
    }
}
