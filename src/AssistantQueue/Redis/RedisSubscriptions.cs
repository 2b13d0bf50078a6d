using System.Globalization;
using System.Text.Json;
using AssistantQueue.Store;
using StackExchange.Redis;

namespace AssistantQueue.Redis;

/// <summary>Wake-ups and announcements: pub/sub, which may lose; every subscriber is told after a reconnect, so that it looks for itself.</summary>
internal sealed class RedisSubscriptions(RedisConnection connection, RedisKeys keys)
{
    public Task<IAsyncDisposable> ToThreadAsync(int partition, string threadId, Action<ThreadAnnouncement?> onAnnouncement, CancellationToken cancellationToken) =>
        ToAnnouncementsAsync(keys[partition].Updates(threadId), onAnnouncement, cancellationToken);

    public Task<IAsyncDisposable> ToOutcomesAsync(int partition, string threadId, Action<ThreadAnnouncement?> onAnnouncement, CancellationToken cancellationToken) =>
        ToAnnouncementsAsync(keys[partition].Outcomes(threadId), onAnnouncement, cancellationToken);

    private Task<IAsyncDisposable> ToAnnouncementsAsync(RedisChannel channel, Action<ThreadAnnouncement?> onAnnouncement, CancellationToken cancellationToken) =>
        SubscribeAsync(
            [channel],
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

    public Task<IAsyncDisposable> ToRunSignalsAsync(string workerId, Action<RunSignal> onSignal, CancellationToken cancellationToken) =>
        SubscribeAsync(
            [.. Enumerable.Range(0, keys.Count).Select(p => keys[p].Signals(workerId))],
            (_, message) =>
            {
                // fence, what ('I', 'S', or the last live item), thread
                var parts = message.Split(' ', 3);
                if (parts.Length == 3 && long.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out var fence))
                {
                    onSignal(new RunSignal(
                        parts[2],
                        fence,
                        parts[1] switch { "I" => RunWish.Interrupt, "S" => RunWish.Join, _ => RunWish.None },
                        int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out var after) ? after : null));
                }
            },
            // What was missed meanwhile: wishes come with the next renewal, watchers ask again.
            () => { },
            cancellationToken);

    public Task PublishLiveAsync(int partition, string threadId, long fence, IReadOnlyList<LiveItem> items, CancellationToken cancellationToken) =>
        PublishAsync(
            keys[partition].Updates(threadId),
            string.Create(CultureInfo.InvariantCulture, $"{fence} L {JsonSerializer.Serialize(items, StoreJson.Live)}"),
            cancellationToken);

    public Task AskForLiveAsync(int partition, string threadId, string workerId, long fence, int after, CancellationToken cancellationToken) =>
        PublishAsync(keys[partition].Signals(workerId), string.Create(CultureInfo.InvariantCulture, $"{fence} {after} {threadId}"), cancellationToken);

    private async Task PublishAsync(RedisChannel channel, string message, CancellationToken cancellationToken)
    {
        try
        {
            var multiplexer = await connection.GetAsync(cancellationToken);
            await multiplexer.GetSubscriber().PublishAsync(channel, message, CommandFlags.DemandMaster).WaitAsync(cancellationToken);
        }
        catch (Exception e) when (e is RedisException or TimeoutException)
        {
            throw new StoreUnavailableException($"Redis did not take a publication: {e.Message}", e) { MayHaveBeenDone = true };
        }
    }

    // stamp, what, batch, first, last, number, worker, what else belongs to it; or fence, 'L', JSON
    internal static ThreadAnnouncement? Parse(string message)
    {
        var parts = message.Split(' ', 3);
        if (parts.Length == 3 && parts[1] == "L")
        {
            return ParseLive(Number(parts[0]), parts[2]);
        }

        parts = message.Split(' ', 8);
        return parts.Length >= 6 && Kind(parts[1]) is { } kind
            ? new ThreadAnnouncement(
                Number(parts[0]),
                kind,
                Word(parts, 2),
                Number(parts[3]),
                Number(parts[4]),
                Number(parts[5]),
                Word(parts, 6),
                More: parts.Length > 7 ? parts[7] : "")
            : null;
    }

    private static ThreadAnnouncement? ParseLive(long fence, string json)
    {
        try
        {
            return JsonSerializer.Deserialize(json, StoreJson.Live) is { Count: > 0 } items
                ? new ThreadAnnouncement(fence, AnnouncementKind.Live, "", 0, 0, 0, Live: items)
                : null;
        }
        catch (JsonException)
        {
            // A newer version's; the reply comes whole.
            return null;
        }
    }

    // What a newer version announces and this one doesn't know is left out.
    private static AnnouncementKind? Kind(string letter) => letter switch
    {
        "S" => AnnouncementKind.Stored,
        "R" => AnnouncementKind.Started,
        "A" => AnnouncementKind.Replied,
        "T" => AnnouncementKind.Retrying,
        "F" => AnnouncementKind.Failed,
        "P" => AnnouncementKind.AwaitingApproval,
        "I" => AnnouncementKind.Interrupted,
        "J" => AnnouncementKind.Joined,
        _ => null,
    };

    private static string Word(string[] parts, int at) => parts.Length > at && parts[at] != "-" ? parts[at] : "";

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
            // Side by side: a Redis that stands still is waited for once, not once a channel.
            await Task.WhenAll(_queues.Select(UnsubscribeAsync));
        }

        private static async Task UnsubscribeAsync(ChannelMessageQueue queue)
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
