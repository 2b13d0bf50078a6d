namespace AssistantQueue.Tests.Worker;

/// <summary>A watcher of a test: takes one update after another.</summary>
internal sealed class Updates : IAsyncDisposable
{
    private readonly CancellationTokenSource _limit = new(TestTimes.Patience);
    private readonly IAsyncEnumerator<ThreadUpdate> _updates;

    public Updates(IAssistantMessageQueue queue, string thread, string? after = null) =>
        _updates = queue.WatchThreadAsync(thread, after, _limit.Token).GetAsyncEnumerator();

    public List<ThreadUpdate> All { get; } = [];

    public async Task<ThreadUpdate> NextAsync()
    {
        Assert.True(await _updates.MoveNextAsync());
        All.Add(_updates.Current);
        return _updates.Current;
    }

    public async Task<T> NextAsync<T>()
        where T : ThreadUpdate
    {
        while (true)
        {
            if (await NextAsync() is T wanted)
            {
                return wanted;
            }
        }
    }

    /// <summary>Takes deltas until the run's text is this long.</summary>
    public async Task<string> TextAsync(int length)
    {
        var text = "";
        while (text.Length < length)
        {
            var delta = await NextAsync<TextDelta>();
            Assert.Equal(text.Length, delta.Offset);
            text += delta.Text;
        }

        return text;
    }

    public async ValueTask DisposeAsync()
    {
        await _limit.CancelAsync();
        try
        {
            await _updates.DisposeAsync();
        }
        catch (OperationCanceledException)
        {
            // It was watching.
        }

        _limit.Dispose();
    }
}
