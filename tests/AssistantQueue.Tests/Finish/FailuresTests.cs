using System.Text.Json;
using AssistantQueue.Finish;
using AssistantQueue.Outcomes;
using AssistantQueue.Store;
using Microsoft.Extensions.Time.Testing;

namespace AssistantQueue.Tests.Finish;

/// <summary>What is written down about failures, and what of a batch is given up.</summary>
public class FailuresTests
{
    private readonly Failures _failures = new("support", new FakeTimeProvider());

    [Fact]
    public void Batch_SomeErrorsUnreadable_KeepsTheOthersAndTheLast()
    {
        var first = JsonSerializer.Serialize(_failures.Attempt(Claimed(), new AssistantBackendException(BackendErrorKind.Transient, "one") { Code = "x" }, null), StoreJson.Attempt);
        var batch = Claimed() with { Errors = [first, "{"], FailedAttempts = 2 };
        var last = _failures.Attempt(batch, new InvalidOperationException("three"), null);

        var failed = _failures.Batch(batch, FailureKind.AttemptsExhausted, null, last, through: 3);

        Assert.Equal(["one", "InvalidOperationException: three"], failed.Attempts.Select(a => a.Error));
        Assert.Equal(("InvalidOperationException: three", 3, "x"), (failed.Error, last.Attempt, failed.Attempts[0].Code));
        Assert.Equal(["a", "sequence:2", "c"], failed.MessageIds);
    }

    [Theory]
    [InlineData(FailureKind.AttemptsExhausted, 2, false, 2)]
    [InlineData(FailureKind.AttemptsExhausted, 3, false, 3)]
    [InlineData(FailureKind.AttemptsExhausted, 0, false, 3)]
    [InlineData(FailureKind.AttemptsExhausted, 2, true, 3)]
    [InlineData(FailureKind.Permanent, 2, false, 3)]
    [InlineData(FailureKind.Poison, 2, false, 3)]
    public void Through_MessagesThatJoinedAtARetry_KeepTheirOwnAttemptsUnlessPosted(FailureKind kind, long attempted, bool isPosted, long through) =>
        Assert.Equal(through, Failures.Through(Claimed() with { AttemptedThrough = attempted }, kind, isPosted));

    [Fact]
    public void After_OutcomeIsKnown_ForgetsTheRoundsAndKeepsWhatWasPosted()
    {
        var run = Run();
        run.Journal.Rounds.Add(new JournalRound { RunId = "run_1" });
        (run.Journal.PostedThrough, run.Journal.StartedAt) = (3, DateTimeOffset.UnixEpoch.AddYears(1));

        var next = NextJournal.After(new RunFailed(run, new InvalidOperationException(), KeepsRounds: false), isBusy: false, default);
        var journal = JsonSerializer.Deserialize(next.Json, StoreJson.Journal)!;

        Assert.True(next.IsPosted);
        Assert.Empty(journal.Rounds);
        Assert.Equal((3, default), (journal.PostedThrough, journal.StartedAt));
    }

    [Fact]
    public void After_OutcomeIsUnknown_KeepsTheRoundsForTheNextToLookAt()
    {
        var run = Run();
        run.Journal.Rounds.Add(new JournalRound { PostingAt = DateTimeOffset.UnixEpoch.AddYears(1) });

        var next = NextJournal.After(new RunFailed(run, new InvalidOperationException(), KeepsRounds: true), isBusy: false, default);

        Assert.True(next.IsPosted);
        Assert.True(JsonSerializer.Deserialize(next.Json, StoreJson.Journal)!.IsOutcomeUnknown);
    }

    [Fact]
    public void After_BusyAgainAndAgain_CountsUntilSomethingElseHappens()
    {
        var run = Run();
        var failed = new RunFailed(run, new InvalidOperationException(), KeepsRounds: false);

        Assert.False(NextJournal.After(failed, isBusy: true, default).IsPosted);
        NextJournal.After(failed, isBusy: true, default);
        Assert.Equal(2, NextJournal.BusyBefore(run.Journal));
        NextJournal.After(failed, isBusy: false, default);
        Assert.Equal(0, NextJournal.BusyBefore(run.Journal));
    }

    [Fact]
    public void After_Refused_CountsOnlyWhenOthersWereAnsweredInBetween()
    {
        var run = Run();
        var failed = new RunFailed(run, new InvalidOperationException(), KeepsRounds: false);

        Refused(fence: 10, latestAnswer: 5);
        Assert.Equal(new Refusals(1, 10), Refusals.Read(run.Journal));
        Refused(fence: 20, latestAnswer: 9);
        Assert.Equal(new Refusals(1, 10), Refusals.Read(run.Journal));
        Refused(fence: 30, latestAnswer: 15);
        Assert.Equal(new Refusals(2, 30), Refusals.Read(run.Journal));
        Refused(fence: 40, latestAnswer: 15);
        Assert.Equal(new Refusals(2, 30), Refusals.Read(run.Journal));

        NextJournal.After(failed, isBusy: false, default);
        Assert.Equal(default, Refusals.Read(run.Journal));

        void Refused(long fence, long latestAnswer) =>
            NextJournal.After(failed, isBusy: false, Refusals.Read(run.Journal).Next(fence, latestAnswer));
    }

    private static BatchRun Run() => new((_, _) => Task.CompletedTask) { ThreadId = "c1", BatchId = "b1", Fence = 7, Messages = [] };

    private static ClaimedBatch Claimed() => new()
    {
        Lease = new Lease("c1", 0, "w1", 7, "b1", 0),
        FirstSequence = 1,
        LastSequence = 3,
        FailedAttempts = 0,
        AttemptedThrough = 0,
        Deaths = 0,
        IsTakeover = false,
        Entries =
        [
            new StoredEntry(1, DateTimeOffset.UnixEpoch, """{"id":"a","text":"hi"}"""),
            new StoredEntry(2, DateTimeOffset.UnixEpoch, """{"id":"""),
            new StoredEntry(3, DateTimeOffset.UnixEpoch, """{"id":"c","text":"hi"}"""),
        ],
        Conversation = new Dictionary<string, string>(),
        Errors = [],
    };
}
