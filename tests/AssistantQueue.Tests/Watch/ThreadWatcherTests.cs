using System.Globalization;
using AssistantQueue.Emulators;
using AssistantQueue.Store;
using AssistantQueue.Tests.Enqueue;
using AssistantQueue.Watch;
using Microsoft.Extensions.Logging.Abstractions;

namespace AssistantQueue.Tests.Watch;

public sealed class ThreadWatcherTests(SharedRedis shared) : IClassFixture<SharedRedis>
{
    private static readonly TimeSpan Long = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task Watch_AWholeConversation_YieldsEachUpdateOnceInOrder()
    {
        await using var test = new TestQueue(shared.Redis.ConnectionString);
        await using var elsewhere = test.Elsewhere();
        await using var watch = Watch(elsewhere.Queue, "0");

        await test.Queue.EnqueueAsync([new() { ThreadId = "c1", Text = "one", MessageId = "m1" }, new() { ThreadId = "c1", Text = "two", MessageId = "m2" }]);
        var stored = await IdsAsync(watch, 2);
        var batch = await test.ClaimAsync();
        var started = Assert.IsType<BatchStarted>(await watch.NextAsync());
        await test.ReplyAsync(batch, "hello");
        var replied = Assert.IsType<BatchReplied>(await watch.NextAsync());

        Assert.Equal(["m1", "m2"], stored);
        Assert.Equal((batch.Lease.BatchId, batch.FirstSequence, batch.LastSequence, 1), (started.BatchId, started.FirstSequence, started.LastSequence, started.Attempt));
        Assert.Equal(["m1", "m2"], started.MessageIds);
        Assert.Equal(("hello", batch.Lease.BatchId), (replied.Reply.Text, replied.Reply.BatchId));

        await test.Queue.AddMessageToThreadAsync("c1", "three");
        Assert.IsType<MessagesStored>(await watch.NextAsync());
        var second = await test.ClaimAsync();
        Assert.IsType<BatchStarted>(await watch.NextAsync());
        var before = DateTimeOffset.UtcNow;
        await test.Store.RetryAsync(second.Lease, new RetryWrite(TimeSpan.Zero, "{}", "{}", IsPosted: false), default);
        var retrying = Assert.IsType<BatchRetrying>(await watch.NextAsync());
        Assert.Equal(second.Lease.BatchId, retrying.BatchId);
        Assert.InRange(retrying.RetryAt, before.AddMilliseconds(-1), DateTimeOffset.UtcNow);
        var again = await test.ClaimAsync();
        Assert.Equal(2, Assert.IsType<BatchStarted>(await watch.NextAsync()).Attempt);
        await test.FailAsync(again, "refused");
        Assert.Equal("refused", Assert.IsType<BatchFailed>(await watch.NextAsync()).Failure.Error);
    }

    [Fact]
    public async Task Watch_FromAnyPosition_GoesOnBehindIt()
    {
        await using var test = new TestQueue(shared.Redis.ConnectionString);
        var first = await test.Queue.AddMessageToThreadAsync("c1", "one");
        await test.ReplyAsync(await test.ClaimAsync(), "hello");
        await test.Queue.AddMessageToThreadAsync("c1", "two");
        await test.ClaimAsync();
        await test.Queue.AddMessageToThreadAsync("c1", "three");
        var all = await KeptAsync(test.Queue, "0", 6);

        Assert.Equal([typeof(MessagesStored), typeof(BatchStarted), typeof(BatchReplied), typeof(MessagesStored), typeof(BatchStarted), typeof(MessagesStored)], all.Select(u => u.GetType()));
        Assert.Equal(first.MessageId, Assert.IsType<MessagesStored>(all[0]).MessageIds[0]);
        for (var seen = 1; seen < all.Count; seen++)
        {
            var rest = await KeptAsync(test.Queue, all[seen - 1].Position, all.Count - seen);
            Assert.Equal(all.Skip(seen).Select(u => u.Position), rest.Select(u => u.Position));
        }
    }

