using AssistantQueue.Store;

namespace AssistantQueue.Outcomes;

/// <summary>How a run ended, before anybody decided what that means.</summary>
internal abstract record RunOutcome;

/// <summary>The backend answered.</summary>
internal sealed record RunReplied(BatchRun Run, AssistantReply Reply) : RunOutcome;

/// <summary>The backend failed.</summary>
/// <param name="Run">The run.</param>
/// <param name="Error">Why.</param>
/// <param name="KeepsRounds">Whether the next attempt has to look at this attempt's posts: one may have been taken, or the run may still be going.</param>
internal sealed record RunFailed(BatchRun Run, Exception Error, bool KeepsRounds) : RunOutcome;

/// <summary>The host stops and the run was left; it goes on elsewhere.</summary>
/// <param name="Run">The run; null when it had not begun.</param>
/// <param name="Journal">The journal to hand on; null keeps the stored one.</param>
internal sealed record RunStopped(BatchRun? Run, string? Journal) : RunOutcome;

/// <summary>The lease could not be proved any more, or is somebody else's.</summary>
/// <param name="Run">The run; null when it had not begun, or was being cancelled.</param>
/// <param name="Journal">The journal to hand on, with what the API has said meanwhile; null keeps the stored one.</param>
internal sealed record RunLeaseEnded(BatchRun? Run = null, string? Journal = null) : RunOutcome;

/// <summary>Too many processes died with the batch; it was not run.</summary>
internal sealed record RunPoisonous : RunOutcome;

/// <summary>What is stored for the batch can't be read; it was not run.</summary>
/// <param name="Error">What is broken.</param>
/// <param name="Through">The batch's oldest message, which alone is given up; null gives up the whole batch.</param>
internal sealed record RunUnreadable(string Error, long? Through) : RunOutcome;

/// <summary>What is stored was written by a newer version of the library; it was not run.</summary>
internal sealed record RunTooNew(int Version) : RunOutcome;

/// <summary>Tool calls wait for approval; the run is given back until somebody decides.</summary>
/// <param name="Run">The run; its journal holds the calls.</param>
/// <param name="KnownDecisions">How many decisions it knew.</param>
internal sealed record RunAwaitsApproval(BatchRun Run, int KnownDecisions) : RunOutcome;

/// <summary>A newer message interrupted the run, which has ended at the API; its messages are answered by the next run together with the newer ones.</summary>
/// <param name="Run">The run.</param>
/// <param name="Text">What it had written, as far as that is known.</param>
/// <param name="TextOffset">Where <paramref name="Text"/> begins in what it had written.</param>
internal sealed record RunInterrupted(BatchRun Run, string Text = "", int TextOffset = 0) : RunOutcome;
