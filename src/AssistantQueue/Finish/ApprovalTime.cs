namespace AssistantQueue.Finish;

/// <summary>How long a batch rests for approvals: until the first of its calls has waited for as long as it may, however often the batch is looked at meanwhile. Pure.</summary>
internal static class ApprovalTime
{
    // Clocks of two machines differ, and a pause may end a little early: looking again soon does no harm, looking all the time would.
    private static readonly TimeSpan Shortest = TimeSpan.FromSeconds(1);

    public static TimeSpan Left(RunJournal journal, DateTimeOffset now, TimeSpan timeout)
    {
        var first = journal.Rounds.SelectMany(r => r.Calls).Where(c => c.State == ToolCallState.AwaitingApproval).Min(c => c.AskedAt) ?? now;
        var left = first + timeout - now;
        // Asked by a worker whose clock is ahead: never longer than the whole.
        return left < Shortest ? Shortest : left > timeout ? timeout : left;
    }
}
