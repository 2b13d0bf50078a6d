using System.Text.Json;
using AssistantQueue.Diagnostics;
using AssistantQueue.Leases;
using AssistantQueue.Outcomes;
using AssistantQueue.Store;
using AssistantQueue.Waiting;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Logging;

namespace AssistantQueue.Run;

/// <summary>Runs a claimed batch with the backend, under its lease and within its time. Writes nothing but the journal; says how the run ended.</summary>
internal sealed class RunStep(
    string queueName,
    IQueueStore store,
    IAssistantBackend backend,
    Func<AssistantQueueOptions> options,
    StopStages stop,
    QueueMetrics metrics,
    TimeProvider time,
    ILogger log)
{
    /// <summary>What a run gets at least, also when it is adopted after its time was over: it may have ended at the API long ago.</summary>
    private static readonly TimeSpan ShortestTime = TimeSpan.FromSeconds(10);

    /// <summary>How long a backend may take to stop following its run once it was told to, and to cancel it at the API.</summary>
    private static readonly TimeSpan StopTime = TimeSpan.FromSeconds(10);

    public async Task<RunOutcome> RunAsync(ClaimedBatch batch, HeldLease held)
    {
        var settings = options();
        var stored = StoredBatch.Read(batch);
        if (stored.NewerVersion is { } version)
        {
            return new RunTooNew(version);
        }

        if (stored.Error is { } error)
        {
            return new RunUnreadable(error);
        }

        if (batch.Deaths >= settings.MaxDeaths)
        {
            return new RunPoisonous();
        }

        if (stop.Stopping.IsCancellationRequested)
        {
            return new RunStopped(null, null);
        }

        using var journal = new JournalWriter(
            held,
            store,
            stop,
            stored.Journal.IsAdoptable,
            time,
            e => Log.JournalUnanswered(log, batch.Lease.ThreadId, batch.Lease.BatchId, e),
            () =>
            {
                metrics.LeaseLost();
                Log.LeaseLost(log, batch.Lease.ThreadId, batch.Lease.Fence);
            });
        var run = Prepare(batch, stored, settings, journal);
        Log.RunStarting(log, run.ThreadId, run.BatchId, run.Fence, run.Attempt, run.Messages.Count, batch.IsTakeover);
        return await FollowAsync(run, held, journal, settings);
    }

    private BatchRun Prepare(ClaimedBatch batch, StoredBatch stored, AssistantQueueOptions settings, JournalWriter writer)
    {
        var journal = stored.Journal;
        if (journal.PostedThrough == 0 && journal.Rounds.Count == 0)
        {
            // Nothing went out yet: newer messages may have joined since the last attempt.
            journal.Instructions = StoredBatch.Instructions(stored.Messages, settings.DefaultInstructions);
        }

        if (journal.StartedAt == default)
        {
            journal.StartedAt = time.GetUtcNow();
        }

        return new BatchRun(writer.SaveAsync, writer.ThrowIfNotOwned)
        {
            QueueName = queueName,
            ThreadId = batch.Lease.ThreadId,
            BatchId = batch.Lease.BatchId,
            Fence = batch.Lease.Fence,
            Attempt = batch.FailedAttempts + 1,
            Messages = stored.Messages,
            Combine = settings.Combine,
            Conversation = new ConversationState(batch.Conversation),
            Journal = journal,
        };
    }

    private async Task<RunOutcome> FollowAsync(BatchRun run, HeldLease held, JournalWriter journal, AssistantQueueOptions settings)
    {
        var elapsed = time.GetUtcNow() - run.Journal.StartedAt;
        var remaining = settings.RunTimeout - elapsed;
        var shortest = settings.RunTimeout < ShortestTime ? settings.RunTimeout : ShortestTime;
        using var timeout = new CancellationTokenSource(remaining > shortest ? remaining : shortest, time);
        using var leave = CancellationTokenSource.CreateLinkedTokenSource(held.Ended, stop.Leaving, journal.GivenBack, timeout.Token);

        var following = Task.Run(() => ConsumeAsync(run, leave.Token), CancellationToken.None);
        var isOver = await EndsAsync(following, leave.Token);
        if (!isOver)
        {
            Log.BackendDoesNotStop(log, run.ThreadId, run.BatchId, StopTime);
            _ = following.ContinueWith(late => late.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
        }

        if (isOver && following.IsCompletedSuccessfully)
        {
            return new RunReplied(run, ReplyOf(run, following.Result));
        }

        if (held.Ended.IsCancellationRequested || !held.IsProven)
        {
            return new RunLeaseEnded();
        }

        var failure = isOver ? following.Exception?.InnerException : null;
        if (failure is LeaseLostException)
        {
            return new RunLeaseEnded();
        }

        // Of a run that was told to stop, errors say nothing (a cancelled call looks like a broken connection);
        // what the API said about the batch, the thread or the key counts also then.
        var wasLeft = failure is null or not AssistantBackendException { Kind: not BackendErrorKind.Transient };
        if (wasLeft && (stop.Leaving.IsCancellationRequested || journal.GivenBack.IsCancellationRequested))
        {
            if (!run.Journal.IsAdoptable)
            {
                // The next owner begins a run of its own, with all of RunTimeout.
                run.Journal.StartedAt = default;
            }

            return new RunStopped(run, isOver ? JsonSerializer.Serialize(run.Journal, StoreJson.Journal) : null);
        }

        if (wasLeft && timeout.IsCancellationRequested)
        {
            var isCancelled = isOver && await CancelAtApiAsync(run, held);
            return new RunFailed(
                run,
                new AssistantBackendException(BackendErrorKind.Transient, $"The run took longer than {settings.RunTimeout} (RunTimeout) and was cancelled."),
                KeepsRounds: !isCancelled);
        }

        var error = failure ?? new OperationCanceledException("The backend cancelled its own run.");
        return new RunFailed(run, error, KeepsRounds(error, run.Journal));
    }

    /// <summary>Waits for the run; once it was told to stop, only for a while.</summary>
    private async Task<bool> EndsAsync(Task following, CancellationToken leave)
    {
        await following.WaitAsync(leave).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (!following.IsCompleted)
        {
            await following.WaitAsync(StopTime, time, CancellationToken.None).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        return following.IsCompleted;
    }

    private async Task<RunCompleted> ConsumeAsync(BatchRun run, CancellationToken cancellationToken)
    {
        RunCompleted? completed = null;
        await foreach (var update in backend.RunAsync(run, cancellationToken).WithCancellation(cancellationToken))
        {
            if (completed is not null)
            {
                throw new InvalidOperationException($"The backend yielded {update.GetType().Name} after {nameof(RunCompleted)}, which has to be the last update.");
            }

            completed = update as RunCompleted;
        }

        if (completed is null)
        {
            // A backend may end its updates when told to stop; that is no fault of its run.
            cancellationToken.ThrowIfCancellationRequested();
        }

        return completed ?? throw new InvalidOperationException($"The backend's updates ended without {nameof(RunCompleted)}.");
    }

    private async Task<bool> CancelAtApiAsync(BatchRun run, HeldLease held)
    {
        using var limit = new CancellationTokenSource(StopTime, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, held.Ended);
        try
        {
            await backend.CancelAsync(run, both.Token).WaitAsync(both.Token);
            return true;
        }
        catch (Exception e)
        {
            // The next attempt finds the run in the journal and follows it.
            Log.CancelFailed(log, run.ThreadId, run.BatchId, e);
            return false;
        }
    }

    private AssistantReply ReplyOf(BatchRun run, RunCompleted completed) => new()
    {
        QueueName = queueName,
        ThreadId = run.ThreadId,
        BatchId = run.BatchId,
        RunId = completed.RunId ?? run.Journal.LastRound?.RunId,
        Text = completed.Text,
        Contents = completed.Contents.Count > 0 ? completed.Contents : completed.Text.Length > 0 ? [new TextContent(completed.Text)] : [],
        MessageIds = [.. run.Messages.Select(m => m.MessageId)],
        FirstSequence = run.Messages[0].Sequence,
        LastSequence = run.Messages[^1].Sequence,
        Usage = completed.Usage,
        Model = completed.Model ?? run.Journal.Model,
        Attempt = run.Attempt,
        StartedAt = run.Journal.StartedAt,
        CompletedAt = time.GetUtcNow(),
    };

    // What the backend says wins. From an exception that it did not classify nobody knows what became of the run:
    // a post without an id, or a run that can be adopted, is looked at again.
    private static bool KeepsRounds(Exception error, RunJournal journal) =>
        error is AssistantBackendException known ? known.IsOutcomeUnknown : journal.IsOutcomeUnknown || journal.IsAdoptable;
}
