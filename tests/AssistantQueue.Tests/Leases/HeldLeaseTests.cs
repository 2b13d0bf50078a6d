using AssistantQueue.Leases;
using AssistantQueue.Store;
using Microsoft.Extensions.Time.Testing;

namespace AssistantQueue.Tests.Leases;

/// <summary>What a process knows of a lease that it holds.</summary>
public class HeldLeaseTests
{
    private readonly FakeTimeProvider _time = new();
    private readonly HeldLease _held;

    public HeldLeaseTests() =>
        _held = new HeldLease(new Lease("c1", 0, "w1", 7, "b1", _time.GetTimestamp()), _time, () => TimeSpan.FromSeconds(30));

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
        var sentAt = _time.GetTimestamp();
        _time.Advance(TimeSpan.FromSeconds(5));
        _held.Renewed(sentAt);

        _time.Advance(TimeSpan.FromSeconds(22.9));
        Assert.True(_held.IsProven);
        _time.Advance(TimeSpan.FromSeconds(0.2));
        Assert.False(_held.IsProven);
        Assert.Throws<LeaseLostException>(_held.ThrowIfNotProven);
    }

    [Fact]
    public void Renewed_AnOlderAnswerComesLate_DoesNotShortenTheLease()
    {
        var early = _time.GetTimestamp();
        _time.Advance(TimeSpan.FromSeconds(10));
        _held.Renewed(_time.GetTimestamp());
        _held.Renewed(early);

        Assert.Equal(TimeSpan.FromSeconds(28), _held.Remaining);
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

        _held.Renewed(_time.GetTimestamp());

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
}
