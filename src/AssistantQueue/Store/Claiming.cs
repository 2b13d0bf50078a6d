namespace AssistantQueue.Store;

/// <summary>A worker's wish for threads.</summary>
/// <param name="Partition">The partition to look in.</param>
/// <param name="WorkerId">The worker's id, unique for the process' life.</param>
/// <param name="Token">Unique for this wish; the same when it is repeated because the answer was lost.</param>
/// <param name="Max">How many threads at the most; zero only looks when something is due.</param>
/// <param name="FreeSlots">How many runs the worker has room for (in all partitions); with none left after this claim nobody wakes it.</param>
/// <param name="Suspects">Whether to take a thread whose owner died with its batch (one, and nothing else) or only others.</param>
internal sealed record ClaimRequest(int Partition, string WorkerId, string Token, int Max, int FreeSlots, bool Suspects);

/// <summary>What a claim gave.</summary>
/// <param name="Batches">The batches, each under a lease.</param>
/// <param name="NextLook">How long until something is due or a lease ends; null when nothing waits.</param>
/// <param name="NextDelivery">How long until a delivery is due; null when none is open.</param>
/// <param name="IsTimekeeper">Whether this worker looks first; the others look 250 ms later.</param>
/// <param name="SuspectsDue">How many suspects wait for a worker that runs nothing else.</param>
/// <param name="ForeignThreads">Threads whose keys hold something that the queue did not write; held back for a minute, or until the end of a lease.</param>
internal sealed record ClaimOutcome(
    IReadOnlyList<ClaimedBatch> Batches,
    TimeSpan? NextLook,
    TimeSpan? NextDelivery,
    bool IsTimekeeper,
    int SuspectsDue,
    IReadOnlyList<string> ForeignThreads);

/// <summary>The right to a thread.</summary>
/// <param name="ThreadId">The thread.</param>
/// <param name="Partition">Its partition.</param>
/// <param name="WorkerId">The owner.</param>
/// <param name="Fence">The fencing number.</param>
/// <param name="BatchId">The sealed batch; empty for a delivery's lease.</param>
/// <param name="ProvenAt">TimeProvider timestamp from before the call was sent that proved the lease.</param>
internal sealed record Lease(string ThreadId, int Partition, string WorkerId, long Fence, string BatchId, long ProvenAt)
{
    /// <summary>The date of <see cref="ProvenAt"/>; null: as long ago as that.</summary>
    public DateTimeOffset? ProvenOn { get; init; }

    /// <summary>How long the lease is from then on; null: <see cref="AssistantQueueOptions.LockDuration"/> as it is when the lease is held.</summary>
    public TimeSpan? Length { get; init; }
}

/// <summary>A sealed batch under a lease.</summary>
internal sealed record ClaimedBatch
{
    private long _last;
    private IReadOnlyList<StoredEntry> _entries = [];

    public required Lease Lease { get; init; }

    public required long FirstSequence { get; init; }

    public required long LastSequence
    {
        get => _last;
        init => _last = value;
    }

    /// <summary>Attempts that failed already, of the batch's oldest messages.</summary>
    public required int FailedAttempts { get; init; }

    /// <summary>The last message that all of <see cref="FailedAttempts"/> tried; later ones joined at a retry and have attempts left. Zero when none failed.</summary>
    public required long AttemptedThrough { get; init; }

    /// <summary>How far the store's clock is ahead of this process' monotonic one: the clock that all workers share.</summary>
    public TimeSpan ClockAhead { get; init; }

    /// <summary>Processes that died with this batch.</summary>
    public required int Deaths { get; init; }

    /// <summary>Whether an earlier owner's lease ended or it gave the thread back.</summary>
    public required bool IsTakeover { get; init; }

    public required IReadOnlyList<StoredEntry> Entries
    {
        get => _entries;
        init => _entries = value;
    }

    /// <summary>The journal as JSON; null for a fresh batch.</summary>
    public string? Journal { get; init; }

    public required IReadOnlyDictionary<string, string> Conversation { get; init; }

    /// <summary>What was decided about tool calls, by their ids.</summary>
    public IReadOnlyDictionary<string, ToolDecision> Decisions { get; init; } = new Dictionary<string, ToolDecision>();

    /// <summary>What newer messages want of the run.</summary>
    public RunWish Wish { get; init; }

    /// <summary>The errors of earlier attempts, each a <see cref="FailedAttempt"/> as JSON.</summary>
    public required IReadOnlyList<string> Errors { get; init; }

    /// <summary>Whether somebody was told that it began; false says nothing in a Cluster.</summary>
    public bool IsWatched { get; init; }

    /// <summary>Gets whether sealed messages were left behind.</summary>
    public bool HasLeftBehind { get; private set; }

    /// <summary>Leaves all but the oldest messages to a later batch: they go on like newer ones.</summary>
    public void LeaveBehind(int kept)
    {
        _entries = [.. _entries.Take(kept)];
        _last = _entries[^1].Sequence;
        HasLeftBehind = true;
    }

    /// <summary>Messages joined the batch while it was run.</summary>
    public void Join(IReadOnlyList<StoredEntry> entries)
    {
        if (entries is [.., { Sequence: var last }])
        {
            _entries = [.. _entries, .. entries];
            _last = last;
        }
    }
}

/// <summary>A stored message: its header's fields and its JSON.</summary>
internal sealed record StoredEntry(long Sequence, DateTimeOffset StoredAt, string Body);

/// <summary>What a renewal gave.</summary>
/// <param name="IsAnswered">Whether the store answered; else nothing is known.</param>
/// <param name="Answers">An answer a lease, in the order given.</param>
/// <param name="Length">How long the renewed leases are from the call on.</param>
/// <param name="NextLook">How long until something of the partition is due or somebody's lease ends; null when nothing waits or runs.</param>
/// <param name="NextDelivery">How long until a delivery is due or the lease of one ends; null when none is open.</param>
internal sealed record RenewOutcome(bool IsAnswered, IReadOnlyList<Renewal> Answers, TimeSpan Length, TimeSpan? NextLook = null, TimeSpan? NextDelivery = null);

/// <summary>What became of the renewal of one lease.</summary>
/// <param name="Answer">Whether it holds.</param>
/// <param name="Wish">What newer messages want of its run.</param>
internal readonly record struct Renewal(RenewAnswer Answer, RunWish Wish)
{
    public static implicit operator Renewal(RenewAnswer answer) => new(answer, RunWish.None);
}

/// <summary>What became of a renewal.</summary>
internal enum RenewAnswer
{
    Renewed,

    /// <summary>Somebody else's now, or gone: stop and write nothing.</summary>
    Lost,

    /// <summary>The store did not answer; the lease holds until its proven time is over.</summary>
    Unknown,
}

/// <summary>What newer messages want of the run under way.</summary>
[Flags]
internal enum RunWish
{
    None = 0,

    /// <summary>To be cancelled, so that the next run answers them together with its own.</summary>
    Interrupt = 1,

    /// <summary>To join it.</summary>
    Join = 2,
}

/// <summary>What somebody wants of a run, told to its worker; may be lost.</summary>
/// <param name="ThreadId">The thread.</param>
/// <param name="Fence">The run's fence: a signal for an earlier owner means nothing to this one.</param>
/// <param name="Wish">What newer messages want.</param>
/// <param name="LiveAfter">The last live item that a watcher has; null when no watcher asks.</param>
internal readonly record struct RunSignal(string ThreadId, long Fence, RunWish Wish, int? LiveAfter);
