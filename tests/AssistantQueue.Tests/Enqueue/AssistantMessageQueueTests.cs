using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using AssistantQueue.Emulators;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace AssistantQueue.Tests.Enqueue;

public sealed class AssistantMessageQueueTests(SharedRedis shared) : IClassFixture<SharedRedis>
{
    [Fact]
    public async Task AddMessageToThread_Stored_GivesItsReceipt()
    {
        await using var test = new TestQueue(shared.Redis.ConnectionString, o => o.MessageDelay = TimeSpan.FromSeconds(30));

        var receipt = await test.Queue.AddMessageToThreadAsync("c1", "hello", "Be brief.");

        Assert.Equal(("c1", "", false), (receipt.ThreadId, receipt.QueueName, receipt.IsDuplicate));
        Assert.InRange(receipt.DueAt!.Value - DateTimeOffset.UtcNow, TimeSpan.FromSeconds(20), TimeSpan.FromSeconds(31));
        var status = await test.Queue.GetQueueStatusAsync();
        Assert.Equal((1L, 0L, 1L), (status.DelayedCount, status.ActiveCount, status.DelayedThreads));
    }

    [Fact]
    public async Task Enqueue_KnownMessageId_GivesTheFirstReceipt()
    {
        await using var test = new TestQueue(shared.Redis.ConnectionString);
        var first = await test.Queue.EnqueueAsync(new AssistantMessage { ThreadId = "c1", Text = "hello", MessageId = "m1" });

        var again = await test.Queue.EnqueueAsync(new AssistantMessage { ThreadId = "c1", Text = "hello", MessageId = "m1" });

        Assert.True(again.IsDuplicate);
        Assert.Equal(first.Sequence, again.Sequence);
        Assert.Single((await test.ClaimAsync()).Entries);
    }

    [Fact]
    public async Task Enqueue_List_KeepsTheOrderOfEachThread()
    {
        await using var test = new TestQueue(shared.Redis.ConnectionString);

        var receipts = await test.Queue.EnqueueAsync([.. "abcab".Select((c, i) => new AssistantMessage { ThreadId = c.ToString(), Text = i.ToString(System.Globalization.CultureInfo.InvariantCulture) })]);

        Assert.Equal(["a", "b", "c", "a", "b"], receipts.Select(r => r.ThreadId));
        Assert.True(receipts[0].Sequence < receipts[3].Sequence);
        Assert.Equal(5, (await test.Queue.GetQueueStatusAsync()).WaitingCount);
    }

    [Fact]
    public async Task Enqueue_FullThread_ThrowsAndStoresTheOtherThreads()
    {
        await using var test = new TestQueue(shared.Redis.ConnectionString, o => (o.MaxPendingMessages, o.MaxBatchMessages) = (2, 2));
        AssistantMessage Message(string thread) => new() { ThreadId = thread, Text = "hi" };

        var e = await Assert.ThrowsAsync<ThreadFullException>(() => test.Queue.EnqueueAsync([Message("full"), Message("full"), Message("full"), Message("free")]));

        Assert.Equal(("full", 2), (e.ThreadId, e.Limit));
        Assert.Equal("free", (await test.ClaimAsync()).Lease.ThreadId);
        Assert.Equal(1, (await test.Queue.GetQueueStatusAsync()).ActiveCount);
    }

    [Fact]
    public async Task Enqueue_BrokenRuleInAList_StoresNothing()
    {
        await using var test = new TestQueue(shared.Redis.ConnectionString);

        await Assert.ThrowsAsync<ArgumentException>(() => test.Queue.EnqueueAsync([new() { ThreadId = "a", Text = "good" }, new() { ThreadId = "b", Text = "" }]));

        Assert.Equal(0, (await test.Queue.GetQueueStatusAsync()).WaitingCount);
    }

    [Fact]
    public async Task Enqueue_EachBrokenRule_ThrowsAndStoresNothing()
    {
        await using var test = new TestQueue(shared.Redis.ConnectionString);
        foreach (var row in MessageRulesTests.Broken)
        {
            var message = new AssistantMessage { ThreadId = "c1", Text = "hi" };
            ((Action<AssistantMessage>)row[0])(message);

            var e = await Assert.ThrowsAsync<ArgumentException>(() => test.Queue.EnqueueAsync(message));

            Assert.Contains((string)row[1], e.Message, StringComparison.Ordinal);
        }

        await AssertNothingStoredAsync(test);
    }

