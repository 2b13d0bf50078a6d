using System.Runtime.CompilerServices;
using AssistantQueue.IntegrationTests.Redis;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using StackExchange.Redis;

namespace AssistantQueue.IntegrationTests.Admin;

/// <summary>What an operator does with failed batches, through the public interface of a running host.</summary>
public sealed class FailedBatchesTests : IAsyncLifetime
{
    private readonly Judge _judge = new();
    private readonly string _prefix = TestRedis.NewPrefix();
    private IHost _host = null!;

    private IAssistantMessageQueue Queue => _host.Services.GetRequiredService<IAssistantMessageQueue>();

    private IAssistantQueueAdmin Admin => _host.Services.GetRequiredService<IAssistantQueueAdmin>();

    public async Task InitializeAsync()
    {
        var redis = (await TestRedis.GetAsync()).Instance.ConnectionString;
        var builder = Host.CreateApplicationBuilder();
        builder.Services.AddAssistantMessageQueue(o =>
        {
            o.RedisConnectionString = redis;
            o.QueuePrefix = _prefix;
            o.MessageDelay = TimeSpan.Zero;
        }).UseBackend(_judge);
        _host = builder.Build();
        await _host.StartAsync();
    }

    public async Task DisposeAsync()
    {
        await _host.StopAsync();
        _host.Dispose();
    }

    [Fact]
    public async Task Retry_EditedMessage_IsAnsweredUnderTheSameBatchAndReceipt()
    {
        var (receipt, failure) = await FailAsync("c1", "bad word");
        var listed = await Admin.ListFailedAsync().ToListAsync();
        var details = await Admin.GetFailedAsync(failure.BatchId);
        Assert.Equal(failure.BatchId, Assert.Single(listed).BatchId);
        Assert.Equal("bad word", Assert.IsType<TextContent>(Assert.Single(Assert.Single(details!.Messages).Contents)).Text);
        Assert.Equal((0, false), (details.PostedThrough, details.IsPostUnknown));

        await Admin.EditFailedAsync(failure.BatchId, receipt.MessageId, "good word");
        await Admin.RetryFailedAsync(failure.BatchId);
        var reply = await RepliedAsync(receipt);

        Assert.Equal((failure.BatchId, "good word"), (reply.BatchId, reply.Text));
        Assert.Null(await Admin.GetFailedAsync(failure.BatchId));
        var status = await Queue.GetQueueStatusAsync();
        Assert.Equal((1, 0), (status.CompletedCount, status.FailedCount));
    }

    [Fact]
    public async Task Discard_FailedBatch_IsGoneForGood()
    {
        var (_, failure) = await FailAsync("c1", "bad word");

        await Admin.DiscardFailedAsync(failure.BatchId);

        Assert.Equal(0, (await Queue.GetQueueStatusAsync()).FailedCount);
        var refusal = await Assert.ThrowsAsync<FailedBatchNotFoundException>(() => Admin.RetryFailedAsync(failure.BatchId));
        Assert.Equal(failure.BatchId, refusal.BatchId);
        await Assert.ThrowsAsync<FailedBatchNotFoundException>(() => Admin.DiscardFailedAsync(failure.BatchId));
    }

    [Fact]
    public async Task Retry_ThreadIsBusy_ChangesNothing()
    {
        var (_, failure) = await FailAsync("c1", "bad word");
        var running = await Queue.AddMessageToThreadAsync("c1", "wait");
        await _judge.Waiting.Task;

        var refusal = await Assert.ThrowsAsync<ThreadBusyException>(() => Admin.RetryFailedAsync(failure.BatchId));

        Assert.Equal("c1", refusal.ThreadId);
        _judge.GoOn.SetResult();
        await Queue.WaitForReplyAsync(running);
        Assert.NotNull(await Admin.GetFailedAsync(failure.BatchId));
    }

    [Fact]
    public async Task Edit_NoSuchMessageOrEmptyText_IsRefusedByName()
    {
        var (receipt, failure) = await FailAsync("c1", "bad word");

        var noMessage = await Assert.ThrowsAsync<ArgumentException>(() => Admin.EditFailedAsync(failure.BatchId, "m0", "good"));
        var noText = await Assert.ThrowsAsync<ArgumentException>(() => Admin.EditFailedAsync(failure.BatchId, receipt.MessageId, " "));

        Assert.Contains("'m0'", noMessage.Message, StringComparison.Ordinal);
        Assert.Contains("Text must not be empty", noText.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Edit_MessageWithoutItsHeader_IsRefusedByName()
    {
        var (receipt, failure) = await FailAsync("c1", "bad word");
        var key = (RedisKey)$"{{{_prefix}:0}}:failed:{failure.BatchId}";
        var database = (await TestRedis.GetAsync()).Multiplexer.GetDatabase();
        // Not the queue's doing: somebody else wrote there.
        var line = (string)(await database.HashGetAsync(key, "messages"))!;
        await database.HashSetAsync(key, "messages", line[line.IndexOf('{', StringComparison.Ordinal)..]);

        var refusal = await Assert.ThrowsAsync<ArgumentException>(() => Admin.EditFailedAsync(failure.BatchId, receipt.MessageId, "good"));

        Assert.Contains($"'{receipt.MessageId}'", refusal.Message, StringComparison.Ordinal);
    }

    private async Task<(MessageReceipt Receipt, FailedBatch Failure)> FailAsync(string thread, string text)
    {
        var receipt = await Queue.AddMessageToThreadAsync(thread, text);
        var failed = await Assert.ThrowsAsync<BatchFailedException>(() => Queue.WaitForReplyAsync(receipt));
        return (receipt, failed.Failure);
    }

    // The failure is still the last outcome until the retry has ended.
    private async Task<AssistantReply> RepliedAsync(MessageReceipt receipt)
    {
        await foreach (var update in Queue.WatchThreadAsync(receipt.ThreadId, after: "0"))
        {
            if (update is BatchReplied replied)
            {
                return replied.Reply;
            }
        }

        throw new InvalidOperationException("The watching ended.");
    }

    /// <summary>Refuses what is bad, waits when it is told so, and says the rest again.</summary>
    private sealed class Judge : IAssistantBackend
    {
        public TaskCompletionSource Waiting { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public TaskCompletionSource GoOn { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public async IAsyncEnumerable<RunUpdate> RunAsync(BatchRun run, [EnumeratorCancellation] CancellationToken cancellationToken)
        {
            var text = string.Join(' ', run.Messages.SelectMany(m => m.Contents).OfType<TextContent>().Select(c => c.Text));
            if (text.Contains("bad", StringComparison.Ordinal))
            {
                throw new AssistantBackendException(BackendErrorKind.Permanent, "That is a bad word.");
            }

            if (text == "wait")
            {
                Waiting.SetResult();
                await GoOn.Task.WaitAsync(cancellationToken);
            }

            yield return new RunCompleted { Text = text };
        }
    }
}
