using AssistantQueue.Store;
using AssistantQueue.Watch;
using Microsoft.Extensions.Time.Testing;

namespace AssistantQueue.Tests.Watch;

[Collection(nameof(MeasuresMemory))]
public sealed class AnnouncementInboxTests
{
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(10);

    private readonly FakeTimeProvider _time = new();
    private readonly AnnouncementInbox _inbox = new();

    [Fact]
    public async Task Take_AfterWaitsThatWereGivenUp_GetsWhatComesNext()
    {
        for (var i = 0; i < 3; i++)
        {
            var taking = TakeAsync();
            _time.Advance(Longest);
            Assert.Equal(([], false), await taking);
        }

        _inbox.Add(Announcement(1));
        _inbox.Add(Announcement(2));
        Assert.Equal([1, 2], (await TakeAsync()).Announcements.Select(a => a.Stamp));
        var next = TakeAsync();
        _inbox.Add(Announcement(3));
        Assert.Equal([3], (await next).Announcements.Select(a => a.Stamp));
    }

    [Fact]
    public async Task Take_ManyWaitsThatWereGivenUp_LeavesNothingBehind()
    {
        using var watching = new CancellationTokenSource();
        // Each wait that stayed with the channel and the token would keep some hundred bytes.
        await GiveUpAsync(100);
        var before = GC.GetTotalMemory(forceFullCollection: true);
        await GiveUpAsync(20_000);

        Assert.InRange(GC.GetTotalMemory(forceFullCollection: true) - before, long.MinValue, 1024 * 1024);
        _inbox.Add(Announcement(1));
        Assert.Single((await _inbox.TakeAsync(Longest, _time, watching.Token)).Announcements);

        async Task GiveUpAsync(int times)
        {
            for (var i = 0; i < times; i++)
            {
                var taking = _inbox.TakeAsync(Longest, _time, watching.Token);
                _time.Advance(Longest);
                await taking;
            }
        }
    }

    private Task<(IReadOnlyList<ThreadAnnouncement> Announcements, bool HasGap)> TakeAsync() => _inbox.TakeAsync(Longest, _time, CancellationToken.None);

    private static ThreadAnnouncement Announcement(long stamp) => new(stamp, AnnouncementKind.Stored, "", stamp, stamp, 0);
}
