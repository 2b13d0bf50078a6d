using AssistantQueue.Finish;
using AssistantQueue.Store;

namespace AssistantQueue.Tests.Finish;

/// <summary>What becomes of a batch whose run failed.</summary>
public class FinishDecisionTests
{
    private static readonly AssistantQueueOptions Options = new() { Backoff = new BackoffOptions { UseJitter = false } };

    [Theory]
    [InlineData(0, 5)]
    [InlineData(1, 10)]
    public void For_Transient_TriesAgainWithGrowingPauses(int failed, int seconds) =>
        Assert.Equal(new TryAgain(TimeSpan.FromSeconds(seconds)), Decide(BackendErrorKind.Transient, failed));

    [Fact]
    public void For_TransientAtTheLastAttempt_GivesUp() =>
        Assert.Equal(new GiveUp(FailureKind.AttemptsExhausted), Decide(BackendErrorKind.Transient, failed: 2));

    [Theory]
    [InlineData(30, 30)]
    [InlineData(3600, 300)]
    [InlineData(0, 5)]
    [InlineData(-30, 5)]
    public void For_TransientWithRetryAfter_TakesItCapped(int asked, int seconds) =>
        Assert.Equal(new TryAgain(TimeSpan.FromSeconds(seconds)), Decide(BackendErrorKind.Transient, retryAfter: asked));

    [Fact]
    public void For_ErrorThatNoBackendClassified_IsTransient() =>
        Assert.Equal(new TryAgain(TimeSpan.FromSeconds(5)), Decide(new InvalidOperationException("bug")));

    [Fact]
    public void For_Permanent_GivesUpAtTheFirstAttempt() =>
        Assert.Equal(new GiveUp(FailureKind.Permanent), Decide(BackendErrorKind.Permanent));

    [Fact]
    public void For_PermanentOnTooManyThreadsInARow_PausesTheBackend() =>
        Assert.Equal(new PauseBackend(null), Decide(BackendErrorKind.Permanent, isSuspect: true));

    [Fact]
    public void For_TransientAtTheLastAttemptOnTooManyThreadsInARow_PausesTheBackend() =>
        Assert.Equal(new PauseBackend(TimeSpan.FromSeconds(30)), Decide(BackendErrorKind.Transient, failed: 2, isSuspect: true, retryAfter: 30));

    [Fact]
    public void For_UnavailableForOneBatchOnly_GivesItBackAndThenUp()
    {
        Assert.Equal(new GiveBack(TimeSpan.FromSeconds(10), "refused"), Decide(BackendErrorKind.BackendUnavailable, refusals: 2));

        var up = Assert.IsType<GiveUp>(Decide(BackendErrorKind.BackendUnavailable, refusals: 3));
        Assert.Equal(FailureKind.Permanent, up.Kind);
        Assert.Contains("refused 3 times", up.Error, StringComparison.Ordinal);
        Assert.EndsWith("the API's words", up.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(BackendErrorKind.Transient, 1, null)]
    [InlineData(BackendErrorKind.Transient, 2, FailureKind.AttemptsExhausted)]
    [InlineData(BackendErrorKind.Permanent, 0, FailureKind.Permanent)]
    [InlineData(BackendErrorKind.ThreadBusy, 2, null)]
    [InlineData(BackendErrorKind.BackendUnavailable, 2, null)]
    public void EndOf_AnError_SaysWhetherItEndsTheBatch(BackendErrorKind kind, int failed, FailureKind? end) =>
        Assert.Equal(end, FinishDecision.EndOf(new AssistantBackendException(kind, "no"), failed, Options));

    [Fact]
    public void EndOf_WhatIsNoFaultOfTheRun_EndsNothing()
    {
        Assert.Null(FinishDecision.EndOf(new LeaseLostException("c1", 7), 2, Options));
        Assert.Null(FinishDecision.EndOf(new StoreUnavailableException("gone"), 2, Options));
        Assert.Equal(FailureKind.AttemptsExhausted, FinishDecision.EndOf(new InvalidOperationException("bug"), 2, Options));
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(1, 2)]
    [InlineData(2, 4)]
    [InlineData(50, 30)]
    public void For_ThreadBusy_GivesBackWithoutCountingHoweverOften(int busy, int seconds) =>
        Assert.Equal(new GiveBack(TimeSpan.FromSeconds(seconds), "busy"), Decide(BackendErrorKind.ThreadBusy, failed: 2, busy: busy));

    [Theory]
    [InlineData(7, 7)]
    [InlineData(3600, 300)]
    [InlineData(0, 30)]
    [InlineData(-30, 30)]
    public void For_ThreadBusyWithRetryAfter_TakesItCapped(int asked, int seconds) =>
        Assert.Equal(new GiveBack(TimeSpan.FromSeconds(seconds), "busy"), Decide(BackendErrorKind.ThreadBusy, busy: 9, retryAfter: asked));

    [Theory]
    [InlineData(20, 20)]
    [InlineData(3600, 300)]
    [InlineData(0, null)]
    [InlineData(null, null)]
    public void For_BackendUnavailable_PausesTheBackendAtAnyAttempt(int? asked, int? seconds) =>
        Assert.Equal(
            new PauseBackend(seconds is { } s ? TimeSpan.FromSeconds(s) : null),
            Decide(BackendErrorKind.BackendUnavailable, failed: 2, retryAfter: asked));

    [Fact]
    public void For_LeaseLost_LeavesTheThreadAlone() =>
        Assert.Equal(new LeaveAlone(), Decide(new LeaseLostException("c1", 7)));

    [Fact]
    public void For_StoreOutOfReach_GivesBackWithoutCounting() =>
        Assert.Equal(new GiveBack(TimeSpan.Zero, "store"), Decide(new StoreUnavailableException("gone")));

    [Fact]
    public void Add_FiveThreadsInARow_IsNoCoincidence()
    {
        var streak = new RefusalStreak();

        Assert.Equal([false, false, false, false, true, true], new[] { "a", "b", "c", "d", "e", "a" }.Select(streak.Add));
    }

    [Fact]
    public void Add_SameThreadOrASuccessBetween_IsAStreakOfItsOwn()
    {
        var streak = new RefusalStreak();
        Assert.DoesNotContain(true, Enumerable.Repeat("a", 9).Select(streak.Add));
        Assert.DoesNotContain(true, new[] { "b", "c", "d" }.Select(streak.Add));

        streak.End();

        Assert.False(streak.Add("e"));
    }

    private static FinishAction Decide(BackendErrorKind kind, int failed = 0, int busy = 0, bool isSuspect = false, int? retryAfter = null, int refusals = 1) =>
        FinishDecision.For(
            new AssistantBackendException(kind, "the API's words") { RetryAfter = retryAfter is { } s ? TimeSpan.FromSeconds(s) : null },
            failed,
            busy,
            refusals,
            isSuspect,
            Options,
            random: 0);

    private static FinishAction Decide(Exception error) => FinishDecision.For(error, 0, 0, 0, false, Options, random: 0);
}
