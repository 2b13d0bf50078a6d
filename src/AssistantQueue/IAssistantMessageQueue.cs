namespace AssistantQueue;

/// <summary>Adds users' messages to threads, and reads what became of them. Thread-safe; one instance a queue serves the whole process.</summary>
public interface IAssistantMessageQueue
{
    /// <summary>Adds one text message to a thread.</summary>
    /// <param name="threadId">The app's own key of the conversation: 1 to 256 characters, no control characters.</param>
    /// <param name="message">The text: 1 to 10,485,760 characters, not only white space.</param>
    /// <param name="instructions">Instructions for the run that answers it.</param>
    /// <param name="cancellationToken">Ends the waiting; the message may be stored nevertheless when the call was under way.</param>
    /// <returns>The receipt. When the task has completed, the message is stored.</returns>
    /// <exception cref="ArgumentException">A rule is broken; the message names it. Nothing was stored.</exception>
    /// <exception cref="ThreadBusyException">A run of the thread is under way and <see cref="AssistantQueueOptions.WhenBusy"/> is <see cref="BusyAction.Reject"/>. Nothing was stored.</exception>
    /// <exception cref="ThreadFullException">The thread has <see cref="AssistantQueueOptions.MaxPendingMessages"/> messages waiting. Nothing was stored.</exception>
    /// <exception cref="QueueUnavailableException">Redis could not be reached. Nothing was stored.</exception>
    /// <exception cref="EnqueueOutcomeUnknownException">The call was sent and its answer never came. Enqueueing again with the same message id is safe.</exception>
    Task<MessageReceipt> AddMessageToThreadAsync(string threadId, string message, string? instructions = null, CancellationToken cancellationToken = default);

    /// <summary>Adds one message.</summary>
    /// <param name="message">The message.</param>
    /// <param name="cancellationToken">Ends the waiting; the message may be stored nevertheless when the call was under way.</param>
    /// <returns>The receipt. When the task has completed, the message is stored.</returns>
    /// <inheritdoc cref="AddMessageToThreadAsync" path="/exception"/>
    Task<MessageReceipt> EnqueueAsync(AssistantMessage message, CancellationToken cancellationToken = default);

    /// <summary>Adds several messages; those of one thread are stored together or not at all.</summary>
    /// <param name="messages">The messages, in their order.</param>
    /// <param name="cancellationToken">Ends the waiting; messages may be stored nevertheless when the call was under way.</param>
    /// <returns>A receipt a message, in the order given.</returns>
    /// <remarks>When threads differ in their outcome, the exception is thrown after the others were stored; with the same message ids the call can be repeated.</remarks>
    /// <inheritdoc cref="AddMessageToThreadAsync" path="/exception"/>
    Task<IReadOnlyList<MessageReceipt>> EnqueueAsync(IReadOnlyList<AssistantMessage> messages, CancellationToken cancellationToken = default);

    /// <summary>Waits until the message is answered. Works from any process, also when the reply is there already.</summary>
    /// <param name="receipt">The message's receipt. One with <see cref="MessageReceipt.Sequence"/> zero is found by its <see cref="MessageReceipt.MessageId"/>, if that is the app's own and still recognised (<see cref="AssistantQueueOptions.DeduplicationWindow"/>).</param>
    /// <param name="cancellationToken">Ends the waiting, for example after a timeout; the run goes on.</param>
    /// <returns>The reply to the batch that the message was in.</returns>
    /// <exception cref="BatchFailedException">The batch was given up.</exception>
    /// <exception cref="ReplyExpiredException">The reply is no longer kept (<see cref="AssistantQueueOptions.ReplyRetention"/>), or the message isn't known.</exception>
    /// <exception cref="ArgumentException">The receipt is from another queue.</exception>
    /// <exception cref="QueueUnavailableException">Redis could not be reached to begin with; once waiting has begun, it goes on through outages.</exception>
    Task<AssistantReply> WaitForReplyAsync(MessageReceipt receipt, CancellationToken cancellationToken = default);

    /// <summary>Follows a thread: first what is kept and newer than <paramref name="after"/>, then what happens from now on.</summary>
    /// <param name="threadId">The thread.</param>
    /// <param name="after">The position of the last update seen; null follows from now on, and a run under way from its beginning.</param>
    /// <param name="cancellationToken">Ends the watching. It never stops a run.</param>
    /// <returns>The updates, in their order, none of them twice, without end. A position that isn't, or may not be, in the kept history any more begins with an <see cref="UpdatesSkipped"/> that says so, and goes on with what is kept behind it; one that a Redis without its data doesn't know with all that is kept. What a run tells while it is under way (<see cref="TextDelta"/>, <see cref="ToolCalled"/>, <see cref="ToolAnswered"/>) is kept by its worker only, up to 64 kB and until it ends; after that there is the reply, which may lack what the model said before a tool call (<see cref="AssistantReply.Text"/>).</returns>
    /// <exception cref="ArgumentException"><paramref name="after"/> is not the position of an update.</exception>
    /// <exception cref="QueueUnavailableException">Redis could not be reached to begin with; once watching has begun, it goes on through outages.</exception>
    IAsyncEnumerable<ThreadUpdate> WatchThreadAsync(string threadId, string? after = null, CancellationToken cancellationToken = default);

    /// <summary>Says that the thread's user is typing: a waiting thread waits for <see cref="AssistantQueueOptions.MessageDelay"/> from now on, at most until <see cref="AssistantQueueOptions.MaxMessageDelay"/> after its oldest message.</summary>
    /// <remarks>Changes nothing when no message of the thread waits, or when it is due, running or pausing. Cheap enough to be called with every few keys.</remarks>
    /// <param name="threadId">The thread.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <returns>A task that completes when the thread is held back, or needn't be.</returns>
    /// <exception cref="ArgumentException">The thread's id breaks a rule.</exception>
    /// <exception cref="QueueUnavailableException">Redis could not be reached.</exception>
    Task NotifyTypingAsync(string threadId, CancellationToken cancellationToken = default);

    /// <summary>Counts the queue's messages and threads.</summary>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <returns>The counts.</returns>
    /// <exception cref="QueueUnavailableException">Redis could not be reached.</exception>
    Task<QueueStatus> GetQueueStatusAsync(CancellationToken cancellationToken = default);
}
