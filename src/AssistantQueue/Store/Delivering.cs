namespace AssistantQueue.Store;

/// <summary>What a look for deliveries gave.</summary>
internal sealed record DeliveryClaim(IReadOnlyList<OpenDelivery> Deliveries, TimeSpan? NextLook);

/// <summary>A reply or failure that handlers have not taken yet, under a lease of <see cref="AssistantQueueOptions.LockDuration"/>.</summary>
/// <param name="Lease">The right to deliver; <see cref="Lease.BatchId"/> is empty, the thread's oldest delivery is meant. Renewed with the worker's other leases.</param>
/// <param name="BatchId">The batch.</param>
/// <param name="Reply">The <see cref="AssistantReply"/> as JSON, or null.</param>
/// <param name="Failure">The <see cref="FailedBatch"/> as JSON, or null.</param>
/// <param name="FailedTries">How often handlers failed.</param>
/// <param name="Age">How long the delivery has been open.</param>
internal sealed record OpenDelivery(Lease Lease, string BatchId, string? Reply, string? Failure, int FailedTries, TimeSpan Age);
