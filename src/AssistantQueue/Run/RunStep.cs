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
    ToolSet tools,
    ToolCaller caller,
    Func<AssistantQueueOptions> options,
    StopStages stop,
    LiveReplies lives,
    QueueMetrics metrics,
    TimeProvider time,
    ILogger log)
{
    /// <summary>What a run gets at least, also when it is adopted after its time was over: it may have ended at the API long ago.</summary>
    private static readonly TimeSpan ShortestTime = TimeSpan.FromSeconds(10);

    /// <summary>How long a backend may take to stop following its run once it was told to, and to cancel one whose time is up.</summary>
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
            // Of what the API has, or may have, no part goes on by itself.
            if (stored.BrokenAt is not { } at || MayBePosted(batch, at, stored.Journal))
            {
                return new RunUnreadable(error, null);
            }

            if (at == 0)
            {
                return new RunUnreadable(error, batch.Entries[0].Sequence);
            }

            // Those before it are answered first; then it is the oldest.
            batch.LeaveBehind(at);
            stored = stored with { Messages = [.. stored.Messages.Take(at)] };
        }

        if (batch.Deaths >= settings.MaxDeaths)
        {
            return new RunPoisonous();
        }

        if (stop.Stopping.IsCancellationRequested)
        {
            return new RunStopped(null, null);
        }

        var mayInterrupt = stored.Journal.Interruptions < settings.MaxInterruptions;
        using var journal = new JournalWriter(
            held,
            store,
            stop,
            stored.Journal,
            mayInterrupt,
            time,
            e => Log.JournalUnanswered(log, batch.Lease.ThreadId, batch.Lease.BatchId, e),
            () =>
            {
                metrics.LeaseLost();
                Log.LeaseLost(log, batch.Lease.ThreadId, batch.Lease.Fence);
            });
        var live = new LiveReply(batch.Lease.ThreadId, batch.Lease.Fence, store, time, log);
        if (batch.IsWatched)
        {
            live.Expect();
        }

        using var listening = lives.Add(batch.Lease.ThreadId, batch.Lease.Fence, live);
        var run = Prepare(batch, stored, settings, journal, live, held);
        Log.RunStarting(log, run.ThreadId, run.BatchId, run.Fence, run.Attempt, run.Messages.Count, batch.IsTakeover);
        held.Wants(batch.Wish);
        RunOutcome? outcome;
        if (mayInterrupt && (batch.Wish & RunWish.Interrupt) != 0 && run.Journal is { Rounds.Count: 0, IsAdoptable: false })
        {
            // The message came between two attempts: nothing runs at the API that would have to be cancelled.
            outcome = Interrupted(run);
        }
        else
        {
            // An owner that died while it interrupted the run left it for the next one to end.
            outcome = run.Journal.IsInterrupting ? null : await FollowAsync(run, held, journal, live, settings, journal.Interrupted);
            while (outcome is null)
            {
                outcome = await InterruptAsync(run, held, journal, live, settings);
            }
        }

        await live.EndAsync();
        return outcome switch
        {
            RunFailed { Error: ApprovalPendingException } => new RunAwaitsApproval(run, batch.Decisions.Count),
            RunInterrupted interrupted when live.Text is var (offset, text) => interrupted with { Text = text, TextOffset = offset },
            _ => outcome,
        };
    }

    private BatchRun Prepare(ClaimedBatch batch, StoredBatch stored, AssistantQueueOptions settings, JournalWriter writer, LiveReply live, HeldLease held)
    {
        var journal = stored.Journal;
        if (journal.Rounds.Count == 0 && (journal.PostedThrough == 0 || journal.Interruptions > 0))
        {
            // Nothing went out yet, or a newer message interrupted it: newer messages may have joined since the last attempt.
            journal.Instructions = StoredBatch.Instructions(stored.Messages, settings.DefaultInstructions);
        }
        else if (HasUnsent(stored.Messages, journal))
        {
            // An earlier owner died or failed after they had joined, before they went out.
            journal.Instructions = StoredBatch.Instructions(stored.Messages, journal.Instructions);
        }

        if (journal.StartedAt == default)
        {
            journal.StartedAt = Now(batch.ClockAhead);
        }

        return new BatchRun(writer.SaveAsync, writer.ThrowIfNotOwned)
        {
            QueueName = queueName,
            ThreadId = batch.Lease.ThreadId,
            BatchId = batch.Lease.BatchId,
            Fence = batch.Lease.Fence,
            ClockAhead = batch.ClockAhead,
            Attempt = batch.FailedAttempts + 1,
            Messages = stored.Messages,
            Combine = settings.Combine,
            Conversation = new ConversationState(batch.Conversation),
            Journal = journal,
            Tools = new RunTools(tools, caller, () => options().Tools, batch.Decisions, update => live.TellAsync(update), metrics, time, log)
            {
                IsOvertaken = () => (held.Wish & RunWish.Interrupt) != 0,
            },
            Join = (run, cancellationToken) => JoinAsync(run, batch, held, cancellationToken),
        };
    }

    /// <summary>Whether the API has, or may have, messages of a batch from a place on.</summary>
    private static bool MayBePosted(ClaimedBatch batch, int from, RunJournal journal)
    {
        var before = from == 0 ? 0 : batch.Entries[from - 1].Sequence;
        return journal.PostedThrough > before || journal.Rounds.Any(r => r.Through == 0 || r.Through > before);
    }

    /// <summary>Whether messages joined the batch that no post carries yet.</summary>
    private static bool HasUnsent(IReadOnlyList<BatchMessage> messages, RunJournal journal) =>
        messages[^1].Sequence > journal.PostedThrough && journal.Rounds.All(r => r.Through > 0 && r.Through < messages[^1].Sequence);

    /// <summary>Lets messages that ask for it join the run: the store seals them into the batch, then the run gets them.</summary>
    private async Task<IReadOnlyList<BatchMessage>> JoinAsync(BatchRun run, ClaimedBatch batch, HeldLease held, CancellationToken cancellationToken)
    {
        if ((held.Wish & RunWish.Join) == 0 || batch.HasLeftBehind)
        {
            return [];
        }

        // First, so that a message that comes meanwhile is not forgotten.
        held.Granted(RunWish.Join);
        held.ThrowIfNotProven();
        using var both = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, held.Ended);
        var entries = await StoreRetry.UntilAnswered(time, e => Log.JournalUnanswered(log, batch.Lease.ThreadId, batch.Lease.BatchId, e))
            .ExecuteAsync(async token => await store.JoinAsync(held.Current, batch.Entries.Count, token), both.Token)
            ?? throw new LeaseLostException(batch.Lease.ThreadId, batch.Lease.Fence);
        var joined = entries.Select(StoredBatch.ReadMessage).ToList();
        batch.Join(entries);
        if (joined.Count > 0)
        {
            run.Journal.Instructions = StoredBatch.Instructions([.. run.Messages, .. joined], run.Journal.Instructions);
            Log.MessagesJoined(log, batch.Lease.ThreadId, batch.Lease.BatchId, joined.Count);
        }

        return joined;
    }

    /// <summary>Ends the run at the API because of a newer message. When it can't be cancelled any more, its reply is about to be there and is taken.</summary>
    /// <returns>How the run ended; null when it went on with another round instead, and that one is to be interrupted.</returns>
    private async Task<RunOutcome?> InterruptAsync(BatchRun run, HeldLease held, JournalWriter journal, LiveReply live, AssistantQueueOptions settings)
    {
        held.Granted(RunWish.Interrupt);
        run.Journal.IsInterrupting = true;
        try
        {
            await journal.SaveAsync(run, held.Ended);
        }
        catch (Exception e) when (e is LeaseLostException or OperationCanceledException)
        {
            return new RunLeaseEnded();
        }

        // As long as the lease and the run's time allow: a run may stay "cancelling" for long, and nothing else can be done with the thread.
        using var timeout = new CancellationTokenSource(TimeLeft(run, settings), time);
        using var leave = CancellationTokenSource.CreateLinkedTokenSource(held.Ended, stop.Leaving, journal.GivenBack, timeout.Token);
        if (!await CancelAtApiAsync(run, leave.Token))
        {
            if (held.Ended.IsCancellationRequested || !held.IsProven)
            {
                return new RunLeaseEnded();
            }

            if (stop.Leaving.IsCancellationRequested || journal.GivenBack.IsCancellationRequested)
            {
                // The stored journal says that the run is being interrupted: the next owner goes on with that.
                return new RunStopped(run, null);
            }

            if (timeout.IsCancellationRequested)
            {
                // The next attempt goes on with the interruption.
                return new RunFailed(
                    run,
                    new AssistantBackendException(BackendErrorKind.Transient, $"The run was interrupted and did not end within {settings.RunTimeout} (RunTimeout)."),
                    KeepsRounds: true);
            }

            run.Journal.IsInterrupting = false;
            journal.Missed(run.Journal);
            held.Wants(RunWish.Interrupt);
            live.BeginsAgain();
            var outcome = await FollowAsync(run, held, journal, live, settings, journal.Interrupted);
            // The answer to the cancellation was lost, not the cancellation.
            if (outcome is not RunFailed { KeepsRounds: false, Error: AssistantBackendException { Code: AssistantBackendException.Cancelled } })
            {
                return outcome;
            }
        }

        run.Journal.IsInterrupting = false;
        return Interrupted(run);
    }

    private RunInterrupted Interrupted(BatchRun run)
    {
        run.Journal.Interruptions++;
        run.Journal.BeginNextAttempt();
        metrics.Interrupted();
        Log.RunInterrupted(log, run.ThreadId, run.BatchId, run.Journal.Interruptions);
        return new RunInterrupted(run);
    }

    // not: this machine's time of day
    // but: the store's; an adopted run began on another machine, whose clock may go minutes before or after this one's
    private DateTimeOffset Now(TimeSpan clockAhead) => DateTimeOffset.UnixEpoch + clockAhead + time.GetElapsedTime(0);

    private TimeSpan TimeLeft(BatchRun run, AssistantQueueOptions settings)
    {
        var remaining = settings.RunTimeout - (Now(run.ClockAhead) - run.Journal.StartedAt);
        var shortest = settings.RunTimeout < ShortestTime ? settings.RunTimeout : ShortestTime;
        return remaining > shortest ? remaining : shortest;
    }

    /// <returns>How the run ended; null when it was left because a newer message interrupts it.</returns>
    private async Task<RunOutcome?> FollowAsync(
        BatchRun run, HeldLease held, JournalWriter journal, LiveReply live, AssistantQueueOptions settings, CancellationToken interrupted)
    {
        using var timeout = new CancellationTokenSource(TimeLeft(run, settings), time);
        using var end = CancellationTokenSource.CreateLinkedTokenSource(held.Ended, stop.Leaving, journal.GivenBack, timeout.Token);
        using var leave = CancellationTokenSource.CreateLinkedTokenSource(end.Token, interrupted);

        var following = Task.Run(() => ConsumeAsync(run, live, leave.Token), CancellationToken.None);
        // A backend that doesn't stop for an interruption has until the run's end: nothing was cancelled yet, so its reply may still come.
        var isOver = await EndsAsync(following, end.Token);
        if (!isOver)
        {
            Log.BackendDoesNotStop(log, run.ThreadId, run.BatchId, StopTime);
            _ = following.ContinueWith(late => late.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
        }

        if (isOver && following.IsCompletedSuccessfully)
        {
            return new RunReplied(run, ReplyOf(run, following.Result));
        }

        var failure = isOver ? following.Exception?.InnerException : null;
        // Of a run that was told to stop, errors say nothing (a cancelled call looks like a broken connection);
        // what the API said about the batch, the thread or the key counts also then, and is written once the lease is proved again.
        var wasLeft = failure is null or not AssistantBackendException { Kind: not BackendErrorKind.Transient };
        if (failure is LeaseLostException || (wasLeft && (held.Ended.IsCancellationRequested || !held.IsProven)))
        {
            return new RunLeaseEnded(run, isOver ? Serialize(run.Journal) : null);
        }

        if (wasLeft && (stop.Leaving.IsCancellationRequested || journal.GivenBack.IsCancellationRequested))
        {
            if (!run.Journal.IsAdoptable)
            {
                // The next owner begins a run of its own, with all of RunTimeout.
                run.Journal.StartedAt = default;
            }

            return new RunStopped(run, isOver ? Serialize(run.Journal) : null);
        }

        if (failure is ApprovalPendingException)
        {
            return new RunFailed(run, failure, KeepsRounds: true);
        }

        if (wasLeft && isOver && interrupted.IsCancellationRequested)
        {
            return null;
        }

        if (wasLeft && timeout.IsCancellationRequested)
        {
            var isCancelled = isOver && await CancelAsync(run, held);
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

    private async Task<RunCompleted> ConsumeAsync(BatchRun run, LiveReply live, CancellationToken cancellationToken)
    {
        RunCompleted? completed = null;
        await foreach (var update in backend.RunAsync(run, cancellationToken).WithCancellation(cancellationToken))
        {
            if (completed is not null)
            {
                throw new InvalidOperationException($"The backend yielded {update.GetType().Name} after {nameof(RunCompleted)}, which has to be the last update.");
            }

            await live.TellAsync(update);
            completed = update as RunCompleted;
        }

        if (completed is null)
        {
            // A backend may end its updates when told to stop; that is no fault of its run.
            cancellationToken.ThrowIfCancellationRequested();
        }

        return completed ?? throw new InvalidOperationException($"The backend's updates ended without {nameof(RunCompleted)}.");
    }

    /// <summary>Cancels at the API what the journal says is running; not for long, and only under the lease.</summary>
    /// <returns>Whether it has ended there.</returns>
    public async Task<bool> CancelAsync(BatchRun run, HeldLease held)
    {
        using var limit = new CancellationTokenSource(StopTime, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, held.Ended, stop.Over);
        return await CancelAtApiAsync(run, both.Token);
    }

    private async Task<bool> CancelAtApiAsync(BatchRun run, CancellationToken cancellationToken)
    {
        try
        {
            await backend.CancelAsync(run, cancellationToken).WaitAsync(cancellationToken);
            return true;
        }
        catch (Exception e)
        {
            // The next attempt, if there is one, finds the run in the journal and follows it.
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
        CompletedAt = Now(run.ClockAhead),
    };

    private static string Serialize(RunJournal journal) => JsonSerializer.Serialize(journal, StoreJson.Journal);

    // What the backend says wins. From an exception that it did not classify nobody knows what became of the run:
    // a post without an id, or a run that can be adopted, is looked at again.
    private static bool KeepsRounds(Exception error, RunJournal journal) =>
        error is AssistantBackendException known ? known.IsOutcomeUnknown : journal.IsOutcomeUnknown || journal.IsAdoptable;
}
