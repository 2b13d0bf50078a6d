namespace AssistantQueue.Store;

/// <summary>The journal and what changed in the conversation.</summary>
/// <param name="Journal">The journal as JSON.</param>
/// <param name="IsAdoptable">Whether taking this run over is no death.</param>
/// <param name="Conversation">Names with their new values; null removes.</param>
internal sealed record JournalWrite(string Journal, bool IsAdoptable, IReadOnlyList<KeyValuePair<string, string?>> Conversation);

/// <summary>The batch is answered.</summary>
/// <param name="Reply">The <see cref="AssistantReply"/> as JSON.</param>
/// <param name="Conversation">What the reply changed in the conversation.</param>
/// <param name="OpenDelivery">Whether handlers are to get it.</param>
/// <param name="Keep">Whether the batch goes to the completed store.</param>
/// <param name="Sequences">The numbers of the messages, in the order of the reply's ids; kept for watchers that come late.</param>
/// <param name="BatchLast">The last message of the batch as its owner knows it; null for all that is sealed. A join that came late may have sealed more, which goes on by itself.</param>
internal sealed record CompleteWrite(
    string Reply,
    IReadOnlyList<KeyValuePair<string, string?>> Conversation,
    bool OpenDelivery,
    bool Keep,
    IReadOnlyList<long>? Sequences = null,
    long? BatchLast = null);

/// <summary>The attempt failed; the batch keeps its place and is due again after the pause.</summary>
/// <param name="Delay">The pause.</param>
/// <param name="Attempt">The <see cref="FailedAttempt"/> as JSON; one attempt is counted.</param>
/// <param name="Journal">The journal for the next attempt as JSON.</param>
/// <param name="IsPosted">Whether the API has messages of the batch, or may have: the sealed range then stays as it is.</param>
/// <param name="BatchLast">The last message of the batch as its owner knows it; null for all that is sealed.</param>
internal sealed record RetryWrite(TimeSpan Delay, string Attempt, string Journal, bool IsPosted, long? BatchLast = null);

/// <summary>The batch is given up.</summary>
/// <param name="Failure">The <see cref="FailedBatch"/> as JSON.</param>
/// <param name="Kind">Why.</param>
/// <param name="Conversation">What is to change in the conversation.</param>
/// <param name="OpenDelivery">Whether handlers are to get it.</param>
/// <param name="LastSequence">The last message that is given up; null for the whole batch. Later ones stay and go on with their own attempts.</param>
/// <param name="Journal">The journal as JSON to keep with the failed batch, for an operator's retry; null keeps the stored one.</param>
/// <param name="BatchLast">The last message of the batch as its owner knows it; null for all that is sealed.</param>
internal sealed record FailWrite(
    string Failure,
    FailureKind Kind,
    IReadOnlyList<KeyValuePair<string, string?>> Conversation,
    bool OpenDelivery,
    long? LastSequence = null,
    string? Journal = null,
    long? BatchLast = null);

/// <summary>The thread is given back; no attempt is counted.</summary>
/// <param name="Delay">How long until anybody may claim it.</param>
/// <param name="Journal">The journal as JSON to keep with the batch; null keeps the stored one.</param>
/// <param name="IsPosted">Whether the API has messages of the batch, or may have: the sealed range then stays as it is.</param>
/// <param name="Hold">Whether and why the thread is held back.</param>
/// <param name="KnownDecisions">With <see cref="ReleaseHold.Approval"/>: how many decisions the run knew; with more in the store the thread is due at once.</param>
/// <param name="Told">What watchers are told with <see cref="ReleaseHold.Approval"/> and <see cref="ReleaseHold.Interrupted"/>, as <see cref="ThreadAnnouncement"/> has it.</param>
/// <param name="BatchLast">The last message of the batch as its owner knows it; null for all that is sealed.</param>
internal sealed record ReleaseWrite(
    TimeSpan Delay, string? Journal, bool IsPosted, ReleaseHold Hold = ReleaseHold.None, int KnownDecisions = 0, string Told = "", long? BatchLast = null);

internal enum ReleaseHold
{
    None,

    /// <summary>A newer version wrote to the thread.</summary>
    NewerVersion,

    /// <summary>Tool calls wait for approval; the delay is how long at the most.</summary>
    Approval,

    /// <summary>Not held: a newer message interrupted the run, and the next batch takes both.</summary>
    Interrupted,
}

internal enum FinishAnswer
{
    /// <summary>Written, now or by an earlier call with the same request id.</summary>
    Applied,

    /// <summary>The lease is somebody else's; nothing was written.</summary>
    Lost,

    /// <summary>The thread is gone from the store (Redis lost its data).</summary>
    Vanished,
}
