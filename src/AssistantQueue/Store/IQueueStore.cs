namespace AssistantQueue.Store;

/// <summary>The queue's state, in the words of the queue: one method a step, each atomic, each safe to repeat. Thread-safe.</summary>
/// <remarks>
/// Times without a date are measured on this machine's monotonic clock; the store's own clock is Redis'.
/// A method that finds the store out of reach throws <see cref="StoreUnavailableException"/>; what it was asked to do may have been done.
/// The finishing steps repeat themselves with one request id until they know the outcome or the lease is over.
/// </remarks>
internal interface IQueueStore : IAsyncDisposable
{
    int Partitions { get; }

    /// <summary>The failed store, for operators.</summary>
    IFailedStore Failed { get; }

    int PartitionOf(string threadId);

    /// <summary>How long the store has been reachable without a break; what a process sees at its start counts as for ever.</summary>
    TimeSpan ReachableFor { get; }

    /// <summary>Stores units (the messages of one thread that belong together); what callers hand in while a call is under way travels with the next.</summary>
    /// <exception cref="QueueUnavailableException">Nothing was stored.</exception>
    /// <exception cref="EnqueueOutcomeUnknownException">The answer never came.</exception>
    Task<EnqueueOutcome> EnqueueAsync(EnqueueUnit unit, CancellationToken cancellationToken);

    /// <summary>Takes due threads; ended leases first. With the same token the same batches come back.</summary>
    Task<ClaimOutcome> ClaimAsync(ClaimRequest request, CancellationToken cancellationToken);

    /// <summary>Renews leases and the worker's own record in one call a partition. Synchronous: it runs on a thread of its own.</summary>
    RenewOutcome Renew(int partition, string workerId, IReadOnlyList<Lease> leases);

    /// <summary>Forgets a worker that stops: nobody wakes it, and when it is gone nobody takes its end for a death.</summary>
    /// <param name="partition">The partition.</param>
    /// <param name="workerId">The worker.</param>
    /// <param name="isGone">False while its runs still end.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    Task LeaveAsync(int partition, string workerId, bool isGone, CancellationToken cancellationToken);

    /// <summary>Writes the journal and the conversation's changes under the fence.</summary>
    /// <returns>False when the lease is somebody else's now; nothing was written. True also when the store has lost the thread with its data.</returns>
    Task<bool> WriteJournalAsync(Lease lease, JournalWrite write, CancellationToken cancellationToken);

    /// <summary>Lets waiting messages that ask for it join the batch of a run.</summary>
    /// <param name="lease">The run's lease.</param>
    /// <param name="has">How many messages of the batch the run has.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <returns>The messages behind those; null when the lease is somebody else's now.</returns>
    Task<IReadOnlyList<StoredEntry>?> JoinAsync(Lease lease, int has, CancellationToken cancellationToken);

    Task<FinishAnswer> CompleteAsync(Lease lease, CompleteWrite write, CancellationToken cancellationToken);

    Task<FinishAnswer> RetryAsync(Lease lease, RetryWrite write, CancellationToken cancellationToken);

    Task<FinishAnswer> FailAsync(Lease lease, FailWrite write, CancellationToken cancellationToken);

    /// <summary>Gives the thread back without counting an attempt.</summary>
    Task<FinishAnswer> ReleaseAsync(Lease lease, ReleaseWrite write, CancellationToken cancellationToken);

    /// <summary>Takes up to <paramref name="max"/> threads with an open delivery whose time has come; the oldest delivery of each.</summary>
    Task<DeliveryClaim> ClaimDeliveriesAsync(int partition, string workerId, int max, CancellationToken cancellationToken);

    /// <summary>Closes the delivery; the thread's next one is due at once.</summary>
    Task<bool> CloseDeliveryAsync(OpenDelivery delivery, CancellationToken cancellationToken);

    /// <summary>Tries the delivery again later; the thread's later deliveries wait behind it.</summary>
    /// <param name="delivery">The delivery.</param>
    /// <param name="delay">The pause.</param>
    /// <param name="countTry">Whether a handler failed; false when the worker only stops.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    Task<bool> PostponeDeliveryAsync(OpenDelivery delivery, TimeSpan delay, bool countTry, CancellationToken cancellationToken);

