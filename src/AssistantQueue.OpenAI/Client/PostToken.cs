namespace AssistantQueue.OpenAI.Client;

/// <summary>Lets a post that is on its way end when the run is stopped: two seconds for the id to arrive are cheaper than the next owner's wait for an unknown outcome.</summary>
internal sealed class PostToken : IDisposable
{
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(2);
    private readonly CancellationTokenSource _source;
    private readonly CancellationTokenRegistration _registration;

    public PostToken(JournalRound round, TimeProvider time, CancellationToken cancellationToken)
    {
        _source = new CancellationTokenSource(Timeout.InfiniteTimeSpan, time);
        _registration = cancellationToken.Register(() => _source.CancelAfter(round.RunId is null ? Grace : TimeSpan.Zero));
    }

    public CancellationToken Token => _source.Token;

    public void Dispose()
    {
        _registration.Dispose();
        _source.Dispose();
    }
}
