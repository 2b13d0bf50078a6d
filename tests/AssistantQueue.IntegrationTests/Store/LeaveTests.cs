namespace AssistantQueue.IntegrationTests.Store;

/// <summary>Script leave: a worker that stops is neither woken nor taken for dead.</summary>
public abstract class LeaveTests(StoreServer server) : StoreTest(server)
{
    [Fact]
    public async Task Leave_TheTimekeeper_HandsTheTimeToTheNext()
    {
        await ClaimAsync("w1");
        Assert.False((await ClaimAsync("w2")).IsTimekeeper);

        var changes = await ChangesOfAsync(() => Store.LeaveAsync(0, "w1", isGone: true, Ct));

        Assert.Equal(["~idle", "~workers"], changes);
        Assert.Equal(["w2"], await Read.MembersAsync("idle"));
        Assert.True((await ClaimAsync("w2")).IsTimekeeper);
    }

    [Fact]
    public async Task Leave_WithALeaseLeftBehind_IsNoDeath()
    {
        await Seed.RunningAsync("c", ["a"], leaseIn: 3_000);
        await Store.LeaveAsync(0, "w1", isGone: true, Ct);
        await PassAsync("leases");

        var batch = await ClaimOneAsync("w2");

        Assert.Equal((0, true), (batch.Deaths, batch.IsTakeover));
    }

    [Fact]
    public async Task Leave_SomethingIsDue_WakesAnother()
    {
        await ClaimAsync("w1");
        await ClaimAsync("w2");
        await Seed.WaitingAsync("c", -1, "a");
        var woken = new TaskCompletionSource<TimeSpan>(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var subscription = await Store.SubscribeToWakeUpsAsync("w2", (_, dueIn) => woken.TrySetResult(dueIn), Ct);

        await Store.LeaveAsync(0, "w1", isGone: true, Ct);

        Assert.Equal(TimeSpan.Zero, await woken.Task.WaitAsync(30 * Second));
    }
}

public sealed class LeaveOnRedisTests() : LeaveTests(StoreServer.Redis);

public sealed class LeaveOnGarnetTests() : LeaveTests(StoreServer.Garnet);