    [Theory]
    [InlineData("", "hi", null, "threadId", "ThreadId must not be empty")]
    [InlineData("c\n1", "hi", null, "threadId", "ThreadId must not have control characters")]
    [InlineData("c1", " ", null, "message", "Text must not be empty")]
    [InlineData("c1", null, null, "message", "Text must not be empty")]
    [InlineData("c1", "hi", 256_001, "instructions", "Instructions must have at most 256,000 characters")]
    public async Task AddMessageToThread_BrokenRule_NamesTheArgumentAndStoresNothing(string threadId, string? text, int? instructions, string argument, string rule)
    {
        await using var test = new TestQueue(shared.Redis.ConnectionString);

        var e = await Assert.ThrowsAsync<ArgumentException>(() => test.Queue.AddMessageToThreadAsync(threadId, text!, instructions is { } length ? new string('i', length) : null));

        Assert.Equal(argument, e.ParamName);
        Assert.Contains(rule, e.Message, StringComparison.Ordinal);
        await AssertNothingStoredAsync(test);
    }

    [Fact]
    public async Task Enqueue_ForeignKey_SaysSoAndStoresNothing()
    {
        await using var test = new TestQueue(shared.Redis.ConnectionString, prefix: "foreign");
        await using var multiplexer = await StackExchange.Redis.ConnectionMultiplexer.ConnectAsync(shared.Redis.ConnectionString);
        await multiplexer.GetDatabase().StringSetAsync("{foreign:0}:messages:c1", "not a list");

        var e = await Assert.ThrowsAsync<QueueUnavailableException>(() => test.Queue.AddMessageToThreadAsync("c1", "hello"));

        Assert.Contains("did not write", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Enqueue_EmptyList_IsNothing()
    {
        await using var test = new TestQueue("127.0.0.1:1");

        Assert.Empty(await test.Queue.EnqueueAsync([]));
    }

    [Fact]
    public async Task Start_RedisAway_HostStartsEnqueueThrowsAndWorksOnceItIsThere()
    {
        var port = FreePort();
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddAssistantMessageQueue(o => (o.RedisConnectionString, o.ConnectTimeout) = ($"127.0.0.1:{port}", TimeSpan.FromMilliseconds(500))).ProducerOnly();
        using var host = builder.Build();
        await host.StartAsync();
        var queue = host.Services.GetRequiredService<IAssistantMessageQueue>();

        var clock = Stopwatch.StartNew();
        await Assert.ThrowsAsync<QueueUnavailableException>(() => queue.AddMessageToThreadAsync("c1", "too early"));
        Assert.InRange(clock.Elapsed, TimeSpan.FromMilliseconds(450), TimeSpan.FromSeconds(10));
        await Assert.ThrowsAsync<QueueUnavailableException>(() => queue.GetQueueStatusAsync());

        await using var redis = await EmbeddedRedis.StartAsync(new EmbeddedRedisOptions { Port = port });
        await host.Services.GetRequiredKeyedService<AssistantQueue.Redis.RedisConnection>("").WhenRestoredAsync();

        Assert.NotNull(await queue.AddMessageToThreadAsync("c1", "now"));
        Assert.Equal(1, (await queue.GetQueueStatusAsync()).DelayedCount);
        await host.StopAsync();
    }

    [Fact]
    public void Receipt_AsJson_ComesBackEqual()
    {
        var receipt = new MessageReceipt { QueueName = "q", ThreadId = "t", MessageId = "m", Sequence = 1_790_000_000_000_000, DueAt = DateTimeOffset.UnixEpoch };

        Assert.Equal(receipt, JsonSerializer.Deserialize<MessageReceipt>(JsonSerializer.Serialize(receipt)));
    }

    private static async Task AssertNothingStoredAsync(TestQueue test)
    {
        var status = await test.Queue.GetQueueStatusAsync();
        Assert.Equal((0L, 0L, 0L), (status.WaitingCount, status.DelayedCount, status.ActiveCount));
        Assert.Equal((0L, 0L, 0L), (status.WaitingThreads, status.DelayedThreads, status.ActiveThreads));
    }

    internal static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}

internal static class RedisConnectionSignals
{
    public static async Task WhenRestoredAsync(this AssistantQueue.Redis.RedisConnection connection)
    {
        var restored = new TaskCompletionSource();
        connection.Restored += () => restored.TrySetResult();
        if (connection.Current is not { IsConnected: true })
        {
            await restored.Task.WaitAsync(TimeSpan.FromSeconds(30));
        }
    }
}
