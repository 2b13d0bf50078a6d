using AssistantQueue.TestHost;
using AssistantQueue.Tests.Worker;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace AssistantQueue.Tests.ChatClient;

/// <summary>One process produces and watches, others work with a chat client and are killed.</summary>
public class TwoProcessesTests
{
    [Fact]
    public async Task Worker_KilledWhileToolsRun_NextProcessGoesOnAndTheHistoryIsWhole()
    {
        var redis = await TestRedis.ConnectionStringAsync();
        var prefix = "chat-" + Guid.NewGuid().ToString("N")[..8];
        var worker = Worker(redis, prefix);
        using var producer = Producer(redis, prefix);
        await producer.StartAsync();
        var queue = producer.Services.GetRequiredService<IAssistantMessageQueue>();
        using var limit = new CancellationTokenSource(TestTimes.Patience);
        var answered = new TaskCompletionSource();
        var watching = Task.Run(async () =>
        {
            await foreach (var update in queue.WatchThreadAsync("c1", cancellationToken: limit.Token))
            {
                if (update is ToolAnswered { CallId: "q" })
                {
                    answered.TrySetResult();
                }
                else if (update is BatchReplied)
                {
                    return;
                }
            }
        });

        await using var first = await TestHostProcess.StartAsync([.. worker, "--hangs", "true"]);
        var asking = queue.AskAsync("c1", "use tools", cancellationToken: limit.Token);
        await first.WaitForLineAsync(line => line == "called slow s False");
        await answered.Task.WaitAsync(TestTimes.Patience);
        await first.KillAsync();
        await using var second = await TestHostProcess.StartAsync(worker);
        var reply = await asking;
        await watching;
        var next = await queue.AskAsync("c1", "thanks", cancellationToken: limit.Token);

        const string Turn = "[user: use tools][call q][call s][q = quick done][s = slow done]";
        Assert.Equal(Turn, reply.Text);
        Assert.Equal($"{Turn}[assistant: {Turn}][user: thanks]", next.Text);
        Assert.Equal(["called slow s True"], second.Output.Where(l => l.StartsWith("called", StringComparison.Ordinal)));
        await producer.StopAsync();
    }

    [Fact]
    public async Task Worker_KilledInTheMiddleOfAText_WatcherThatComesBackSeesTheNextRunsTextFromItsBeginning()
    {
        var redis = await TestRedis.ConnectionStringAsync();
        var prefix = "chat-" + Guid.NewGuid().ToString("N")[..8];
        using var producer = Producer(redis, prefix);
        await producer.StartAsync();
        var queue = producer.Services.GetRequiredService<IAssistantMessageQueue>();
        await using var first = await TestHostProcess.StartAsync([.. Worker(redis, prefix), "--hangs", "true"]);
        await queue.AddMessageToThreadAsync("c1", "a story");
        string after;
        BatchStarted begun;
        await using (var watch = new Updates(queue, "c1", "0"))
        {
            begun = await watch.NextAsync<BatchStarted>();
            Assert.Equal("Once upon ", await watch.TextAsync(10));
            after = watch.All[^1].Position;
        }

        Assert.Contains('.', after);
        await first.KillAsync();
        await using var second = await TestHostProcess.StartAsync(Worker(redis, prefix));
        await using var again = new Updates(queue, "c1", after);

        // Nothing of the old run's text comes again, and nothing of the new one's is taken for its continuation.
        var started = Assert.IsType<BatchStarted>(await again.NextAsync());
        Assert.Equal((begun.BatchId, begun.FirstSequence, 1), (started.BatchId, started.FirstSequence, started.Attempt));
        Assert.Equal(begun.MessageIds, started.MessageIds);
        Assert.Equal("Once upon a time", await again.TextAsync(16));
        Assert.Equal("Once upon a time", (await again.NextAsync<BatchReplied>()).Reply.Text);
        await producer.StopAsync();
    }

    private static string[] Worker(string redis, string prefix) =>
    [
        "worker", "--chat", "true", "--AssistantQueue:RedisConnectionString", redis, "--AssistantQueue:QueuePrefix", prefix,
        "--AssistantQueue:LockDuration", "00:00:03", "--AssistantQueue:MessageDelay", "00:00:00",
    ];

    private static IHost Producer(string redis, string prefix)
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["AssistantQueue:RedisConnectionString"] = redis,
            ["AssistantQueue:QueuePrefix"] = prefix,
            ["AssistantQueue:MessageDelay"] = "00:00:00",
        });
        builder.Services.AddAssistantMessageQueue().ProducerOnly();
        return builder.Build();
    }
}
