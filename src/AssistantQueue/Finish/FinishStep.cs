using System.Text.Json;
using AssistantQueue.Diagnostics;
using AssistantQueue.Leases;
using AssistantQueue.Outcomes;
using AssistantQueue.Store;
using AssistantQueue.Waiting;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Logging;
using Polly;

namespace AssistantQueue.Finish;

/// <summary>Writes how a run ended: complete, retry, fail or release, as <see cref="FinishDecision"/> says. A result is written as long as nobody else has the thread, also while the host stops.</summary>
internal sealed class FinishStep
{
    private static readonly TimeSpan NewerVersionPause = TimeSpan.FromSeconds(30);

    private readonly IQueueStore _store;
    private readonly Func<AssistantQueueOptions> _options;
    private readonly Failures _failures;
    private readonly BackendPause _pause;
    private readonly RefusalStreak _refused = new();
    private readonly RefusalStreak _exhausted = new();
    private readonly StopStages _stop;
    private readonly QueueMetrics _metrics;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly FinishLinks _next;
    private readonly Every _newerVersions;
    private readonly Every _storeErrors;
    private readonly ResiliencePipeline _untilAnswered;
    private readonly Lock _sync = new();
    private long _latestAnswer;

    public FinishStep(
        string queueName,
        IQueueStore store,
        Func<AssistantQueueOptions> options,
        BackendPause pause,
        StopStages stop,
        QueueMetrics metrics,
        TimeProvider time,
        ILogger log,
        FinishLinks next)
    {
        _store = store;
        _options = options;
        _failures = new Failures(queueName, time);
        _pause = pause;
        _stop = stop;
        _metrics = metrics;
        _time = time;
        _log = log;
        _next = next;
        _newerVersions = new Every(TimeSpan.FromMinutes(1), time);
        _storeErrors = new Every(TimeSpan.FromMinutes(1), time);
        _untilAnswered = StoreRetry.UntilAnswered(time, OnUnanswered);
    }

    public async Task FinishAsync(ClaimedBatch batch, HeldLease held, RunOutcome outcome, bool isProbe)
    {
        var toldPause = false;
        try
        {
            switch (outcome)
            {
                case RunReplied replied:
                    toldPause = true;
                    Answered(batch);
                    await CompleteAsync(batch, held, replied);
                    break;
                case RunFailed failed:
                    toldPause = await FailedAsync(batch, held, failed, isProbe);
                    break;
                case RunStopped stopped:
                    var isPosted = stopped.Run is { } run ? NextJournal.IsPostedIn(run.Journal) : batch.Journal is not null;
                    await ReleaseAsync(batch, held, new ReleaseWrite(TimeSpan.Zero, stopped.Journal, isPosted), "stop");
                    break;
                case RunAwaitsApproval waiting:
                    await AwaitApprovalAsync(batch, held, waiting);
                    break;
                case RunInterrupted interrupted:
                    // Not sealed: the newer messages join. All of these stay in it, also those that the API has; the journal says which those are.
                    var rest = JsonSerializer.Serialize(interrupted.Run.Journal, StoreJson.Journal);
                    var write = new ReleaseWrite(TimeSpan.Zero, rest, IsPosted: false, ReleaseHold.Interrupted, Told: ToldOnRelease.Of(interrupted));
                    await ReleaseAsync(batch, held, write, "interrupt");
                    break;
                case RunLeaseEnded ended:
                    if (held.IsLost)
                    {
                        break;
                    }

                    // If nobody took the thread meanwhile it goes back at once instead of at the end of its lease, with what is known of its posts:
                    // one that was refused must not be looked for, and an id that came last not be missing.
                    var mayBePosted = ended.Journal is null || NextJournal.IsPostedIn(ended.Run!.Journal);
                    await ReleaseAsync(batch, held, new ReleaseWrite(TimeSpan.Zero, ended.Journal, mayBePosted), "lease");
                    break;
                case RunPoisonous:
                    var error = $"{batch.Deaths} processes died while they ran this batch, the most that may (MaxDeaths).";
                    await GiveUpAsync(batch, held, FailureKind.Poison, error, null, [], journal: null);
                    break;
                case RunUnreadable unreadable:
                    await GiveUpAsync(batch, held, FailureKind.Corrupt, unreadable.Error, null, [], journal: null, unreadable.Through);
                    break;
                case RunTooNew tooNew:
                    if (_newerVersions.IsTime())
                    {
                        Log.NewerVersion(_log, batch.Lease.ThreadId, tooNew.Version);
                    }

                    await ReleaseAsync(batch, held, new ReleaseWrite(NewerVersionPause, null, IsPosted: true, ReleaseHold.NewerVersion), "version");
                    break;
            }
        }
        catch (OperationCanceledException) when (_stop.Over.IsCancellationRequested)
        {
            Log.FinishLeft(_log, batch.Lease.ThreadId, batch.Lease.BatchId, outcome.GetType().Name);
        }
        finally
        {
            if (isProbe && !toldPause)
            {
                _pause.ProbeUnused();
            }
        }
    }

