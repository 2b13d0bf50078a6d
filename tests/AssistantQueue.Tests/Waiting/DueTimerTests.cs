using System.Diagnostics;
using AssistantQueue.Waiting;
using Microsoft.Extensions.Time.Testing;

namespace AssistantQueue.Tests.Waiting;

/// <summary>The thread that wakes the loops.</summary>
public class DueTimerTests
{
    [Fact]
    public async Task Change_SeveralEntries_EachCallsBackOnceWhenDue()
    {
        using var timer = new DueTimer(TimeProvider.System, "test");
        var order = new List<int>();
        var all = new CountdownEvent(3);
        foreach (var i in (int[])[3, 1, 2])
        {
            timer.Add(() =>
            {
                order.Add(i);
                all.Signal();
            }).Change(TimeSpan.FromMilliseconds(200 * i));
        }

        Assert.True(await Task.Run(() => all.Wait(TimeSpan.FromSeconds(30))));
        Assert.Equal([1, 2, 3], order);
    }

    [Fact]
    public async Task Change_AgainBeforeItWasDue_OnlyTheLastCounts()
    {
        using var timer = new DueTimer(TimeProvider.System, "test");
        var called = new TaskCompletionSource<TimeSpan>();
        var clock = Stopwatch.StartNew();
        var entry = timer.Add(() => called.TrySetResult(clock.Elapsed));

        entry.Change(TimeSpan.FromMilliseconds(5));
        entry.Change(TimeSpan.FromMilliseconds(200));

        Assert.True(await called.Task.WaitAsync(TimeSpan.FromSeconds(30)) >= TimeSpan.FromMilliseconds(199));
    }

    [Fact]
    public void Change_ClockMovedByHand_CallsBackWhenTheClockSaysSo()
    {
        var time = new FakeTimeProvider();
        using var timer = new DueTimer(time, "test");
        var calls = 0;
        timer.Add(() => calls++).Change(TimeSpan.FromSeconds(1));

        time.Advance(TimeSpan.FromMilliseconds(999));
        Assert.Equal(0, calls);
        time.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Equal(1, calls);
    }
}
