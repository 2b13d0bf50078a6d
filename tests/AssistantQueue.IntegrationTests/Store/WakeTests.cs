using System.Threading.Channels;
using AssistantQueue.Store;

namespace AssistantQueue.IntegrationTests.Store;

/// <summary>Whom the scripts wake, and for when: there is always somebody with a free slot who knows what is due next.</summary>
public abstract class WakeTests(StoreServer server) : StoreTest(server)
{
    private readonly Channel<(string Worker, TimeSpan DueIn)> _woken = Channel.CreateUnbounded<(string, TimeSpan)>();
    private readonly List<IAsyncDisposable> _subscriptions = [];

    public override async Task DisposeAsync()
    {
        foreach (var subscription in _subscriptions)
        {
            await subscription.DisposeAsync();
        }

        await base.DisposeAsync();
    }

    [Fact]
    public async Task Claim_LastFreeSlot_TellsAnotherWhatIsDueLater()
    {
        await ListenAsync("w1", "w2");
        await Seed.WaitingAsync("now", -1, "a");
        await Seed.WaitingAsync("later", 5_000, "b");

        Assert.Single((await ClaimAsync("w1", max: 1)).Batches);

        var (worker, dueIn) = await WokenAsync();
        Assert.Equal("w2", worker);
        Assert.InRange(dueIn, Second, 5 * Second);
    }

    [Fact]
    public async Task Claim_WithoutAFreeSlot_TellsAnotherWhatIsDueLater()
    {
        await ListenAsync("w1", "w2");
        await Seed.WaitingAsync("later", 5_000, "b");

        await ClaimAsync("w1", max: 0);

        var (worker, dueIn) = await WokenAsync();
        Assert.Equal("w2", worker);
        Assert.InRange(dueIn, Second, 5 * Second);
    }

    [Fact]
    public async Task Complete_NewerMessages_WakesAnother()
    {
        await ListenAsync("w1", "w2");
        var c = await Seed.RunningAsync("c", ["a"], newer: ["b"]);
        var d = await Seed.RunningAsync("d", ["x"]);

        Assert.Equal("1 1", await Calls.CompleteAsync("r", (c, "rc"), (d, "rd")));

        Assert.Equal(("w2", TimeSpan.Zero), await WokenAsync());
    }

    [Fact]
    public async Task Fail_NewerMessages_WakesAnother()
    {
        await ListenAsync("w1", "w2");
        var lease = await Seed.RunningAsync("c", ["a"], newer: ["b"]);

        await FailAsync(lease);

        Assert.Equal(("w2", TimeSpan.Zero), await WokenAsync());
    }

    // A worker that is told to stop gives back what another one can go on with.
    [Fact]
    public async Task Release_Owner_WakesAnother()
    {
        await ListenAsync("w1", "w2");
        var lease = await Seed.RunningAsync("c", ["a"]);

        await ReleaseAsync(lease, posted: true);

        Assert.Equal(("w2", TimeSpan.Zero), await WokenAsync());
    }

    [Fact]
    public async Task Finish_NothingNewer_WakesNobody()
    {
        await ListenAsync("w1", "w2");
        await CompleteAsync(await Seed.RunningAsync("c", ["a"]));
        await FailAsync(await Seed.RunningAsync("d", ["a"]));

        // What is told in order is heard in order.
        await Seed.WaitingAsync("later", 60_000, "b");
        await Store.LeaveAsync(0, "w1", isGone: true, Ct);

        Assert.InRange((await WokenAsync()).DueIn, Second, 60 * Second);
    }

    [Fact]
    public async Task Wake_OldestIdleWorkerDoesNotListen_TellsTheNext()
    {
        await ClaimAsync("gone");
        await ListenAsync("w1");

        await EnqueueAsync("c", Message("a", flush: true));

        Assert.Equal(("w1", TimeSpan.Zero), await WokenAsync());
    }

    [Fact]
    public async Task Leave_WhileRunsStillEnd_HandsTheTimeOnAndKeepsTheRecordAsItIs()
    {
        await ListenAsync("w1", "w2");
        await Seed.RunningAsync("c", ["a"], leaseIn: 20_000);
        var record = await Read.ScoreAsync("workers", "w1");

        var changes = await ChangesOfAsync(() => Store.LeaveAsync(0, "w1", isGone: false, Ct));

        Assert.Equal(["~idle"], changes);
        Assert.Equal(record, await Read.ScoreAsync("workers", "w1"));
        var (worker, dueIn) = await WokenAsync();
        Assert.Equal("w2", worker);
        Assert.InRange(dueIn, Second, 20 * Second);
    }

    [Fact]
    public async Task Leave_ARenewalComesAfterIt_TheLongRecordStays()
    {
        await Store.LeaveAsync(0, "w1", isGone: true, Ct);

        Assert.Empty(await ChangesOfAsync(() => Task.FromResult(Store.Renew(0, "w1", []))));
    }

    /// <summary>Workers with free slots, the first for longest, that note who was woken.</summary>
    private async Task ListenAsync(params string[] workers)
    {
        foreach (var worker in workers)
        {
            await ClaimAsync(worker);
            _subscriptions.Add(await Store.SubscribeToWakeUpsAsync(worker, (_, dueIn) => _woken.Writer.TryWrite((worker, dueIn)), Ct));
        }
    }

    private Task<(string Worker, TimeSpan DueIn)> WokenAsync() => _woken.Reader.ReadAsync().AsTask().WaitAsync(30 * Second);
}

public sealed class WakeOnRedisTests() : WakeTests(StoreServer.Redis);

public sealed class WakeOnGarnetTests() : WakeTests(StoreServer.Garnet);
