using System.Text.Json;
using AssistantQueue.Leases;
using AssistantQueue.Store;
using AssistantQueue.Waiting;
using Polly;

namespace AssistantQueue.Run;

/// <summary>Writes a run's journal and conversation under its lease. Says when the run is to be left: when the host stops and another process can go on with it, or when a newer message interrupts it.</summary>
internal sealed class JournalWriter : IDisposable
{
    private readonly HeldLease _held;
    private readonly IQueueStore _store;
    private readonly StopStages _stop;
    private readonly ResiliencePipeline _untilAnswered;
    private readonly Action _onLost;
    private readonly bool _mayInterrupt;
    private readonly CancellationTokenRegistration _onStop;
#pragma warning disable CA2213 // They have no timers, and a renewal that is just telling of a newer message, or a run that was left and still saves, may end them later: not disposed.
    private readonly CancellationTokenSource _givenBack = new();
    private volatile CancellationTokenSource _interrupted = new();
#pragma warning restore CA2213
    private JournalRound? _missed;
    private volatile bool _isAdoptable;
    private volatile bool _isInterruptible;

    public JournalWriter(HeldLease held, IQueueStore store, StopStages stop, RunJournal journal, bool mayInterrupt, TimeProvider time, Action<Exception> onUnanswered, Action onLost)
    {
        _held = held;
        _store = store;
        _stop = stop;
        _isAdoptable = journal.IsAdoptable;
        _mayInterrupt = mayInterrupt;
        _isInterruptible = IsInterruptible(journal);
        _onLost = onLost;
        _untilAnswered = StoreRetry.UntilAnswered(time, onUnanswered);
        _onStop = stop.Stopping.Register(GiveBackIfAdoptable);
        held.OnWish(InterruptIfWanted);
    }

    /// <summary>Ends when a newer message wants the run to be cancelled, and it can be. Another token after <see cref="Missed"/>.</summary>
    public CancellationToken Interrupted => _interrupted.Token;

    /// <summary>Ends when the run is to be given back although it has time left.</summary>
    public CancellationToken GivenBack => _givenBack.Token;

    /// <summary>The cancellation of the run's last round came too late: that one is followed to its end. When it ends with tool calls, the round after them can be interrupted.</summary>
    public void Missed(RunJournal journal)
    {
        _missed = journal.LastRound;
        // First, so that a wish that is told just now can't end the new token.
        _isInterruptible = false;
        _interrupted = new CancellationTokenSource();
    }

    public void ThrowIfNotOwned() => _held.ThrowIfNotProven();

    public async Task SaveAsync(BatchRun run, CancellationToken cancellationToken)
    {
        _held.ThrowIfNotProven();
        var write = new JournalWrite(JsonSerializer.Serialize(run.Journal, StoreJson.Journal), run.Journal.IsAdoptable, run.Conversation.Changes);
        if (!await WriteAsync(write, cancellationToken))
        {
            throw new LeaseLostException(run.ThreadId, run.Fence);
        }

        run.Conversation.AcceptChanges();
        // What the store knows counts: only then can another process go on.
        _isAdoptable = write.IsAdoptable;
        _isInterruptible = IsInterruptible(run.Journal);
        GiveBackIfAdoptable();
        InterruptIfWanted();
    }

    public void Dispose()
    {
        _held.OnWish(static () => { });
        _onStop.Dispose();
    }

    // Writing the same again changes nothing, so it is repeated for as long as the lease can be proved.
    private async Task<bool> WriteAsync(JournalWrite write, CancellationToken cancellationToken)
    {
        using var both = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _held.Ended);
        try
        {
            var isOurs = await _untilAnswered.ExecuteAsync(
                async token => await _store.WriteJournalAsync(_held.Current, write, token),
                both.Token);
            if (!isOurs && _held.Lost())
            {
                _onLost();
            }

            return isOurs;
        }
        catch (OperationCanceledException) when (_held.Ended.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            return false;
        }
    }

    private void GiveBackIfAdoptable()
    {
        if (_isAdoptable && _stop.Stopping.IsCancellationRequested)
        {
            _ = _givenBack.CancelAsync();
        }
    }

    // Only what runs at the API by an id can be cancelled there. While tools are called nothing runs there, and what they do is not cut off.
    private bool IsInterruptible(RunJournal journal) =>
        journal is { IsAdoptable: true, LastRound: { RunId: not null, Calls.Count: 0 } last } && !ReferenceEquals(last, _missed);

    private void InterruptIfWanted()
    {
        var interrupted = _interrupted;
        if (_mayInterrupt && _isInterruptible && (_held.Wish & RunWish.Interrupt) != 0)
        {
            _ = interrupted.CancelAsync();
        }
    }
}