    private async Task CompleteAsync(ClaimedBatch batch, HeldLease held, RunReplied replied)
    {
        var write = new CompleteWrite(
            Serialize(replied.Reply),
            replied.Run.Conversation.Changes,
            _next.HasHandlers,
            Keep: !_options().RemoveOnComplete,
            [.. replied.Run.Messages.Select(m => m.Sequence)],
            batch.LastSequence);
        switch (await WriteAsync(held, (lease, token) => _store.CompleteAsync(lease, write, token)))
        {
            case FinishAnswer.Applied:
                var duration = replied.Reply.CompletedAt - replied.Reply.StartedAt;
                _metrics.Completed(duration);
                Log.BatchCompleted(_log, batch.Lease.ThreadId, batch.Lease.BatchId, replied.Reply.MessageIds.Count, replied.Reply.Attempt, duration);
                _next.ThreadDue(batch.Lease.Partition, TimeSpan.Zero);
                _next.DeliveryOpened(batch.Lease.Partition);
                break;
            case FinishAnswer.Vanished:
                // Redis lost the thread, not we the reply: nobody else can deliver it any more.
                Log.ThreadVanished(_log, batch.Lease.ThreadId, batch.Lease.BatchId, replied.Reply.RunId, replied.Reply.Text.Length);
                await _next.DeliverUnstoredAsync(replied.Reply);
                break;
            default:
                ReportLost(batch, held);
                break;
        }
    }

    // The time that a run has begins anew: nobody can say how long a person thinks.
    private Task AwaitApprovalAsync(ClaimedBatch batch, HeldLease held, RunAwaitsApproval waiting)
    {
        waiting.Run.Journal.StartedAt = default;
        var write = new ReleaseWrite(
            ApprovalTime.Left(waiting.Run.Journal, _time.GetUtcNow(), _options().Tools.ApprovalTimeout),
            JsonSerializer.Serialize(waiting.Run.Journal, StoreJson.Journal),
            IsPosted: true,
            ReleaseHold.Approval,
            waiting.KnownDecisions,
            ToldOnRelease.Of(waiting));
        return ReleaseAsync(batch, held, write, "approval");
    }

