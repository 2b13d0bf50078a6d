using AssistantQueue.Worker;
using Microsoft.Extensions.Time.Testing;

namespace AssistantQueue.Tests.Worker;

/// <summary>How the host's shutdown time is divided.</summary>
public class StopClockTests
{
    [Theory]
    [InlineData(30, 25, 28)]
    [InlineData(300, 295, 298)]
    [InlineData(4, 2, 3.2)]
    [InlineData(0, 0, 0)]
    public void Stages_OfAnyShutdownTime_LeaveTimeForWhatFollows(double shutdown, double leave, double over)
    {
        var clock = new StopClock(TimeSpan.FromSeconds(shutdown), new FakeTimeProvider());

        Assert.Equal((leave, over), (clock.Leave.TotalSeconds, clock.Over.TotalSeconds));
    }

    [Fact]
    public void Stages_OfAnInfiniteShutdownTime_AreFarAway() =>
        Assert.True(new StopClock(Timeout.InfiniteTimeSpan, new FakeTimeProvider()).Leave > TimeSpan.FromHours(23));

    [Fact]
    public async Task WaitAsync_CountsFromTheFirstStart()
    {
        var time = new FakeTimeProvider();
        var clock = new StopClock(TimeSpan.FromSeconds(30), time);
        var never = new TaskCompletionSource().Task;
        time.Advance(TimeSpan.FromHours(1));
        clock.Start();
        time.Advance(TimeSpan.FromSeconds(10));
        clock.Start();
        var waiting = clock.WaitAsync(never, clock.Leave, default);

        time.Advance(TimeSpan.FromSeconds(14));
        Assert.False(waiting.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(2));

        Assert.False(await waiting);
    }
}
