using AssistantQueue.Finish;

namespace AssistantQueue.Tests.Finish;

/// <summary>How long a batch rests for approvals.</summary>
public class ApprovalTimeTests
{
    private static readonly DateTimeOffset Now = DateTimeOffset.UnixEpoch.AddYears(50);
    private static readonly TimeSpan Day = TimeSpan.FromHours(24);

    [Theory]
    [InlineData(0, 24)]
    [InlineData(-23, 1)]
    [InlineData(2, 24)]
    public void Left_AfterSomeHours_IsTheRestOfTheTime(int askedHours, int leftHours) =>
        Assert.Equal(TimeSpan.FromHours(leftHours), ApprovalTime.Left(Asked(Now.AddHours(askedHours)), Now, Day));

    [Fact]
    public void Left_SeveralWait_IsTheFirstOnes() =>
        Assert.Equal(TimeSpan.FromHours(4), ApprovalTime.Left(Asked(Now.AddHours(-1), Now.AddHours(-20), Now.AddHours(-3)), Now, Day));

    [Fact]
    public void Left_AnsweredBefore_DoesNotCount()
    {
        var journal = Asked(Now.AddHours(-1));
        journal.Rounds[0].Calls.Add(new JournalToolCall { CallId = "done", Name = "refund", State = ToolCallState.Answered, AskedAt = Now.AddHours(-23) });

        Assert.Equal(TimeSpan.FromHours(23), ApprovalTime.Left(journal, Now, Day));
    }

    [Fact]
    public void Left_TimeIsOverByThisClock_IsASecond() =>
        Assert.Equal(TimeSpan.FromSeconds(1), ApprovalTime.Left(Asked(Now.AddHours(-25)), Now, Day));

    private static RunJournal Asked(params DateTimeOffset[] times) => new()
    {
        Rounds = [new JournalRound { Calls = [.. times.Select((t, i) => new JournalToolCall { CallId = $"c{i}", Name = "refund", State = ToolCallState.AwaitingApproval, AskedAt = t })] }],
    };
}
