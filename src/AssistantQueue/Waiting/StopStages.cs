namespace AssistantQueue.Waiting;

/// <summary>The stages in which a worker stops.</summary>
internal sealed class StopStages : IDisposable
{
    private readonly CancellationTokenSource _stopping = new();
    private readonly CancellationTokenSource _leaving = new();
    private readonly CancellationTokenSource _over = new();

    /// <summary>The host stops: nothing is claimed any more, and runs that another process can adopt are given back.</summary>
    public CancellationToken Stopping => _stopping.Token;

    /// <summary>The other runs and the handlers had their time: they are given back too.</summary>
    public CancellationToken Leaving => _leaving.Token;

    /// <summary>What is still waiting for the store is left to the end of its lease.</summary>
    public CancellationToken Over => _over.Token;

    public Task StopAsync() => _stopping.CancelAsync();

    public Task LeaveAsync() => _leaving.CancelAsync();

    public Task EndAsync() => _over.CancelAsync();

    public void Dispose()
    {
        _stopping.Dispose();
        _leaving.Dispose();
        _over.Dispose();
    }
}