    /// <summary>Moves the delivery to the failed store (kind <see cref="FailureKind.Delivery"/>).</summary>
    Task<bool> AbandonDeliveryAsync(OpenDelivery delivery, FailedBatch failure, CancellationToken cancellationToken);

    /// <summary>Reads the thread's batch with what was decided about its tool calls; null when it has none.</summary>
    Task<ApprovalState?> ReadApprovalAsync(string threadId, CancellationToken cancellationToken);

    /// <summary>Stores a decision about a tool call of a batch; when the thread rests for it, it is due at once.</summary>
    Task<DecideAnswer> DecideAsync(string threadId, string batchId, string callId, ToolDecision decision, CancellationToken cancellationToken);

    Task<QueueStatus> GetStatusAsync(CancellationToken cancellationToken);

    /// <summary>Holds a waiting thread back because its user is typing.</summary>
    Task HoldBackAsync(string threadId, CancellationToken cancellationToken);

    /// <summary>Looks for the reply or failure of the batch that held a message.</summary>
    Task<ReplyLookup> FindReplyAsync(string threadId, long sequence, CancellationToken cancellationToken);

    /// <summary>Finds the sequence number of a message by the id that the app gave, as long as <see cref="AssistantQueueOptions.DeduplicationWindow"/> keeps it.</summary>
    Task<long?> FindMessageAsync(string threadId, string messageId, CancellationToken cancellationToken);

    /// <summary>What is kept of a thread's history: replies, failures, retries and the like, the batch under way, and the messages that wait behind a place.</summary>
    /// <param name="threadId">The thread.</param>
    /// <param name="after">The reader's place. Older messages are read only where they name what a run began to answer since.</param>
    /// <param name="cancellationToken">Ends the reading.</param>
    Task<ThreadHistory> ReadHistoryAsync(string threadId, long after, CancellationToken cancellationToken);

    /// <summary>Calls back with each announcement of the thread until disposed; with null after a reconnect, when some may have been lost.</summary>
    Task<IAsyncDisposable> SubscribeToThreadAsync(string threadId, Action<ThreadAnnouncement?> onAnnouncement, CancellationToken cancellationToken);

    /// <summary>Like <see cref="SubscribeToThreadAsync"/>, with the announcements of replies and failures alone. Who listens so is no watcher.</summary>
    Task<IAsyncDisposable> SubscribeToOutcomesAsync(string threadId, Action<ThreadAnnouncement?> onAnnouncement, CancellationToken cancellationToken);

    /// <summary>Tells watchers what a run says while it is under way. May be lost.</summary>
    Task PublishLiveAsync(string threadId, long fence, IReadOnlyList<LiveItem> items, CancellationToken cancellationToken);

    /// <summary>Asks the worker of a run for what it told after an item, and for what it tells from now on. May be lost.</summary>
    Task AskForLiveAsync(string threadId, string workerId, long fence, int after, CancellationToken cancellationToken);

    /// <summary>Calls back when newer messages or watchers want something of one of this worker's runs, until disposed.</summary>
    /// <param name="workerId">The worker.</param>
    /// <param name="onSignal">What is wanted.</param>
    /// <param name="cancellationToken">Ends the subscribing.</param>
    Task<IAsyncDisposable> SubscribeToRunSignalsAsync(string workerId, Action<RunSignal> onSignal, CancellationToken cancellationToken);

    /// <summary>Calls back when a partition wants this worker to look, until disposed; also after a reconnect.</summary>
    /// <param name="workerId">The worker.</param>
    /// <param name="onWake">Partition, and when something is due there (zero: now).</param>
    /// <param name="cancellationToken">Ends the subscribing.</param>
    Task<IAsyncDisposable> SubscribeToWakeUpsAsync(string workerId, Action<int, TimeSpan> onWake, CancellationToken cancellationToken);
}
