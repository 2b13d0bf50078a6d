namespace AssistantQueue.Store;

/// <summary>Messages of one thread that are stored together or not at all.</summary>
internal sealed record EnqueueUnit(string ThreadId, IReadOnlyList<NewMessage> Messages);

/// <summary>A message as it goes into the store.</summary>
/// <param name="MessageId">The channel's id, or one that the queue made.</param>
/// <param name="IsDeduplicated">Whether the id came from the app and is to be recognised again.</param>
/// <param name="Body">The message as JSON (see <see cref="StoredMessage"/>), without line breaks.</param>
/// <param name="Characters">The characters that count for a batch's limit.</param>
/// <param name="Delay">The message's own delay.</param>
/// <param name="Flush">Whether the thread is due at once.</param>
/// <param name="WhenBusy">What it does to a run under way.</param>
internal sealed record NewMessage(
    string MessageId, bool IsDeduplicated, string Body, int Characters, TimeSpan? Delay, bool Flush, BusyAction WhenBusy = BusyAction.Collect);

/// <summary>What became of a unit.</summary>
internal sealed record EnqueueOutcome(EnqueueStatus Status, IReadOnlyList<StoredReceipt> Receipts);

/// <summary>Where a message lies.</summary>
/// <param name="Sequence">Its sequence number.</param>
/// <param name="DueAt">When its thread is due; null behind a run.</param>
/// <param name="IsDuplicate">Whether it was known already.</param>
internal readonly record struct StoredReceipt(long Sequence, DateTimeOffset? DueAt, bool IsDuplicate);

internal enum EnqueueStatus
{
    Stored,

    /// <summary>More than <see cref="AssistantQueueOptions.MaxPendingMessages"/>; nothing of the unit was stored.</summary>
    ThreadFull,

    /// <summary>A run is under way and the message is not to wait for it; nothing of the unit was stored.</summary>
    Busy,

    /// <summary>A key of the thread holds something else than the queue wrote; nothing of the unit was stored.</summary>
    Corrupt,
}