    /// <returns>Whether the backend's pause was told what the run means for it.</returns>
    private async Task<bool> FailedAsync(ClaimedBatch batch, HeldLease held, RunFailed failed, bool isProbe)
    {
        var error = failed.Error;
        var kind = (error as AssistantBackendException)?.Kind;
        var isSuspect = FinishDecision.EndOf(error, batch.FailedAttempts, _options()) switch
        {
            FailureKind.Permanent => _refused.Add(batch.Lease.ThreadId),
            FailureKind.AttemptsExhausted => _exhausted.Add(batch.Lease.ThreadId),
            _ => false,
        };
        var busy = NextJournal.BusyBefore(failed.Run.Journal);
        var refusals = RefusalsOf(batch, failed.Run.Journal, kind, isProbe);
        var action = FinishDecision.For(error, batch.FailedAttempts, busy, isProbe ? 1 : refusals.Count, isSuspect, _options(), Random.Shared.NextDouble());
        // What was given up begins anew when an operator retries it.
        var journal = NextJournal.After(failed, isBusy: kind == BackendErrorKind.ThreadBusy, action is GiveUp ? default : refusals);
        var toldPause = TellPause(batch, error, action, isProbe);
        switch (action)
        {
            case TryAgain again:
                await RetryAsync(batch, held, error, again.Delay, journal);
                break;
            case GiveUp up:
                if (failed is { KeepsRounds: true, Run.Journal.LastRound: { RunId: not null, Calls.Count: 0 } })
                {
                    // Nobody would follow it any more, and the thread's next run would have to wait for it.
                    await _next.CancelRunAsync(failed.Run, held);
                }

                var last = _failures.Attempt(batch, error, retryIn: null);
                await GiveUpAsync(batch, held, up.Kind, up.Error, last, failed.Run.Conversation.Changes, journal);
                break;
            case GiveBack back:
                Log.BatchGivenBack(_log, batch.Lease.ThreadId, batch.Lease.BatchId, back.Delay, error.Message);
                await ReleaseAsync(batch, held, new ReleaseWrite(back.Delay, journal.Json, journal.IsPosted), back.Reason);
                break;
            case PauseBackend pause:
                var until = _pause.Begin(batch.Lease.ThreadId, error.Message, isProbe, pause.RetryAfter);
                await ReleaseAsync(batch, held, new ReleaseWrite(until, journal.Json, journal.IsPosted), "backend");
                break;
        }

        return toldPause;
    }

    private void Answered(ClaimedBatch batch)
    {
        if (batch.Journal is null)
        {
            // All of the run was under this fence: it shows that the backend worked after the claim.
            lock (_sync)
            {
                _latestAnswer = Math.Max(_latestAnswer, batch.Lease.Fence);
            }
        }

        _refused.End();
        _exhausted.End();
        _pause.End();
    }

    private Refusals RefusalsOf(ClaimedBatch batch, RunJournal journal, BackendErrorKind? kind, bool isProbe)
    {
        if (kind != BackendErrorKind.BackendUnavailable)
        {
            return default;
        }

        lock (_sync)
        {
            // A probe's refusal is one with those that began the pause, and shows nothing new about its batch.
            return isProbe ? Refusals.Read(journal) : Refusals.Read(journal).Next(batch.Lease.Fence, _latestAnswer);
        }
    }

    private bool TellPause(ClaimedBatch batch, Exception error, FinishAction action, bool isProbe)
    {
        switch (action)
        {
            case PauseBackend:
                return true;
            case GiveBack { Reason: "busy" } when isProbe:
            case GiveUp { Kind: FailureKind.Permanent } when isProbe:
                // The API looked at the batch itself: key, endpoint and model are good again.
                _pause.End();
                return true;
            case TryAgain or GiveUp when isProbe:
                _pause.Begin(batch.Lease.ThreadId, error.Message, wasProbe: true, retryAfter: null);
                return true;
            default:
                return false;
        }
    }

    private async Task RetryAsync(ClaimedBatch batch, HeldLease held, Exception error, TimeSpan delay, NextJournal journal)
    {
        var attempt = _failures.Attempt(batch, error, delay);
        var write = new RetryWrite(delay, JsonSerializer.Serialize(attempt, StoreJson.Attempt), journal.Json, journal.IsPosted, batch.LastSequence);
        switch (await WriteAsync(held, (lease, token) => _store.RetryAsync(lease, write, token)))
        {
            case FinishAnswer.Applied:
                _metrics.Retried();
                Log.BatchRetrying(_log, batch.Lease.ThreadId, batch.Lease.BatchId, attempt.Attempt, delay, error.Message, error);
                _next.ThreadDue(batch.Lease.Partition, delay);
                _next.Retrying(attempt);
                break;
            case FinishAnswer.Vanished:
                Log.ThreadVanished(_log, batch.Lease.ThreadId, batch.Lease.BatchId, null, 0);
                break;
            default:
                ReportLost(batch, held);
                break;
        }
    }

