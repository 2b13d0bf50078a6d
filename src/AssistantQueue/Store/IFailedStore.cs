namespace AssistantQueue.Store;

/// <summary>The failed store, for operators. Thread-safe; throws <see cref="StoreUnavailableException"/> like <see cref="IQueueStore"/>.</summary>
internal interface IFailedStore
{
    /// <summary>The failed batches, newest first within a partition, each a <see cref="FailedBatch"/> as JSON.</summary>
    IAsyncEnumerable<string> ListAsync(CancellationToken cancellationToken);

    Task<FailedEntry?> ReadAsync(string batchId, CancellationToken cancellationToken);

    /// <summary>Replaces the messages, if they are still as read.</summary>
    Task<FailedAnswer> EditAsync(FailedEntry entry, IReadOnlyList<StoredEntry> messages, CancellationToken cancellationToken);

    Task<FailedAnswer> DiscardAsync(FailedEntry entry, CancellationToken cancellationToken);

    /// <summary>Makes it the thread's next batch again with this journal (JSON, or null for none).</summary>
    Task<FailedAnswer> RetryAsync(FailedEntry entry, string? journal, CancellationToken cancellationToken);
}

/// <summary>A failed batch as it is stored.</summary>
/// <param name="Partition">Where it lies.</param>
/// <param name="BatchId">The batch.</param>
/// <param name="Failure">The <see cref="FailedBatch"/> as JSON.</param>
/// <param name="Lines">The stored messages as they lie there: bytes, since what is corrupt need not be text.</param>
/// <param name="Messages">The stored messages.</param>
/// <param name="Journal">The journal as JSON, or null.</param>
/// <param name="IsDelivery">Whether the handlers failed, not the run.</param>
internal sealed record FailedEntry(
    int Partition, string BatchId, string Failure, ReadOnlyMemory<byte> Lines, IReadOnlyList<StoredEntry> Messages, string? Journal, bool IsDelivery);

internal enum FailedAnswer
{
    Applied,

    /// <summary>Somebody else changed it meanwhile, or the thread has another batch.</summary>
    Busy,

    Missing,
}
