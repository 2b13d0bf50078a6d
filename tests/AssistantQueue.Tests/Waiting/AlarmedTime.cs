using System.Threading.Channels;
using Microsoft.Extensions.Time.Testing;

namespace AssistantQueue.Tests.Waiting;

/// <summary>A clock that says when a timer has been set.</summary>
internal sealed class AlarmedTime : FakeTimeProvider
{
    private readonly Channel<bool> _alarms = Channel.CreateUnbounded<bool>();

    public ChannelReader<bool> Alarms => _alarms.Reader;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = base.CreateTimer(callback, state, dueTime, period);
        _alarms.Writer.TryWrite(true);
        return timer;
    }
}
