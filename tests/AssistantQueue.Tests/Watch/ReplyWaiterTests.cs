using AssistantQueue.Tests.Enqueue;

namespace AssistantQueue.Tests.Watch;

public sealed class ReplyWaiterTests(SharedRedis shared) : IClassFixture<SharedRedis>
{
    private static readonly TimeSpan Long = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task WaitForReply_BeforeTheReply_GetsItFromAnotherProcess()
    {
        await using var test = new TestQueue(shared.Redis.ConnectionString);
        await using var elsewhere = test.Elsewhere();
        var receipts = await test.Queue.EnqueueAsync([new() { ThreadId = "c1", Text = "one", MessageId = "m1" }, new() { ThreadId = "c1", Text = "two", MessageId = "m2" }]);
        var waiting = receipts.Select(r => elsewhere.Queue.WaitForReplyAsync(r)).ToList();
        var batch = await test.ClaimAsync();

        await test.ReplyAsync(batch, "hello");

        var replies = await Task.WhenAll(waiting).WaitAsync(Long);
        Assert.All(replies, r => Assert.Equal("hello", r.Text));
        Assert.Equal(["m1", "m2"], replies[0].MessageIds);
    }

    [Fact]
    public async Task WaitForReply_ReplyIsThere_ReturnsIt()
    {
        await using var test = new TestQueue(shared.Redis.ConnectionString);
        var receipt = await test.Queue.AddMessageToThreadAsync("c1", "hi");
        await test.ReplyAsync(await test.ClaimAsync(), "hello");

        Assert.Equal("hello", (await test.Queue.WaitForReplyAsync(receipt).WaitAsync(Long)).Text);
    }

    [Fact]
    public async Task WaitForReply_BatchFailed_ThrowsTheFailure()
    {
        await using var test = new TestQueue(shared.Redis.ConnectionString);
        var receipt = await test.Queue.AddMessageToThreadAsync("c1", "hi");
        var waiting = test.Queue.WaitForReplyAsync(receipt);

        await test.FailAsync(await test.ClaimAsync(), "the model would not");

        var e = await Assert.ThrowsAsync<BatchFailedException>(() => waiting.WaitAsync(Long));
        Assert.Equal("the model would not", e.Failure.Error);
    }

    [Fact]
    public async Task WaitForReply_MessageNobodyKnows_Throws()
    {
        await using var test = new TestQueue(shared.Redis.ConnectionString);
        var receipt = await test.Queue.AddMessageToThreadAsync("c1", "hi");

        var e = await Assert.ThrowsAsync<ReplyExpiredException>(() => test.Queue.WaitForReplyAsync(receipt with { Sequence = 5, MessageId = "m5" }).WaitAsync(Long));

        Assert.Equal(("c1", "m5"), (e.ThreadId, e.MessageId));
    }

    [Fact]
    public async Task WaitForReply_NoSequence_IsFoundByTheAppsMessageId()
    {
        await using var test = new TestQueue(shared.Redis.ConnectionString);
        await test.Queue.EnqueueAsync(new AssistantMessage { ThreadId = "c1", Text = "hi", MessageId = "m1" });
        var waiting = test.Queue.WaitForReplyAsync(new MessageReceipt { ThreadId = "c1", MessageId = "m1", Sequence = 0 });

        await test.ReplyAsync(await test.ClaimAsync(), "hello");

        Assert.Equal("hello", (await waiting.WaitAsync(Long)).Text);
        await Assert.ThrowsAsync<ReplyExpiredException>(
            () => test.Queue.WaitForReplyAsync(new MessageReceipt { ThreadId = "c1", MessageId = "m2", Sequence = 0 }).WaitAsync(Long));
    }

    [Fact]
    public async Task WaitForReply_ReceiptOfAnotherQueue_Throws()
    {
        await using var test = new TestQueue(shared.Redis.ConnectionString);
        var receipt = new MessageReceipt { QueueName = "support", ThreadId = "c1", MessageId = "m1", Sequence = 1 };

        var e = await Assert.ThrowsAsync<ArgumentException>(() => test.Queue.WaitForReplyAsync(receipt));

        Assert.Contains("queue 'support'; this is the unnamed queue", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task WaitForReply_Cancelled_EndsAndTheMessageStays()
    {
        await using var test = new TestQueue(shared.Redis.ConnectionString);
        var receipt = await test.Queue.AddMessageToThreadAsync("c1", "hi");
        using var cancelled = new CancellationTokenSource();
        var waiting = test.Queue.WaitForReplyAsync(receipt, cancelled.Token);

        await cancelled.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting.WaitAsync(Long));
        Assert.Single((await test.ClaimAsync()).Entries);
    }

    [Fact]
    public async Task WaitForReply_RedisAway_Throws()
    {
        await using var test = new TestQueue("127.0.0.1:1", o => o.ConnectTimeout = TimeSpan.FromMilliseconds(200));

        await Assert.ThrowsAsync<QueueUnavailableException>(
            () => test.Queue.WaitForReplyAsync(new MessageReceipt { ThreadId = "c1", MessageId = "m1", Sequence = 1 }).WaitAsync(Long));
    }
}
