using AssistantQueue.Waiting;
using Microsoft.Extensions.Time.Testing;

namespace AssistantQueue.Tests.Waiting;

/// <summary>When a loop looks next.</summary>
public sealed class LookTimerTests : IDisposable
{
    private readonly FakeTimeProvider _time = new();
    private readonly DueTimer _due;
    private readonly LookTimer _look;

    public LookTimerTests()
    {
        _due = new DueTimer(_time, "test");
        _look = new LookTimer(_due, _time);
    }

    public void Dispose()
    {
        _look.Dispose();
        _due.Dispose();
    }

    [Fact]
    public void WaitAsync_NothingElse_EndsWhenPlanned()
    {
        var wait = Wait(10);

        _time.Advance(TimeSpan.FromSeconds(9));
        Assert.False(wait.IsCompleted);
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.True(Ends(wait));
    }

    [Fact]
    public void Wake_WhileWaiting_EndsAtOnce()
    {
        var wait = Wait(10);

        _look.Wake();

        Assert.True(Ends(wait));
    }

    [Fact]
    public void Wake_LaterThanPlanned_TheRoundInBetweenDoesNotForgetIt()
    {
        var wait = Wait(2);
        _look.Wake(TimeSpan.FromSeconds(5));
        _time.Advance(TimeSpan.FromSeconds(2));
        Assert.True(Ends(wait));

        _look.BeginLook();
        wait = Wait(60);
        _time.Advance(TimeSpan.FromSeconds(3));

        Assert.True(Ends(wait));
    }

    [Fact]
    public void Wake_SoonerThanPlanned_EndsThen()
    {
        var wait = Wait(60);
        _look.Wake(TimeSpan.FromSeconds(5));
        _look.Wake(TimeSpan.FromSeconds(9));

        _time.Advance(TimeSpan.FromSeconds(5));

        Assert.True(Ends(wait));
    }

    [Fact]
    public void Wake_DuringALook_TheNextWaitEndsAtOnce()
    {
        _look.BeginLook();
        _look.Wake();

        Assert.True(Ends(Wait(60)));
        _look.BeginLook();
        Assert.False(Wait(60).IsCompleted);
    }

    private static bool Ends(Task wait) => wait.Wait(TimeSpan.FromSeconds(30));

    private Task Wait(int seconds) => _look.WaitAsync(TimeSpan.FromSeconds(seconds), CancellationToken.None);
}
