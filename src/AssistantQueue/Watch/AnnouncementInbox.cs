using System.Threading.Channels;
using AssistantQueue.Store;

namespace AssistantQueue.Watch;

/// <summary>Keeps announcements for one watcher until it takes them; when it is too slow for them, it is told to look for itself.</summary>
internal sealed class AnnouncementInbox
{
    private const int Capacity = 512;

    private readonly Channel<ThreadAnnouncement> _announcements = Channel.CreateBounded<ThreadAnnouncement>(
        new BoundedChannelOptions(Capacity) { SingleReader = true, FullMode = BoundedChannelFullMode.Wait });

    private int _hasGap;

    // One wait at a time: each that was given up would stay registered with the channel and the token until the next announcement.
    private Task<bool>? _waiting;

    /// <summary>Takes an announcement; null means that some may have been lost.</summary>
    public void Add(ThreadAnnouncement? announcement)
    {
        if (announcement is not { } told)
        {
            Volatile.Write(ref _hasGap, 1);
            // Something to wake the reader with; where the box is full it is awake anyway.
            _announcements.Writer.TryWrite(default);
        }
        else if (!_announcements.Writer.TryWrite(told))
        {
            Volatile.Write(ref _hasGap, 1);
        }
    }

    /// <summary>Waits for announcements, at most for a while. Nothing comes when the time is over; with a gap the caller has to look for itself. One call at a time, all with one token.</summary>
    public async Task<(IReadOnlyList<ThreadAnnouncement> Announcements, bool HasGap)> TakeAsync(TimeSpan longest, TimeProvider time, CancellationToken cancellationToken)
    {
        try
        {
            _waiting ??= _announcements.Reader.WaitToReadAsync(cancellationToken).AsTask();
            await _waiting.WaitAsync(longest, time, cancellationToken);
            _waiting = null;
        }
        catch (TimeoutException)
        {
            return ([], false);
        }

        var taken = new List<ThreadAnnouncement>();
        while (_announcements.Reader.TryRead(out var announcement))
        {
            taken.Add(announcement);
        }

        return Interlocked.Exchange(ref _hasGap, 0) == 1 ? ([], true) : (taken, false);
    }
}
