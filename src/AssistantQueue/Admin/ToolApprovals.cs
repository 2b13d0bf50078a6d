using System.Text.Json;
using AssistantQueue.Enqueue;
using AssistantQueue.Store;

namespace AssistantQueue.Admin;

/// <summary>Decides about tool calls that wait for approval: finds the call in its batch's journal, then stores the decision for that batch.</summary>
internal sealed class ToolApprovals(IQueueStore store)
{
    private const int MaxReason = 10_000;

    public async Task DecideAsync(string threadId, string callId, ToolDecision decision, CancellationToken cancellationToken)
    {
        MessageRules.CheckThreadId(threadId, nameof(threadId));
        ArgumentException.ThrowIfNullOrEmpty(callId);
        if (decision.Reason.Length > MaxReason)
        {
            throw new ArgumentException($"A rejection's reason must have at most {MaxReason:N0} characters; it has {decision.Reason.Length:N0}.", nameof(decision));
        }

        try
        {
            var state = await store.ReadApprovalAsync(threadId, cancellationToken);
            if (state is null || !Waits(state, callId))
            {
                throw new ToolCallNotFoundException(threadId, callId);
            }

            if (await store.DecideAsync(threadId, state.BatchId, callId, decision, cancellationToken) != DecideAnswer.Stored)
            {
                throw new ToolCallNotFoundException(threadId, callId);
            }
        }
        catch (StoreUnavailableException e)
        {
            throw new QueueUnavailableException(e.Message, e);
        }
    }

    // A decided call is no longer waiting as soon as its run goes on; until then deciding again is answered by the store.
    private static bool Waits(ApprovalState state, string callId)
    {
        if (state.Decisions.ContainsKey(callId))
        {
            return true;
        }

        try
        {
            return state.Journal.Length > 0
                && JsonSerializer.Deserialize(state.Journal, StoreJson.Journal)?.LastRound?.Calls.Any(c => c.CallId == callId && c.State == ToolCallState.AwaitingApproval) == true;
        }
        catch (JsonException)
        {
            // What can't be read fails when it is run; there is nothing to approve in it.
            return false;
        }
    }
}
