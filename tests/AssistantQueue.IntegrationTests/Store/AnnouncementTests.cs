using System.Threading.Channels;
using AssistantQueue.Store;

namespace AssistantQueue.IntegrationTests.Store;

/// <summary>What the scripts tell: a thread's updates, whose stamps strictly grow, and wake-ups to one worker.</summary>
public abstract class AnnouncementTests(StoreServer server) : StoreTest(server)
{
    private readonly Channel<ThreadAnnouncement> _heard = Channel.CreateUnbounded<ThreadAnnouncement>();
    private IAsyncDisposable? _subscription;

    [Theory]
    [InlineData(0)]
    [InlineData(3_600)]
    public async Task Announcements_OfABurst_ComeInOrderWithGrowingStamps(int aheadSeconds)
    {
        if (aheadSeconds > 0)
        {
            // As after the clock was set back: the counters know later times than the clock.
            await Seed.SetCounterAsync("fence", (Seed.Now + (aheadSeconds * 1000)) * 1000);
        }

        await ListenAsync();
        var expected = new List<AnnouncementKind>();
        for (var i = 0; i < 20; i++)
        {
            await EnqueueAsync("c", Message("a", flush: true), Message("b"));
            var batch = await ClaimOneAsync();
            await EnqueueAsync("c", Message("d"));
            await RetryAsync(batch.Lease, posted: true);
            batch = await ClaimOneAsync();
            await CompleteAsync(batch.Lease, deliver: false);
            batch = await ClaimOneAsync();
            await RetryAsync(batch.Lease);
            batch = await ClaimOneAsync();
            await FailAsync(batch.Lease, deliver: false);
            expected.AddRange([
                AnnouncementKind.Stored, AnnouncementKind.Started, AnnouncementKind.Stored, AnnouncementKind.Retrying, AnnouncementKind.Started,
                AnnouncementKind.Replied, AnnouncementKind.Started, AnnouncementKind.Retrying, AnnouncementKind.Started, AnnouncementKind.Failed]);
        }

        var heard = await HearAsync(expected.Count);

        Assert.Equal(expected, heard.Select(h => h.Kind));
        for (var i = 1; i < heard.Count; i++)
        {
            Assert.True(heard[i].Stamp > heard[i - 1].Stamp, $"{heard[i]} comes after {heard[i - 1]}");
        }
    }

    [Fact]
    public async Task Announcements_OfALife_TellBatchRangeAndNumber()
    {
        await ListenAsync();
        var stored = (await EnqueueAsync("c", Message("a", "m 1", flush: true), Message("b", "m2"))).Receipts;
        var batch = await ClaimOneAsync();
        await RetryAsync(batch.Lease, posted: true, delay: 5 * Second);
        await PassAsync("due");
        var second = await ClaimOneAsync();
        await CompleteAsync(second.Lease);

        var heard = await HearAsync(5);

        var (first, last) = (stored[0].Sequence, stored[1].Sequence);
        Assert.Equal(new ThreadAnnouncement(last, AnnouncementKind.Stored, "", first, last, 0, More: "m 1\nm2"), heard[0]);
        Assert.Equal(new ThreadAnnouncement(batch.Lease.Fence, AnnouncementKind.Started, batch.Lease.BatchId, first, last, 1, "w1"), heard[1]);
        Assert.Equal((AnnouncementKind.Retrying, batch.Lease.BatchId), (heard[2].Kind, heard[2].BatchId));
        Assert.InRange(heard[2].Number, Seed.Now - 60_000, Seed.Now + 5_000);
        Assert.Equal(new ThreadAnnouncement(second.Lease.Fence, AnnouncementKind.Started, batch.Lease.BatchId, first, last, 2, second.Lease.WorkerId), heard[3]);
        Assert.Equal((AnnouncementKind.Replied, heard[4].Stamp), (heard[4].Kind, (await Store.ReadHistoryAsync("c", 0, Ct)).Outcomes[0].Stamp));
    }

