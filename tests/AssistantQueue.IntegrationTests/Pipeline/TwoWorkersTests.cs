using AssistantQueue.IntegrationTests.Redis;
using Xunit.Abstractions;

namespace AssistantQueue.IntegrationTests.Pipeline;

/// <summary>200 threads × 10 messages, two worker processes; the emulator's ledger, kept in a process of its own, is the judge.</summary>
public abstract class TwoWorkersTests(ITestOutputHelper output)
{
    private const int Threads = 200;
    private const int Messages = 10;

    private static readonly TimeSpan Window = TimeSpan.FromSeconds(4);

    [Theory]
    [InlineData("Responses")]
    [InlineData("Assistants")]
    public async Task TwoWorkers_TwoHundredThreadsOfTenMessages_EachMessageOnceInOrderOneRunAtATime(string api)
    {
        await using var rig = await PipelineRig.StartAsync(
            await ConnectionStringAsync(),
            new Dictionary<string, string>
            {
                ["MessageDelay"] = Window.ToString(),
                ["Concurrency"] = "20",
                ["OpenAI:Api"] = api,
                [api == "Responses" ? "OpenAI:Model" : "OpenAI:AssistantId"] = api == "Responses" ? "gpt-test" : "asst_test",
            },
            // A conversation that takes a second response while one is under way: else the emulator would keep the promise for the queue.
            "--Latency", "00:00:00.050", "--BackgroundLocksConversation", "false");
        await Task.WhenAll(rig.StartWorkerAsync(), rig.StartWorkerAsync());

        var receipts = await Task.WhenAll(Enumerable.Range(0, Threads).Select(t => Task.Run(() => TalkAsync(rig.Queue, "thread-" + t))));
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(4));
        var replies = await Task.WhenAll(receipts.SelectMany(r => r).Select(r => rig.Queue.WaitForReplyAsync(r, patience.Token)));

        Assert.Equal(Threads * Messages, replies.Length);
        var ledger = await rig.Emulator.GetLedgerAsync(cancellationToken: patience.Token);
        Assert.Empty(ledger.Overlaps);
        // A thread of the Assistants API refuses a second run, so there it's the refusals that tell.
        Assert.Empty(ledger.Refusals);
        Assert.Empty(ledger.Duplicates);
        var posted = ledger.Requests.SelectMany(r => r.Texts).CountBy(text => text).ToList();
        Assert.Equal(Threads * Messages, posted.Count);
        Assert.All(posted, text => Assert.Equal(1, text.Value));
        Assert.All(receipts, thread => Assert.Equal(Texts(thread[0].ThreadId), ledger.TextsOf(thread[0].ThreadId)));

        // The receipts' sequence numbers are Redis' time in µs, so they say which threads kept within the window.
        var within = receipts.Where(thread => thread[^1].Sequence - thread[0].Sequence < Window.TotalMicroseconds).Select(thread => thread[0].ThreadId).ToList();
        var runs = within.Sum(thread => ledger.RunsPerThread[thread]);
        output.WriteLine($"{within.Count} threads within the window, {runs} runs, {(double)runs / within.Count:0.000} a thread");
        Assert.True(within.Count > Threads / 2, $"Only {within.Count} of {Threads} threads kept within the window of {Window}: the machine was too slow for this test to say anything.");
        Assert.InRange((double)runs / within.Count, 1.0, 1.1);

        var status = await rig.Queue.GetQueueStatusAsync();
        Assert.Equal((0, 0, 0, Threads * Messages, 0), (status.ActiveCount, status.WaitingCount, status.DelayedCount, status.CompletedCount, status.FailedCount));
        var delivered = await rig.WaitForDeliveredAsync(all => all.SelectMany(d => d.MessageIds).Distinct().Count() == Threads * Messages, patience.Token);
        Assert.Equal(2, Directory.GetFiles(rig.Folder, "replies-*.jsonl").Count(file => new FileInfo(file).Length > 0));
        Assert.All(delivered.GroupBy(d => d.ThreadId), thread => Assert.Equal(Ids(thread.Key), thread.DistinctBy(d => d.BatchId).SelectMany(d => d.MessageIds)));
    }

    protected abstract Task<string> ConnectionStringAsync();

    private static async Task<List<MessageReceipt>> TalkAsync(IAssistantMessageQueue queue, string thread)
    {
        var receipts = new List<MessageReceipt>();
        foreach (var (text, id) in Texts(thread).Zip(Ids(thread)))
        {
            receipts.Add(await queue.EnqueueAsync(new AssistantMessage { ThreadId = thread, Text = text, MessageId = id }));
        }

        return receipts;
    }

    private static IEnumerable<string> Texts(string thread) => Enumerable.Range(0, Messages).Select(m => $"message {m} of {thread}");

    private static IEnumerable<string> Ids(string thread) => Enumerable.Range(0, Messages).Select(m => $"{thread}-{m}");
}

public sealed class TwoWorkersOnRedisTests(ITestOutputHelper output) : TwoWorkersTests(output)
{
    protected override async Task<string> ConnectionStringAsync() => (await TestRedis.GetAsync()).Instance.ConnectionString;
}

public sealed class TwoWorkersOnGarnetTests(ITestOutputHelper output) : TwoWorkersTests(output)
{
    protected override async Task<string> ConnectionStringAsync() => (await TestRedis.GetAsync(RedisKind.Embedded)).Instance.ConnectionString;
}
