using System.Text.Json;
using AssistantQueue.Leases;
using AssistantQueue.Store;
using AssistantQueue.Waiting;
using Polly;

namespace AssistantQueue.Run;

/// <summary>Writes a run's journal and conversation under its lease, and gives the run back when the host stops and another process can go on with it.</summary>
internal sealed class JournalWriter : IDisposable
{
    private readonly HeldLease _held;
    private readonly IQueueStore _store;
    private readonly StopStages _stop;
    private readonly ResiliencePipeline _untilAnswered;
    private readonly Action _onLost;
    private readonly CancellationTokenSource _givenBack = new();
    private readonly CancellationTokenRegistration _onStop;
    private volatile bool _isAdoptable;

    public JournalWriter(HeldLease held, IQueueStore store, StopStages stop, bool isAdoptable, TimeProvider time, Action<Exception> onUnanswered, Action onLost)
    {
        _held = held;
        _store = store;
        _stop = stop;
        _isAdoptable = isAdoptable;
        _onLost = onLost;
        _untilAnswered = StoreRetry.UntilAnswered(time, onUnanswered);
        _onStop = stop.Stopping.Register(GiveBackIfAdoptable);
    }

    /// <summary>Ends when the run is to be given back although it has time left.</summary>
    public CancellationToken GivenBack => _givenBack.Token;

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
        GiveBackIfAdoptable();
    }

    public void Dispose()
    {
        _onStop.Dispose();
        _givenBack.Dispose();
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
}
