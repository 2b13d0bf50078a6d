using AssistantQueue.Waiting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;
using Microsoft.Extensions.Time.Testing;

namespace AssistantQueue.Tests.Waiting;

/// <summary>A backend that can't work pauses as a whole, with one probe at a time.</summary>
public sealed class BackendPauseTests : IDisposable
{
    private readonly FakeTimeProvider _time = new();
    private readonly FakeLogger _log = new();
    private readonly DueTimer _timer;
    private readonly BackendPause _pause;

    public BackendPauseTests()
    {
        _timer = new DueTimer(_time, "test");
        _pause = new BackendPause("", _timer, _time, _log);
    }

    public void Dispose() => _timer.Dispose();

    [Fact]
    public void Ask_NotPaused_AllowsEverything() => Assert.Equal(ClaimAllowance.Free, _pause.Ask());

    [Fact]
    public void Begin_ManyRunsAtOnce_PausesOnceForFiveSeconds()
    {
        Assert.Equal(TimeSpan.FromSeconds(5), Begin());
        _time.Advance(TimeSpan.FromSeconds(2));

        Assert.Equal(TimeSpan.FromSeconds(3), Begin());
        Assert.Equal(ClaimAllowance.None, _pause.Ask());
    }

    [Fact]
    public void Ask_PauseIsOver_AllowsOneProbeAtATime()
    {
        Begin();
        _time.Advance(TimeSpan.FromSeconds(5));

        Assert.Equal(ClaimAllowance.Probe, _pause.Ask());
        Assert.Equal(ClaimAllowance.None, _pause.Ask());
        _pause.ProbeUnused();
        Assert.Equal(ClaimAllowance.Probe, _pause.Ask());
    }

    [Fact]
    public void Begin_ByTheProbe_PausesForTwiceAsLongUpToAMinute()
    {
        var pauses = new List<double> { Begin().TotalSeconds };
        for (var i = 0; i < 5; i++)
        {
            _time.Advance(TimeSpan.FromMinutes(1));
            Assert.Equal(ClaimAllowance.Probe, _pause.Ask());
            pauses.Add(_pause.Begin("c1", "no key", wasProbe: true, retryAfter: null).TotalSeconds);
        }

        Assert.Equal([5, 10, 20, 40, 60, 60], pauses);
    }

    [Theory]
    [InlineData(30, 30)]
    [InlineData(2, 5)]
    public void Begin_ApiAsksForAPause_TakesTheLonger(int asked, int seconds)
    {
        Assert.Equal(TimeSpan.FromSeconds(seconds), _pause.Begin("c1", "quota", wasProbe: false, TimeSpan.FromSeconds(asked)));
        _time.Advance(TimeSpan.FromSeconds(seconds - 0.1));
        Assert.Equal(ClaimAllowance.None, _pause.Ask());
        _time.Advance(TimeSpan.FromSeconds(0.1));
        Assert.Equal(ClaimAllowance.Probe, _pause.Ask());
    }

    [Fact]
    public void End_AfterAPause_AllowsEverythingAndBeginsAnewWithTheShortest()
    {
        var changes = 0;
        _pause.Changed = () => changes++;
        Begin();
        _pause.End();

        Assert.Equal(ClaimAllowance.Free, _pause.Ask());
        Assert.Equal(1, changes);
        Assert.Equal(TimeSpan.FromSeconds(5), Begin());
    }

    [Fact]
    public void Begin_ForAnHour_SaysItOnceAMinuteInTheApisWords()
    {
        for (var i = 0; i < 60; i++)
        {
            Begin();
            _time.Advance(TimeSpan.FromSeconds(10));
        }

        var errors = _log.Collector.GetSnapshot().Where(r => r.Level == LogLevel.Error).ToList();
        Assert.Equal(10, errors.Count);
        Assert.All(errors, e => Assert.Contains("Incorrect API key", e.Message, StringComparison.Ordinal));
    }

    private TimeSpan Begin() => _pause.Begin("c1", "Incorrect API key provided.", wasProbe: false, retryAfter: null);
}
