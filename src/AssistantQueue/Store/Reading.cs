namespace AssistantQueue.Store;

/// <summary>What is known of the batch that held a message.</summary>
/// <param name="State">Whether it is answered.</param>
/// <param name="Reply">The <see cref="AssistantReply"/> as JSON.</param>
/// <param name="Failure">The <see cref="FailedBatch"/> as JSON.</param>
internal sealed record ReplyLookup(ReplyState State, string? Reply = null, string? Failure = null);

internal enum ReplyState
{
    Pending,
    Replied,
    Failed,

    /// <summary>Neither waiting nor among the kept replies.</summary>
    Unknown,
}

/// <summary>What is kept of a thread. Stamps are Redis' µs, from one growing sequence a thread: the positions of its updates.</summary>
internal sealed record ThreadHistory(
    IReadOnlyList<HistoryOutcome> Outcomes,
    HistoryBatch? Running,
    IReadOnlyList<StoredEntry> Waiting,
    long Now,
    HistoryApproval? Approval = null,
    IReadOnlyList<ThreadAnnouncement>? Events = null)
{
    /// <summary>How many outcomes of a thread are kept.</summary>
    public const int KeptOutcomes = 20;

    /// <summary>How many events of a thread are kept.</summary>
    public const int KeptEvents = 200;

    /// <summary>How the last run of a batch without an outcome began, whether it is still under way or not.</summary>
    public ThreadAnnouncement? LastRun { get; init; }

    /// <summary>Whether more messages wait than <see cref="Waiting"/> has: then nothing behind the last of those is known yet.</summary>
    public bool HasMore { get; init; }
}

/// <summary>A kept reply or failure.</summary>
/// <param name="Stamp">Its place.</param>
/// <param name="FirstSequence">The batch's first message.</param>
/// <param name="LastSequence">The last message that it is about.</param>
/// <param name="Reply">The <see cref="AssistantReply"/> as JSON.</param>
/// <param name="Failure">The <see cref="FailedBatch"/> as JSON.</param>
/// <param name="Began">How the run began that it ended.</param>
/// <param name="Sequences">The numbers of its messages, in the order of the ids in the reply or failure.</param>
internal sealed record HistoryOutcome(
    long Stamp, long FirstSequence, long LastSequence, string? Reply, string? Failure, ThreadAnnouncement Began, IReadOnlyList<long> Sequences);

/// <summary>The batch that runs now; its stamp is its fence.</summary>
internal sealed record HistoryBatch(long Stamp, string BatchId, long FirstSequence, long LastSequence, int FailedAttempts, string WorkerId = "");

/// <summary>A batch whose tool calls wait for approval; the calls are in its journal (JSON).</summary>
internal sealed record HistoryApproval(long Stamp, string BatchId, long FirstSequence, long LastSequence, string Journal);

/// <summary>Something that happened to a thread just now, as told by the script that did it.</summary>
/// <param name="Stamp">The update's place.</param>
/// <param name="Kind">What happened.</param>
/// <param name="BatchId">The batch; empty for <see cref="AnnouncementKind.Stored"/>.</param>
/// <param name="FirstSequence">The first message concerned.</param>
/// <param name="LastSequence">The last message concerned.</param>
/// <param name="Number">Attempt for Started; time of the retry in unix ms for Retrying; else 0.</param>
/// <param name="WorkerId">The worker for Started; else empty.</param>
/// <param name="Live">For <see cref="AnnouncementKind.Live"/>: what the run told; <paramref name="Stamp"/> is its fence.</param>
/// <param name="More">For Stored the messages' ids, a line each; for Interrupted where the text that is told begins, a blank and the text; for AwaitingApproval the calls (JSON).</param>
internal readonly record struct ThreadAnnouncement(
    long Stamp,
    AnnouncementKind Kind,
    string BatchId,
    long FirstSequence,
    long LastSequence,
    long Number,
    string WorkerId = "",
    IReadOnlyList<LiveItem>? Live = null,
    string More = "");

internal enum AnnouncementKind
{
    Stored,
    Started,
    Replied,
    Retrying,
    Failed,
    AwaitingApproval,
    Interrupted,

    /// <summary>Messages joined the batch while it is run.</summary>
    Joined,

    /// <summary>Told by the run itself while it is under way; kept nowhere but in its process.</summary>
    Live,
}
