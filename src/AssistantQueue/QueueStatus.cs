namespace AssistantQueue;

/// <summary>How many messages, and threads, are in which state.</summary>
/// <remarks>A snapshot: partitions are read one after the other while work goes on.</remarks>
public sealed record QueueStatus
{
    /// <summary>Gets the messages that a run is answering now.</summary>
    public long ActiveCount { get; init; }

    /// <summary>Gets the messages that are due, or wait behind a run.</summary>
    public long WaitingCount { get; init; }

    /// <summary>Gets the messages whose thread is not due yet.</summary>
    public long DelayedCount { get; init; }

    /// <summary>Gets the messages answered since the queue was created.</summary>
    public long CompletedCount { get; init; }

    /// <summary>Gets the messages that lie in the failed store now.</summary>
    public long FailedCount { get; init; }

    /// <summary>Gets the threads that have a run now.</summary>
    public long ActiveThreads { get; init; }

    /// <summary>Gets the threads that are due and wait for a free slot.</summary>
    public long WaitingThreads { get; init; }

    /// <summary>Gets the threads that are not due yet.</summary>
    public long DelayedThreads { get; init; }

    /// <summary>Gets a value indicating whether <see cref="WaitingCount"/> and <see cref="DelayedCount"/> were extrapolated from 1,000 threads.</summary>
    public bool IsEstimate { get; init; }
}
