using AssistantQueue.Leases;
using AssistantQueue.Store;
using Microsoft.Extensions.Time.Testing;

namespace AssistantQueue.Tests.Leases;

/// <summary>What a process knows of a lease that it holds.</summary>
public class HeldLeaseTests
{
    private static readonly TimeSpan Length = TimeSpan.FromSeconds(30);

    private readonly SleepingTime _time = new();
    private readonly HeldLease _held;

    public HeldLeaseTests() =>
        _held = new HeldLease(new Lease("c1", 0, "w1", 7, "b1", _time.GetTimestamp()), _time, () => Length);

    [Theory]
    [InlineData(30, 28)]
    [InlineData(10, 8)]
    [InlineData(5, 4)]
    [InlineData(1, 0.8)]
    public void UsableFor_AnyLength_EndsBeforeTheLease(double lease, double usable) =>
        Assert.Equal(usable, HeldLease.UsableFor(TimeSpan.FromSeconds(lease)).TotalSeconds, precision: 6);

    [Fact]
    public void IsProven_CountsFromTheLastGoodRenewalsSentTime()
    {
        _time.Advance(TimeSpan.FromSeconds(10));
        var (sentAt, sentOn) = (_time.GetTimestamp(), _time.GetUtcNow());
        _time.Advance(TimeSpan.FromSeconds(5));
        _held.Renewed(sentAt, sentOn, Length);

        _time.Advance(TimeSpan.FromSeconds(22.9));
        Assert.True(_held.IsProven);
        _time.Advance(TimeSpan.FromSeconds(0.2));
        Assert.False(_held.IsProven);
        Assert.Throws<LeaseLostException>(_held.ThrowIfNotProven);
    }

    [Fact]
    public void Renewed_AnOlderAnswerComesLate_DoesNotShortenTheLease()
    {
        var (early, earlyOn) = (_time.GetTimestamp(), _time.GetUtcNow());
        _time.Advance(TimeSpan.FromSeconds(10));
        Renew();
        _held.Renewed(early, earlyOn, Length);

        Assert.Equal(TimeSpan.FromSeconds(28), _held.Remaining);
    }

    [Fact]
    public void IsProven_TheMachineSlept_CountsThatTimeToo()
    {
        _time.Sleep(TimeSpan.FromSeconds(29));

        Assert.False(_held.IsProven);
        Renew();
        Assert.Equal(TimeSpan.FromSeconds(28), _held.Remaining);
    }

    [Fact]
    public void IsProven_TheDateIsSetBack_CountsAsBefore()
    {
        _time.Advance(TimeSpan.FromSeconds(10));
        _time.Sleep(TimeSpan.FromHours(-1));

        Assert.Equal(TimeSpan.FromSeconds(18), _held.Remaining);
    }

    [Fact]
    public void Remaining_CountsByTheLengthThatWasProved()
    {
        var held = new HeldLease(_held.Lease with { Length = TimeSpan.FromSeconds(10) }, _time, () => Length);

        Assert.Equal(TimeSpan.FromSeconds(8), held.Remaining);
    }

    [Fact]
    public async Task Leave_EndsWhatMayBeDone()
    {
        _held.Leave();
        Renew();

        Assert.Throws<LeaseLostException>(_held.ThrowIfNotProven);
        Assert.False(_held.IsLost);
        Assert.False(await _held.ProvenAgainAsync(default));
    }

    [Fact]
    public void Lost_EndsTheWorkAtOnce()
    {
        _held.Lost();

        Assert.True(_held.Ended.IsCancellationRequested);
        Assert.False(_held.IsProven);
    }

    [Fact]
    public async Task ProvenAgainAsync_RedisWasAwayAndNobodyTookTheThread_SaysSo()
    {
        _time.Advance(TimeSpan.FromMinutes(1));
        var waiting = _held.ProvenAgainAsync(default);
        Assert.False(waiting.IsCompleted);

        Renew();

        Assert.True(await waiting);
    }

    [Fact]
    public async Task ProvenAgainAsync_SomebodyTookTheThread_SaysSo()
    {
        _time.Advance(TimeSpan.FromMinutes(1));
        var waiting = _held.ProvenAgainAsync(default);

        _held.Lost();

        Assert.False(await waiting);
    }

    private void Renew() => _held.Renewed(_time.GetTimestamp(), _time.GetUtcNow(), Length);

    /// <summary>A clock whose date goes on while its machine sleeps, and its ticks don't.</summary>
    private sealed class SleepingTime : FakeTimeProvider
    {
        private TimeSpan _slept;

        public void Sleep(TimeSpan time) => _slept += time;

        public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + _slept;

        // The base counts its ticks from the date.
        public override long GetTimestamp() => base.GetUtcNow().UtcTicks;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;
    }
}
