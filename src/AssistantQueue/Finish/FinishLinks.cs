using AssistantQueue.Leases;

namespace AssistantQueue.Finish;

/// <summary>What the worker passes to the finish step: the next step, and the direct ways to the handlers.</summary>
internal sealed record FinishLinks
{
    /// <summary>Whether this host has handlers, so that a delivery is opened.</summary>
    public required bool HasHandlers { get; init; }

    /// <summary>A thread of a partition may be due after a time: the scripts leave it to the worker that finishes to look, and wake others only.</summary>
    public required Action<int, TimeSpan> ThreadDue { get; init; }

    /// <summary>A delivery was opened in a partition.</summary>
    public required Action<int> DeliveryOpened { get; init; }

    /// <summary>Cancels at the API what the journal says is running there; not for long, only under the lease, and never fails.</summary>
    public required Func<BatchRun, HeldLease, Task> CancelRunAsync { get; init; }

    /// <summary>An attempt failed; handlers are told once. Returns at once.</summary>
    public required Action<FailedAttempt> Retrying { get; init; }

    /// <summary>Hands an <see cref="AssistantReply"/> or <see cref="FailedBatch"/> whose thread vanished from the store to the handlers, once.</summary>
    public required Func<object, Task> DeliverUnstoredAsync { get; init; }
}
