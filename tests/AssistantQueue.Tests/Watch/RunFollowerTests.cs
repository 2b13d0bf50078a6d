using AssistantQueue.Store;
using AssistantQueue.Watch;
using Microsoft.Extensions.Time.Testing;

namespace AssistantQueue.Tests.Watch;

/// <summary>A watcher's view of the run under way: what is news, and when its worker is asked.</summary>
public sealed class RunFollowerTests : IAsyncLifetime
{
    private readonly FakeTimeProvider _time = new();
    private readonly FakeStore _store = new();
    private readonly List<(string Worker, long Fence, int After)> _asked = [];
    private readonly RunFollower _run;

    public RunFollowerTests()
    {
        _store.OnAsk = (worker, fence, after) => _asked.Add((worker, fence, after));
        _run = new RunFollower(_time);
    }

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync() => await _store.DisposeAsync();

    [Fact]
    public async Task Ask_RunBegins_AtOnceAgainAfterASecondAndThenEveryTen()
    {
        Assert.Null(_run.NextQuestion);
        _run.Begin(7, "b", "w1");
        foreach (var pause in (int[])[1, 10, 10])
        {
            await AskAsync();
            await AskAsync();
            Assert.Equal(TimeSpan.FromSeconds(pause), _run.NextQuestion);
            _time.Advance(TimeSpan.FromSeconds(pause));
        }

        Assert.Equal(Enumerable.Repeat(("w1", 7L, 0), 3), _asked);
        _run.Begin(9, "b", "w2");
        await AskAsync();
        Assert.Equal(TimeSpan.FromSeconds(1), _run.NextQuestion);
    }

    [Fact]
    public void Take_ItemsSeenBefore_AreNoNews()
    {
        _run.Begin(7, "b", "w1", item: 2);

        Assert.Equal([3, 4], _run.Take(7, [Item(1), Item(2), Item(3), Item(4)]).Select(i => i.Index));
        Assert.Empty(_run.Take(7, [Item(3), Item(4)]));
    }

    [Fact]
    public async Task Take_WithAHole_TakesNothingBehindItAndAsksSoon()
    {
        _run.Begin(7, "b", "w1");
        await AskAsync();
        Assert.Equal([1], _run.Take(7, [Item(1), Item(3)]).Select(i => i.Index));
        Assert.Equal(TimeSpan.FromMilliseconds(250), _run.NextQuestion);
        _time.Advance(TimeSpan.FromMilliseconds(250));
        await AskAsync();

        Assert.Equal(("w1", 7, 1), _asked[^1]);
        Assert.Equal([2, 3], _run.Take(7, [Item(2), Item(3)]).Select(i => i.Index));
    }

    [Fact]
    public void Take_AfterAGapThatIsTold_GoesOnBehindIt()
    {
        _run.Begin(7, "b", "w1");

        Assert.Equal([9, 10], _run.Take(7, [Item(9) with { Kind = LiveKind.Skipped }, Item(10)]).Select(i => i.Index));
    }

    [Fact]
    public void GoBack_AlsoBehindTheRunsEnd_TakesTheSameAgain()
    {
        _run.Begin(7, "b", "w1");
        _run.Take(7, [Item(1)]);
        _run.Mark();
        Assert.Single(_run.Take(7, [Item(2)]));
        _run.End();
        _run.Begin(9, "c", "w2");

        _run.GoBack();

        Assert.Equal((7, "b", 1), (_run.Fence, _run.BatchId, _run.Item));
        Assert.Equal([2], _run.Take(7, [Item(2)]).Select(i => i.Index));
    }

    [Fact]
    public void Take_OfAnotherOwner_IsNoNews()
    {
        _run.Begin(7, "b", "w1");
        _run.Begin(9, "b", "w2");
        _run.Begin(7, "b", "w1");

        Assert.Empty(_run.Take(7, [Item(1)]));
        Assert.Single(_run.Take(9, [Item(1)]));
        _run.End();
        Assert.Empty(_run.Take(9, [Item(2)]));
    }

    [Fact]
    public void GoBack_TakesAgainWhatCouldNotBeTold()
    {
        _run.Begin(7, "b", "w1", item: 1);
        _run.Mark();
        _run.Take(7, [Item(2)]);

        _run.GoBack();

        Assert.Single(_run.Take(7, [Item(2)]));
    }

    [Fact]
    public async Task Ask_RedisIsAway_AsksAgainInTime()
    {
        _store.OnAsk = (_, _, _) => throw new StoreUnavailableException("The test says so.");
        _run.Begin(7, "b", "w1");

        await AskAsync();

        Assert.Equal(TimeSpan.FromSeconds(1), _run.NextQuestion);
    }

    private ValueTask AskAsync() => _run.AskAsync(_store, "t", CancellationToken.None);

    private static LiveItem Item(int index) => new() { Index = index, Kind = LiveKind.Text, Text = "x" };
}
