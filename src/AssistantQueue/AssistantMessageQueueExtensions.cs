namespace AssistantQueue;

/// <summary>Shortcuts for <see cref="IAssistantMessageQueue"/>.</summary>
public static class AssistantMessageQueueExtensions
{
    /// <summary>Adds a text message and waits for the reply to the batch that it is in.</summary>
    /// <param name="queue">The queue.</param>
    /// <param name="threadId">The app's own key of the conversation.</param>
    /// <param name="text">The text.</param>
    /// <param name="instructions">Instructions for the run that answers it.</param>
    /// <param name="cancellationToken">Ends the waiting; the message stays, and its run goes on.</param>
    /// <returns>The reply; it may answer other messages of the thread, too.</returns>
    /// <inheritdoc cref="IAssistantMessageQueue.AddMessageToThreadAsync" path="/exception"/>
    /// <exception cref="BatchFailedException">The batch was given up.</exception>
    public static async Task<AssistantReply> AskAsync(this IAssistantMessageQueue queue, string threadId, string text, string? instructions = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(queue);
        var receipt = await queue.AddMessageToThreadAsync(threadId, text, instructions, cancellationToken);
        return await queue.WaitForReplyAsync(receipt, cancellationToken);
    }
}
