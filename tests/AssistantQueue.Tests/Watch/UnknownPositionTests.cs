using AssistantQueue.Store;
using AssistantQueue.Watch;

namespace AssistantQueue.Tests.Watch;

/// <summary>Whether a position is in the kept history: of a thread whose outcomes lie a second apart, each with a message and a run before it.</summary>
public sealed class UnknownPositionTests
{
    private const long Second = 1_000_000;
    private const long Now = 1_000 * Second;
    private static readonly TimeSpan Retention = TimeSpan.FromSeconds(10);

    [Theory]
    [InlineData(0, false)]
    [InlineData(Now, false)]
    [InlineData(Now + 1, true)]
    [InlineData(Now - (9 * Second), false)]
    [InlineData(Now - (11 * Second), true)]
    public void Nothing_IsKept_WhatIsOlderThanTheRetentionMayHaveExpired(long position, bool isUnknown) =>
        Assert.Equal(isUnknown, ThreadUpdates.IsUnknown(History(outcomes: 0), position, Retention));

    [Theory]
    [InlineData(0, false)]
    [InlineData(18, false)]
    [InlineData(19, true)]
    [InlineData(50, true)]
    public void Outcomes_ReachBackToThePosition_OrSomeMayHaveExpired(int secondsBeforeTheNewest, bool isUnknown)
    {
        var history = History(outcomes: 19, newest: Now - (100 * Second));

        Assert.Equal(isUnknown, ThreadUpdates.IsUnknown(history, Now - ((100 + secondsBeforeTheNewest) * Second), Retention));
    }

    [Fact]
    public void Outcomes_MoreThanAreKept_MayHaveBeenBehindThePosition()
    {
        var history = History(outcomes: 20, newest: Now);
        var oldest = history.Outcomes[0];

        Assert.False(ThreadUpdates.IsUnknown(history, oldest.Began.Stamp, TimeSpan.FromHours(1)));
        // Its messages were stored while the run before it was under way, whose reply is newer than they are.
        Assert.True(ThreadUpdates.IsUnknown(history, oldest.Began.Stamp - 1, TimeSpan.FromHours(1)));
        Assert.True(oldest.FirstSequence < oldest.Began.Stamp - 1);
    }

    [Fact]
    public void Events_MoreThanAreKept_MayHaveBeenBehindThePosition()
    {
        var events = Enumerable.Range(0, ThreadHistory.KeptEvents).Select(i => new ThreadAnnouncement(Now - Second + i, AnnouncementKind.Retrying, "b", 1, 1, 0)).ToList();
        var history = History(outcomes: 0) with { Events = events };

        Assert.False(ThreadUpdates.IsUnknown(history, Now - Second, Retention));
        Assert.True(ThreadUpdates.IsUnknown(history, Now - Second - 1, Retention));
        Assert.False(ThreadUpdates.IsUnknown(history with { Events = events[1..] }, Now - Second - 1, Retention));
    }

    private static ThreadHistory History(int outcomes, long newest = Now) => new(
        [.. Enumerable.Range(0, outcomes).Select(i => Outcome(newest - ((outcomes - 1 - i) * Second)))], null, [], Now, Events: []);

    private static HistoryOutcome Outcome(long stamp)
    {
        var message = stamp - (3 * Second / 2);
        return new(stamp, message, message, "{}", null, new ThreadAnnouncement(stamp - (Second / 2), AnnouncementKind.Started, "b", message, message, 1), [message]);
    }
}
