namespace AssistantQueue;

/// <summary>A tool call waits for approval: the batch rests, without a worker, until <see cref="IAssistantQueueAdmin.ApproveAsync"/> or <see cref="IAssistantQueueAdmin.RejectAsync"/> decides. Backends let it pass.</summary>
/// <param name="calls">The calls that wait.</param>
public sealed class ApprovalPendingException(IReadOnlyList<JournalToolCall> calls)
    : AssistantQueueException($"Tool calls wait for approval: {string.Join(", ", calls.Select(c => $"{c.Name} ({c.CallId})"))}.")
{
    /// <summary>Gets the calls that wait.</summary>
    public IReadOnlyList<JournalToolCall> Calls { get; } = calls;
}
