using System.Globalization;
using AssistantQueue.Store;
using StackExchange.Redis;

namespace AssistantQueue.Redis;

/// <summary>Wake-ups and announcements: pub/sub, which may lose; every subscriber is told after a reconnect, so that it looks for itself.</summary>
internal sealed class RedisSubscriptions(RedisConnection connection, RedisKeys keys)
{
    public Task<IAsyncDisposable> ToThreadAsync(int partition, string threadId, Action<ThreadAnnouncement?> onAnnouncement, CancellationToken cancellationToken) =>
        SubscribeAsync(
            [keys[partition].Updates(threadId)],
            (_, message) =>
            {
                if (Parse(message) is { } announcement)
                {
                    onAnnouncement(announcement);
                }
            },
            () => onAnnouncement(null),
            cancellationToken);

    public Task<IAsyncDisposable> ToWakeUpsAsync(string workerId, Action<int, TimeSpan> onWake, CancellationToken cancellationToken) =>
        SubscribeAsync(
            [.. Enumerable.Range(0, keys.Count).Select(p => keys[p].Wake(workerId))],
            (partition, message) =>
            {
                if (long.TryParse(message, NumberStyles.None, CultureInfo.InvariantCulture, out var dueIn))
                {
                    onWake(partition, TimeSpan.FromMilliseconds(dueIn));
                }
            },
            () =>
            {
                for (var partition = 0; partition < keys.Count; partition++)
                {
                    onWake(partition, TimeSpan.Zero);
                }
            },
            cancellationToken);

    private async Task<IAsyncDisposable> SubscribeAsync(
        RedisChannel[] channels, Action<int, string> onMessage, Action onRestored, CancellationToken cancellationToken)
    {
        var multiplexer = await connection.GetAsync(cancellationToken);
        var subscription = new Subscription(connection, multiplexer.GetSubscriber(), onRestored);
        try
        {
            for (var i = 0; i < channels.Length; i++)
            {
                var index = i;
                await subscription.AddAsync(channels[i], message => onMessage(index, message));
            }
        }
        catch (Exception e) when (e is RedisException or TimeoutException)
        {
            await subscription.DisposeAsync();
            throw new StoreUnavailableException($"Redis did not take a subscription: {e.Message}", e);
        }

        return subscription;
    }

    // stamp, what, batch, first, last, number
    private static ThreadAnnouncement? Parse(string message)
    {
        var parts = message.Split(' ');
        return parts.Length == 6 && Kind(parts[1]) is { } kind
            ? new ThreadAnnouncement(Number(parts[0]), kind, parts[2] == "-" ? "" : parts[2], Number(parts[3]), Number(parts[4]), Number(parts[5]))
            : null;
    }

    // What a newer version announces and this one doesn't know is left out.
    private static AnnouncementKind? Kind(string letter) => letter switch
    {
        "S" => AnnouncementKind.Stored,
        "R" => AnnouncementKind.Started,
        "A" => AnnouncementKind.Replied,
        "T" => AnnouncementKind.Retrying,
        "F" => AnnouncementKind.Failed,
        _ => null,
    };

    private static long Number(string text) => long.Parse(text, CultureInfo.InvariantCulture);

    private sealed class Subscription : IAsyncDisposable
    {
        private readonly RedisConnection _connection;
        private readonly ISubscriber _subscriber;
        private readonly Action _onRestored;
        private readonly List<ChannelMessageQueue> _queues = [];

        public Subscription(RedisConnection connection, ISubscriber subscriber, Action onRestored)
        {
            (_connection, _subscriber, _onRestored) = (connection, subscriber, onRestored);
            _connection.Restored += _onRestored;
        }

        // One queue a channel keeps the order of its messages.
        public async Task AddAsync(RedisChannel channel, Action<string> onMessage)
        {
            var queue = await _subscriber.SubscribeAsync(channel);
            _queues.Add(queue);
            queue.OnMessage(message => onMessage((string)message.Message!));
        }

        public async ValueTask DisposeAsync()
        {
            _connection.Restored -= _onRestored;
            foreach (var queue in _queues)
            {
                try
                {
                    await queue.UnsubscribeAsync();
                }
                catch (Exception e) when (e is RedisException or TimeoutException or ObjectDisposedException)
                {
                    // Redis forgets the subscription with the connection; nobody listens any more.
                }
            }
        }
    }
}