    [Fact]
    public async Task Outcomes_AreHeardByThoseWhoOnlyWait_WhoAreNoWatchers()
    {
        _subscription = await Store.SubscribeToOutcomesAsync("c", Hear, Ct);
        await EnqueueAsync("c", Message("a", flush: true));
        var batch = await ClaimOneAsync();
        Assert.False(batch.IsWatched);
        await RetryAsync(batch.Lease);
        batch = await ClaimOneAsync();
        await CompleteAsync(batch.Lease);
        await EnqueueAsync("c", Message("b", flush: true));
        var other = await ClaimOneAsync();
        await FailAsync(other.Lease);

        Assert.Equal(
            [(AnnouncementKind.Replied, batch.FirstSequence), (AnnouncementKind.Failed, other.FirstSequence)],
            (await HearAsync(2)).Select(h => (h.Kind, h.FirstSequence)));
    }

    [Fact]
    public async Task Wake_EarliestDue_GoesToTheWorkerThatHasBeenIdleLongest()
    {
        await ClaimAsync("w1");
        await ClaimAsync("w2");
        var (first, second) = (Channel.CreateUnbounded<TimeSpan>(), Channel.CreateUnbounded<TimeSpan>());
        await using var one = await Store.SubscribeToWakeUpsAsync("w1", (_, dueIn) => first.Writer.TryWrite(dueIn), Ct);
        await using var two = await Store.SubscribeToWakeUpsAsync("w2", (_, dueIn) => second.Writer.TryWrite(dueIn), Ct);

        await EnqueueAsync("c", Message("a"));
        await EnqueueAsync("d", Message("b"));
        await EnqueueAsync("e", Message("f", flush: true));

        Assert.InRange(await HearAsync(first), 9 * Second, 10 * Second);
        Assert.Equal(TimeSpan.Zero, await HearAsync(first));
        // d is due after c, and nothing goes to w2: the next wake-up that it hears is its own.
        await Store.LeaveAsync(0, "w1", isGone: true, Ct);
        Assert.Equal(TimeSpan.Zero, await HearAsync(second));
        Assert.Equal(0, first.Reader.Count);
    }

    [Fact]
    public async Task Wake_MoreDueThanSlots_GoesOnToTheNextWorker()
    {
        await ClaimAsync("w2");
        await Seed.WaitingAsync("c", -2, "a");
        await Seed.WaitingAsync("d", -1, "b");
        var woken = Channel.CreateUnbounded<TimeSpan>();
        await using var subscription = await Store.SubscribeToWakeUpsAsync("w2", (_, dueIn) => woken.Writer.TryWrite(dueIn), Ct);

        await ClaimAsync("w1", max: 1, free: 1);

        Assert.Equal(TimeSpan.Zero, await HearAsync(woken));
    }

    public override async Task DisposeAsync()
    {
        if (_subscription is not null)
        {
            await _subscription.DisposeAsync();
        }

        await base.DisposeAsync();
    }

    private async Task ListenAsync() => _subscription = await Store.SubscribeToThreadAsync("c", Hear, Ct);

    private void Hear(ThreadAnnouncement? announcement)
    {
        if (announcement is { } heard)
        {
            _heard.Writer.TryWrite(heard);
        }
    }

    private async Task<List<ThreadAnnouncement>> HearAsync(int count)
    {
        var heard = new List<ThreadAnnouncement>();
        while (heard.Count < count)
        {
            heard.Add(await _heard.Reader.ReadAsync().AsTask().WaitAsync(30 * Second));
        }

        return heard;
    }

    private static async Task<TimeSpan> HearAsync(Channel<TimeSpan> channel) => await channel.Reader.ReadAsync().AsTask().WaitAsync(30 * Second);
}

public sealed class AnnouncementOnRedisTests() : AnnouncementTests(StoreServer.Redis);

public sealed class AnnouncementOnGarnetTests() : AnnouncementTests(StoreServer.Garnet);