    private async Task GiveUpAsync(
        ClaimedBatch batch,
        HeldLease held,
        FailureKind kind,
        string? error,
        FailedAttempt? last,
        IReadOnlyList<KeyValuePair<string, string?>> conversation,
        NextJournal? journal,
        long? upTo = null)
    {
        // Of a batch that was not run nobody knows more than the stored journal.
        var through = upTo ?? Failures.Through(batch, kind, journal?.IsPosted ?? true);
        var failure = _failures.Batch(batch, kind, error, last, through);
        var write = new FailWrite(
            JsonSerializer.Serialize(failure, StoreJson.Failure),
            kind,
            conversation,
            _next.HasHandlers,
            through == batch.LastSequence ? null : through,
            journal?.Json,
            batch.LastSequence);
        switch (await WriteAsync(held, (lease, token) => _store.FailAsync(lease, write, token)))
        {
            case FinishAnswer.Applied:
                _metrics.Failed(kind);
                Log.BatchFailed(_log, batch.Lease.ThreadId, batch.Lease.BatchId, kind, failure.MessageIds.Count, failure.Error);
                _next.ThreadDue(batch.Lease.Partition, TimeSpan.Zero);
                _next.DeliveryOpened(batch.Lease.Partition);
                break;
            case FinishAnswer.Vanished:
                Log.ThreadVanished(_log, batch.Lease.ThreadId, batch.Lease.BatchId, null, 0);
                await _next.DeliverUnstoredAsync(failure);
                break;
            default:
                ReportLost(batch, held);
                break;
        }
    }

    private async Task ReleaseAsync(ClaimedBatch batch, HeldLease held, ReleaseWrite write, string reason)
    {
        write = write with { BatchLast = batch.LastSequence };
        switch (await WriteAsync(held, (lease, token) => _store.ReleaseAsync(lease, write, token)))
        {
            case FinishAnswer.Applied:
                _metrics.Released(reason);
                Log.BatchReleased(_log, batch.Lease.ThreadId, batch.Lease.BatchId, reason, write.Delay);
                // A decision that came during the release made the thread due at once, and the store wakes everybody but this worker.
                _next.ThreadDue(batch.Lease.Partition, write.Hold == ReleaseHold.Approval ? TimeSpan.Zero : write.Delay);
                break;
            case FinishAnswer.Vanished:
                Log.ThreadVanished(_log, batch.Lease.ThreadId, batch.Lease.BatchId, null, 0);
                break;
            default:
                ReportLost(batch, held);
                break;
        }
    }

    /// <summary>Writes under a lease that can be proved. When Redis was away for longer than that, waits for what the next renewal says.</summary>
    private async Task<FinishAnswer> WriteAsync(HeldLease held, Func<Lease, CancellationToken, Task<FinishAnswer>> write) =>
        await _untilAnswered.ExecuteAsync(
            async token =>
            {
                if (!await held.ProvenAgainAsync(token))
                {
                    return FinishAnswer.Lost;
                }

                held.IsFinishing = true;
                try
                {
                    return await write(held.Current, token);
                }
                finally
                {
                    held.IsFinishing = false;
                }
            },
            _stop.Over);

    private string Serialize(AssistantReply reply)
    {
        try
        {
            return JsonSerializer.Serialize(reply, StoreJson.Reply);
        }
        catch (Exception e) when (e is NotSupportedException or JsonException)
        {
            // A content type of the backend's own: the reply's text is worth more than the part that can't be stored.
            Log.ReplyContentsDropped(_log, reply.ThreadId, reply.BatchId, e);
            return JsonSerializer.Serialize(reply with { Contents = [new TextContent(reply.Text)] }, StoreJson.Reply);
        }
    }

    private void ReportLost(ClaimedBatch batch, HeldLease held)
    {
        if (held.Lost())
        {
            _metrics.LeaseLost();
        }

        Log.FinishRefused(_log, batch.Lease.ThreadId, batch.Lease.BatchId, batch.Lease.Fence);
    }

    private void OnUnanswered(Exception e)
    {
        if (_storeErrors.IsTime())
        {
            Log.FinishUnanswered(_log, e);
        }
    }
}
