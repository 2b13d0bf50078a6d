namespace AssistantQueue.Store;

/// <summary>What somebody decided about a tool call that needed approval.</summary>
/// <param name="IsApproved">Whether it may be made.</param>
/// <param name="Reason">Why not, for the model; empty when nobody said.</param>
internal sealed record ToolDecision(bool IsApproved, string Reason);

/// <summary>The batch of a thread, with what was decided about its tool calls.</summary>
/// <param name="BatchId">The batch.</param>
/// <param name="Journal">Its journal as JSON; empty when there is none.</param>
/// <param name="Decisions">The decisions, by the calls' ids.</param>
internal sealed record ApprovalState(string BatchId, string Journal, IReadOnlyDictionary<string, ToolDecision> Decisions);

internal enum DecideAnswer
{
    Stored,
    DecidedDifferently,
    Missing,
}
