using AssistantQueue.Claim;
using AssistantQueue.Waiting;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace AssistantQueue.Tests.Claim;

/// <summary>Who may claim how much: concurrency in turn, suspects alone, probes one at a time.</summary>
public sealed class RunSlotsTests : IDisposable
{
    private readonly FakeTimeProvider _time = new();
    private readonly DueTimer _timer;
    private readonly BackendPause _pause;
    private readonly List<int> _woken = [];
    private readonly RunSlots _slots;

    public RunSlotsTests()
    {
        _timer = new DueTimer(_time, "test");
        _pause = new BackendPause("", _timer, _time, NullLogger.Instance);
        _slots = new RunSlots(_pause, _woken.Add, _time);
    }

    public void Dispose() => _timer.Dispose();

    [Fact]
    public void Take_NobodyElse_GetsAllThatIsFree()
    {
        Assert.Equal(5, Take().Count);
        Assert.Equal(0, Take().Count);
    }

    [Fact]
    public void Return_SomebodyWaits_WakesTheLongestWaiting()
    {
        var all = Take(0);
        Take(1);
        Take(2);

        _slots.Return(all, 2);

        Assert.Equal([1], _woken);
        Assert.Equal(1, Take(1).Count);
        Assert.Equal([1, 2], _woken);
        Assert.Equal(1, Take(2).Count);
    }

    [Fact]
    public void Take_FewerConcurrentThanRunning_GetsNothingUntilEnoughAreOver()
    {
        var five = Take(0);
        _slots.Return(five, 2);

        Assert.Equal(0, Take(0, concurrency: 2).Count);
        _slots.Return(five, 2);
        Assert.Equal(1, Take(0, concurrency: 2).Count);
    }

    [Fact]
    public void Take_SuspectWhileOthersRun_WaitsForThemAndThenRunsAlone()
    {
        var healthy = Take(0);
        _slots.Return(healthy, 3);

        Assert.Equal(0, Take(0, suspects: true).Count);
        Assert.Equal(0, Take(1).Count);
        _slots.Return(healthy, 1);
        Assert.Equal([], _woken);
        _slots.Return(healthy, 1);
        Assert.Equal([0], _woken);

        var suspect = Take(0, suspects: true);
        Assert.Equal(new SlotGrant(1, 1, IsSuspect: true, IsProbe: false), suspect);
        Assert.Equal(0, Take(1).Count);
        Assert.Equal(0, Take(0).Count);

        _slots.Return(suspect, 1);
        // Partition 0 asked while it ran, so they share.
        Assert.Equal(3, Take(1, suspects: true).Count);
        Assert.Equal(2, Take(0).Count);
    }

    [Fact]
    public void Take_RunsUnderWayTakeLong_TheHealthyGoOnAndTheSuspectWaitsLongerNextTime()
    {
        var longRun = Take(0);
        _slots.Return(longRun, 4);
        Assert.Equal(0, Take(0, suspects: true).Count);
        _time.Advance(TimeSpan.FromSeconds(9));
        Assert.Equal(0, Take(1).Count);

        _time.Advance(TimeSpan.FromSeconds(1));
        var healthy = Take(0, suspects: true);
        Assert.True(healthy is { Count: > 0, IsSuspect: false });
        _slots.Return(healthy, healthy.Count);
        _time.Advance(TimeSpan.FromSeconds(9));
        healthy = Take(0, suspects: true);
        Assert.False(healthy.IsSuspect);
        _slots.Return(healthy, healthy.Count);

        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(0, Take(0, suspects: true).Count);
        _time.Advance(TimeSpan.FromSeconds(19));
        Assert.Equal(0, Take(1).Count);
        _slots.Return(longRun, 1);
        Assert.True(Take(0, suspects: true).IsSuspect);
    }

    [Fact]
    public void Take_SuspectRunsForLong_StaysAlone()
    {
        _slots.Return(Take(0), 5);
        Assert.True(Take(0, suspects: true).IsSuspect);

        _time.Advance(TimeSpan.FromMinutes(4));

        Assert.Equal(0, Take(1).Count);
    }

    [Fact]
    public void Take_SuspectsAndHealthyThreads_AlternateSoThatNeitherStarves()
    {
        var kinds = new List<bool>();
        for (var i = 0; i < 6; i++)
        {
            var grant = Take(0, suspects: true);
            kinds.Add(grant.IsSuspect);
            _slots.Return(grant, grant.Count);
        }

        Assert.Equal([false, true, false, true, false, true], kinds);
    }

    [Fact]
    public void Take_SuspectWasTakenByAnotherWorker_OthersGoOn()
    {
        _slots.Return(Take(0), 5);
        var suspect = Take(0, suspects: true);
        Take(1);

        _slots.Return(suspect, 1);

        Assert.Equal([1], _woken);
        Assert.Equal(5, Take(1).Count);
    }

    [Fact]
    public void Take_BackendPaused_NothingThenOneProbeThenAll()
    {
        _pause.Begin("c1", "no key", wasProbe: false, retryAfter: null);
        Assert.Equal(0, Take(0).Count);
        Assert.Equal(0, Take(1).Count);

        _time.Advance(TimeSpan.FromSeconds(5));
        Assert.Equal([0, 1], _woken);
        var probe = Take(0);
        Assert.True(probe is { Count: 1, IsProbe: true });
        Assert.Equal(0, Take(1).Count);

        _pause.End();
        Assert.Equal(4, Take(1).Count);
    }

    private SlotGrant Take(int partition = 0, int concurrency = 5, bool suspects = false) => _slots.Take(partition, concurrency, suspects);
}