    [Fact]
    public async Task Watch_WithoutPosition_BeginsNow()
    {
        await using var test = new TestQueue(shared.Redis.ConnectionString);
        await test.Queue.EnqueueAsync(new AssistantMessage { ThreadId = "c1", Text = "before", MessageId = "before" });
        await using var watch = Watch(test.Queue, after: null);
        var next = watch.NextAsync();
        // The watcher's place is where it was when it began to look; a message behind it is seen whenever that was.
        for (var i = 0; !next.IsCompleted; i++)
        {
            await test.Queue.EnqueueAsync(new AssistantMessage { ThreadId = "c1", Text = "after", MessageId = $"after{i}" });
        }

        Assert.StartsWith("after", Assert.IsType<MessagesStored>(await next).MessageIds[0], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Watch_UnknownPosition_SaysSoAndBeginsWithWhatIsKept()
    {
        await using var test = new TestQueue(shared.Redis.ConnectionString);
        await test.Queue.AddMessageToThreadAsync("c1", "one");
        await using var watch = Watch(test.Queue, "9000000000000000000.3");

        Assert.Null(Assert.IsType<UpdatesSkipped>(await watch.NextAsync()).BatchId);
        Assert.IsType<MessagesStored>(await watch.NextAsync());
    }

    [Fact]
    public async Task Watch_PositionOlderThanWhatIsKept_SaysSo()
    {
        await using var test = new TestQueue(shared.Redis.ConnectionString);
        for (var i = 0; i < 21; i++)
        {
            await test.Queue.AddMessageToThreadAsync("c1", $"{i}");
            await test.ReplyAsync(await test.ClaimAsync(), $"reply {i}");
        }

        await using var old = Watch(test.Queue, "1");
        Assert.IsType<UpdatesSkipped>(await old.NextAsync());
        Assert.IsType<MessagesStored>(await old.NextAsync());
        Assert.IsType<BatchStarted>(await old.NextAsync());
        var first = Assert.IsType<BatchReplied>(await old.NextAsync());
        Assert.Equal("reply 1", first.Reply.Text);
        await using var known = Watch(test.Queue, first.Position);
        Assert.IsType<MessagesStored>(await known.NextAsync());
    }

    [Fact]
    public async Task Watch_PositionOlderThanTheRetention_SaysSoOnceAndGoesOnBehindIt()
    {
        await using var test = new TestQueue(shared.Redis.ConnectionString, o => o.ReplyRetention = TimeSpan.FromMinutes(1));
        await test.Queue.AddMessageToThreadAsync("c1", "one");
        var longAgo = (DateTimeOffset.UtcNow.ToUnixTimeMilliseconds() - 120_000) * 1_000;
        await using var old = Watch(test.Queue, $"{longAgo}.7");

        var skipped = Assert.IsType<UpdatesSkipped>(await old.NextAsync());
        Assert.Equal((null, $"{longAgo}.7"), (skipped.BatchId, skipped.Position));
        Assert.IsType<MessagesStored>(await old.NextAsync());
        await test.ReplyAsync(await test.ClaimAsync(), "hello");
        Assert.IsType<BatchStarted>(await old.NextAsync());
        Assert.IsType<BatchReplied>(await old.NextAsync());
    }

    [Fact]
    public async Task Watch_StoredAndAnsweredBeforeItLooks_StillKnowsTheIds()
    {
        var store = new FakeStore();
        var watcher = new ThreadWatcher(store, new ThreadSubscriptions(store.SubscribeToThreadAsync), () => new(), TimeProvider.System, NullLogger.Instance);
        await using var watch = new Watcher(watcher.WatchAsync("c1", new WatchPosition(1_000_000, 0), default).GetAsyncEnumerator());
        store.History = () => new([], null, [], 1_000_000);
        var next = watch.NextAsync();

        store.Announce(new(1_000_002, AnnouncementKind.Stored, "", 1_000_001, 1_000_002, 0, More: "m 1\nm2"));

        Assert.Equal(["m 1", "m2"], Assert.IsType<MessagesStored>(await next).MessageIds);
    }

    [Theory]
    [InlineData("")]
    [InlineData("1.")]
    [InlineData("1.x")]
    [InlineData("latest")]
    [InlineData("-1")]
    public async Task Watch_NoPosition_Throws(string after)
    {
        await using var test = new TestQueue(shared.Redis.ConnectionString);

        Assert.Throws<ArgumentException>(() => test.Queue.WatchThreadAsync("c1", after));
    }

    [Fact]
    public async Task Watch_RedisRestarts_MissesNothing()
    {
        var folder = Directory.CreateTempSubdirectory("watch");
        var options = new EmbeddedRedisOptions { Port = AssistantMessageQueueTests.FreePort(), DataDirectory = folder.FullName };
        var redis = await EmbeddedRedis.StartAsync(options);
        await using var test = new TestQueue(redis.ConnectionString);
        await using var elsewhere = test.Elsewhere();
        await using var watch = Watch(test.Queue, "0");
        var receipt = await test.Queue.AddMessageToThreadAsync("c1", "one");
        Assert.IsType<MessagesStored>(await watch.NextAsync());
        var waiting = test.Queue.WaitForReplyAsync(receipt);
        var batch = await test.ClaimAsync();
        Assert.IsType<BatchStarted>(await watch.NextAsync());

        await redis.DisposeAsync();
        redis = await EmbeddedRedis.StartAsync(options);
        await elsewhere.ReplyAsync(batch, "hello");

        Assert.Equal("hello", Assert.IsType<BatchReplied>(await watch.NextAsync()).Reply.Text);
        Assert.Equal("hello", (await waiting.WaitAsync(Long)).Text);
        await redis.DisposeAsync();
        folder.Delete(recursive: true);
    }

    [Fact]
    public async Task Watch_TooSlowForTheAnnouncements_ReadsWhatItMissed()
    {
        var store = new FakeStore();
        var watcher = new ThreadWatcher(store, new ThreadSubscriptions(store.SubscribeToThreadAsync), () => new(), TimeProvider.System, NullLogger.Instance);
        await using var watch = new Watcher(watcher.WatchAsync("c1", new WatchPosition(0, 0), default).GetAsyncEnumerator());
        var history = new List<StoredEntry> { Entry(1) };
        store.History = () => new([], null, [.. history], 1_000_000);
        await watch.NextAsync();

        for (var i = 2; i <= 2_000; i++)
        {
            history.Add(Entry(i));
            store.Announce(new(i, AnnouncementKind.Stored, "", i, i, 0));
        }

        Assert.Equal(Enumerable.Range(2, 1_999).Select(i => $"m{i}"), await IdsAsync(watch, 1_999));
    }

    private static StoredEntry Entry(int sequence) => new(sequence, default, $$"""{"id":"m{{sequence}}","text":"x"}""");

    private static Watcher Watch(IAssistantMessageQueue queue, string? after) => new(queue.WatchThreadAsync("c1", after).GetAsyncEnumerator());

    private static async Task<List<string>> IdsAsync(Watcher watch, int count)
    {
        var ids = new List<string>();
        while (ids.Count < count)
        {
            ids.AddRange(Assert.IsType<MessagesStored>(await watch.NextAsync()).MessageIds);
        }

        return ids;
    }

    private static async Task<List<ThreadUpdate>> KeptAsync(IAssistantMessageQueue queue, string after, int count)
    {
        await using var watch = Watch(queue, after);
        var updates = new List<ThreadUpdate>();
        while (updates.Count < count)
        {
            updates.Add(await watch.NextAsync());
        }

        Assert.Equal(updates.OrderBy(u => long.Parse(u.Position, CultureInfo.InvariantCulture)), updates);
        return updates;
    }

    private sealed class Watcher(IAsyncEnumerator<ThreadUpdate> updates) : IAsyncDisposable
    {
        private Task<bool> _last = Task.FromResult(true);

        public async Task<ThreadUpdate> NextAsync()
        {
            _last = updates.MoveNextAsync().AsTask();
            Assert.True(await _last.WaitAsync(Long));
            return updates.Current;
        }

        // An enumerator that still waits for its next update is left to the garbage collector.
        public ValueTask DisposeAsync() => _last.IsCompleted ? updates.DisposeAsync() : ValueTask.CompletedTask;
    }
}
