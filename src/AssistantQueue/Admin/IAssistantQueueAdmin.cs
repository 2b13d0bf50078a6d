namespace AssistantQueue;

/// <summary>What an operator can do with a queue's failed batches. Thread-safe; registered beside <see cref="IAssistantMessageQueue"/>, with the same key.</summary>
public interface IAssistantQueueAdmin
{
    /// <summary>Lists the failed batches, newest first within a partition.</summary>
    /// <param name="cancellationToken">Ends the listing.</param>
    /// <returns>The batches; one that fails or goes while the listing is read may be missing.</returns>
    /// <exception cref="QueueUnavailableException">Redis could not be reached, or did not answer; it is thrown while the batches are read.</exception>
    IAsyncEnumerable<FailedBatch> ListFailedAsync(CancellationToken cancellationToken = default);

    /// <summary>Reads a failed batch with its messages.</summary>
    /// <param name="batchId">The batch.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <returns>The batch, or null when it isn't in the failed store.</returns>
    /// <exception cref="QueueUnavailableException">Redis could not be reached, or did not answer.</exception>
    Task<FailedBatchDetails?> GetFailedAsync(string batchId, CancellationToken cancellationToken = default);

    /// <summary>Makes a failed batch its thread's next batch again, before everything that waits; attempts and deaths count anew. A failed delivery is offered to the handlers again.</summary>
    /// <remarks>
    /// The batch keeps its id, its messages and their places, so receipts stay good. Messages that the API has already are not posted again:
    /// the run goes on from the conversation as it is. A batch whose last post had an unknown outcome is looked for before it is posted,
    /// and a run that is known by its id is gone on with.
    /// </remarks>
    /// <param name="batchId">The batch.</param>
    /// <param name="cancellationToken">Ends the waiting; it may be retried nevertheless.</param>
    /// <returns>A task that completes when it is due.</returns>
    /// <exception cref="QueueUnavailableException">Redis could not be reached, or did not answer for a minute: the message says whether it may have been done.</exception>
    /// <exception cref="FailedBatchNotFoundException">The batch isn't in the failed store.</exception>
    /// <exception cref="ThreadBusyException">The thread has another batch under way. Nothing was changed; try again when it has ended.</exception>
    Task RetryFailedAsync(string batchId, CancellationToken cancellationToken = default);

    /// <summary>Forgets a failed batch for good. Messages that the API has already stay in its conversation, unanswered.</summary>
    /// <param name="batchId">The batch.</param>
    /// <param name="cancellationToken">Ends the waiting; it may be discarded nevertheless.</param>
    /// <returns>A task that completes when it is gone.</returns>
    /// <exception cref="QueueUnavailableException">Redis could not be reached, or did not answer for a minute: the message says whether it may have been done.</exception>
    /// <exception cref="FailedBatchNotFoundException">The batch isn't in the failed store.</exception>
    Task DiscardFailedAsync(string batchId, CancellationToken cancellationToken = default);

    /// <summary>Replaces the text of a message of a failed batch. It stays in the failed store until it is retried.</summary>
    /// <param name="batchId">The batch.</param>
    /// <param name="messageId">The message.</param>
    /// <param name="text">The new text, by the rules of <see cref="AssistantMessage.Text"/>.</param>
    /// <param name="cancellationToken">Ends the waiting; it may be edited nevertheless.</param>
    /// <returns>A task that completes when it is stored.</returns>
    /// <exception cref="QueueUnavailableException">Redis could not be reached, or did not answer for a minute: the message says whether it may have been done.</exception>
    /// <exception cref="ArgumentException">A rule is broken, or the batch has no such message.</exception>
    /// <exception cref="FailedBatchNotFoundException">The batch isn't in the failed store.</exception>
    /// <exception cref="InvalidOperationException">The API has the message already, or may have it; a change here could no longer reach it.</exception>
    Task EditFailedAsync(string batchId, string messageId, string text, CancellationToken cancellationToken = default);

    /// <summary>Lets a tool call that waits for approval (see <see cref="Microsoft.Extensions.AI.ApprovalRequiredAIFunction"/>) be made. Approving again changes nothing.</summary>
    /// <param name="threadId">The thread.</param>
    /// <param name="callId">The call, as told by <see cref="ApprovalRequested"/>.</param>
    /// <param name="cancellationToken">Ends the waiting; it may be approved nevertheless.</param>
    /// <returns>A task that completes when the decision is stored; the run goes on as soon as a worker has a free slot.</returns>
    /// <exception cref="ToolCallNotFoundException">The thread's batch has no such call that waits, or it was decided differently.</exception>
    /// <exception cref="QueueUnavailableException">Redis could not be reached.</exception>
    Task ApproveAsync(string threadId, string callId, CancellationToken cancellationToken = default);

    /// <summary>Refuses a tool call that waits for approval; the model is told so, and the run goes on.</summary>
    /// <param name="threadId">The thread.</param>
    /// <param name="callId">The call, as told by <see cref="ApprovalRequested"/>.</param>
    /// <param name="reason">What the model is told; null tells it only that the call was rejected.</param>
    /// <param name="cancellationToken">Ends the waiting; it may be rejected nevertheless.</param>
    /// <returns>A task that completes when the decision is stored.</returns>
    /// <inheritdoc cref="ApproveAsync" path="/exception"/>
    Task RejectAsync(string threadId, string callId, string? reason = null, CancellationToken cancellationToken = default);
}

/// <summary>A failed batch with its messages.</summary>
/// <param name="Batch">The batch.</param>
/// <param name="Messages">The messages, in their order; none for a failed delivery, whose messages are answered.</param>
/// <param name="PostedThrough">The sequence number up to which the API has the messages; zero when it has none.</param>
/// <param name="IsPostUnknown">Whether the API may have the messages behind <paramref name="PostedThrough"/> too: a post's outcome is unknown, or nobody has seen its run end.</param>
public sealed record FailedBatchDetails(FailedBatch Batch, IReadOnlyList<BatchMessage> Messages, long PostedThrough, bool IsPostUnknown);
