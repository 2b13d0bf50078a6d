using System.Collections.Concurrent;
using AssistantQueue.Emulators;
using AssistantQueue.IntegrationTests.Redis;
using AssistantQueue.IntegrationTests.Store;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using StackExchange.Redis;

namespace AssistantQueue.IntegrationTests.Faults;

/// <summary>A day in a queue's life, on which every script is run: batches are answered, tried again, waited with, given up, edited and discarded; a handler refuses, for a while or for ever, a user types, a message joins a run or interrupts it, a part of a batch is given up, a tool call is approved.</summary>
internal sealed class LostAnswerDay : IAsyncDisposable
{
    private static readonly string[] Answered = ["plain", "retried", "busy", "postponed"];

    private readonly string _name;
    private readonly OpenAIEmulator _emulator;
    private readonly LostAnswers _answers;
    private readonly ConnectionMultiplexer _redis;
    private readonly IHost _host;
    private readonly string _prefix = TestRedis.NewPrefix();
    private readonly ConcurrentDictionary<string, int> _offers = new();
    private readonly ConcurrentQueue<string> _taken = new();
    private readonly TaskCompletionSource _holding = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _retrying = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _joining = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private readonly ConcurrentQueue<AssistantQueueOptions> _options = new();
    private volatile bool _refuses = true;

    public LostAnswerDay(string name, OpenAIEmulator emulator, LostAnswers answers, ConnectionMultiplexer redis)
    {
        (_name, _emulator, _answers, _redis) = (name, emulator, answers, redis);
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Logging.ClearProviders();
        builder.Services.AddSingleton(answers.On(redis));
        builder.Services.AddAssistantMessageQueue(name, o =>
            {
                _options.Enqueue(o);
                o.QueuePrefix = _prefix;
                o.MessageDelay = TimeSpan.FromMilliseconds(50);
                // Nothing waits for a lease to end; one that ended on a busy machine would leave a post whose outcome nobody knows. A day has renewals, each third of it.
                o.LockDuration = TimeSpan.FromSeconds(6);
                o.UnknownOutcomeWait = TimeSpan.FromMilliseconds(300);
                o.RunTimeout = TimeSpan.FromMinutes(1);
                o.Backoff = new BackoffOptions { Delay = TimeSpan.FromMilliseconds(20), MaxDelay = TimeSpan.FromSeconds(1), UseJitter = false };
            })
            .UseOpenAI(o =>
            {
                (o.Endpoint, o.ApiKey, o.Model) = (emulator.BaseUrl, "sk-test", "gpt-test");
                (o.PollInterval, o.MaxPollInterval) = (TimeSpan.FromMilliseconds(10), TimeSpan.FromMilliseconds(100));
            })
            .AddTool(AIFunctionFactory.Create(HoldAsync, "hold"))
            .AddTool(new ApprovalRequiredAIFunction(AIFunctionFactory.Create(() => "paid", "pay")))
            .OnReply((reply, _) => TakeAsync(reply.ThreadId, reply.Text))
            .OnRetrying((attempt, _) =>
            {
                if (attempt.ThreadId == Thread("part"))
                {
                    _retrying.TrySetResult();
                }

                return Task.CompletedTask;
            })
            .OnFailed((failure, _) => TakeAsync(failure.ThreadId, failure.Kind.ToString()));
        _host = builder.Build();
    }

    private string P => $"{{{_prefix}:0}}";

    public async Task LiveAsync(CancellationToken cancellationToken)
    {
        Strike("retried", new OpenAIFault { Kind = OpenAIFaultKind.RunFails, Operation = "create_response" });
        Strike("busy", OpenAIFault.ConversationLocked());
        Strike("interrupted", new OpenAIFault { Kind = OpenAIFaultKind.RunNeverEnds, Operation = "create_response" });
        // Whenever it is sent, so that it uses up its attempts, and what comes meanwhile joins the next; a second is as long as the pause can be.
        _emulator.Faults.Add(OpenAIFault.RateLimit(TimeSpan.FromSeconds(1), "create_response") with { Contains = Hello("part"), Count = null });
        await _host.StartAsync(cancellationToken);
        var queue = _host.Services.GetRequiredKeyedService<IAssistantMessageQueue>(_name);

        var others = Task.WhenAll(InterruptAsync(queue, cancellationToken), FailPartAsync(queue, cancellationToken));
        var replies = await Task.WhenAll(Answered.Select(word => AskAsync(queue, word, Hello(word), cancellationToken)));
        Assert.Equal(Answered.Select(word => $"You wrote: “{Hello(word)}”."), replies.Select(r => r.Text));
        foreach (var word in (string[])["edited", "discarded"])
        {
            await Assert.ThrowsAsync<BatchFailedException>(() => AskAsync(queue, word, $"{Hello(word)}\n/refuse", cancellationToken));
        }

        var talk = await TalkAsync(queue, cancellationToken);
        await others;
        await OperateAsync(_host.Services.GetRequiredKeyedService<IAssistantQueueAdmin>(_name), cancellationToken);
        await WatchAsync(queue, Thread("edited"), cancellationToken);
        await SettleAsync(cancellationToken);
        await AbandonAsync(queue, cancellationToken);
        await SettleAsync(cancellationToken);
        var status = await AgainAsync(() => queue.GetQueueStatusAsync(cancellationToken));
        await _host.StopAsync(cancellationToken);

        Assert.Equal((0, 0, 0, 11, 0), (status.ActiveCount, status.WaitingCount, status.DelayedCount, status.CompletedCount, status.FailedCount));
        await JudgeAsync(talk);
    }

    public async ValueTask DisposeAsync()
    {
        _host.Dispose();
        await Snapshot.ForgetAsync(_redis, P);
    }

    // What only reads may say that Redis is away; whoever asked asks again.
    private static async Task<T> AgainAsync<T>(Func<Task<T>> call)
    {
        try
        {
            return await call();
        }
        catch (QueueUnavailableException)
        {
            return await call();
        }
    }

    private Task<AssistantReply> AskAsync(IAssistantMessageQueue queue, string word, string text, CancellationToken cancellationToken) =>
        AskAsync(queue, word, word, text, cancellationToken);

    private async Task<AssistantReply> AskAsync(IAssistantMessageQueue queue, string word, string id, string text, CancellationToken cancellationToken)
    {
        var receipt = await queue.EnqueueAsync(new AssistantMessage { ThreadId = Thread(word), Text = text, MessageId = id }, cancellationToken);
        Assert.False(receipt.IsDuplicate);
        return await AgainAsync(() => queue.WaitForReplyAsync(receipt with { Sequence = 0 }, cancellationToken));
    }

    // The user types on, a message joins the run while its tool is at work, and the next call waits for somebody's approval.
    private async Task<AssistantReply> TalkAsync(IAssistantMessageQueue queue, CancellationToken cancellationToken)
    {
        var (thread, text) = (Thread("talk"), $"{Hello("talk")}\n/tool hold {{}}\n/then pay {{}}");
        var first = await queue.EnqueueAsync(new AssistantMessage { ThreadId = thread, Text = text, MessageId = "talk" }, cancellationToken);
        await DoAgainAsync(() => queue.NotifyTypingAsync(thread, cancellationToken));
        await _holding.Task.WaitAsync(cancellationToken);
        var second = await queue.EnqueueAsync(
            new AssistantMessage { ThreadId = thread, Text = Hello("joining"), MessageId = "joining", WhenBusy = BusyAction.Steer }, cancellationToken);
        _joining.SetResult();
        var asked = await AgainAsync(async () =>
        {
            await foreach (var update in queue.WatchThreadAsync(thread, after: "0", cancellationToken))
            {
                if (update is ApprovalRequested requested)
                {
                    return requested;
                }
            }

            throw new InvalidOperationException("The watching ended.");
        });
        var admin = _host.Services.GetRequiredKeyedService<IAssistantQueueAdmin>(_name);
        await DoAgainAsync(() => admin.ApproveAsync(thread, Assert.Single(asked.Calls).CallId, cancellationToken));
        var reply = await AgainAsync(() => queue.WaitForReplyAsync(first, cancellationToken));
        Assert.Equal([first.MessageId, second.MessageId], reply.MessageIds);
        return reply;
    }

    // The run would never end; one reply answers both.
    private async Task InterruptAsync(IAssistantMessageQueue queue, CancellationToken cancellationToken)
    {
        var thread = Thread("interrupted");
        var first = await queue.EnqueueAsync(new AssistantMessage { ThreadId = thread, Text = Hello("interrupted"), MessageId = "interrupted" }, cancellationToken);
        await _emulator.Ledger.WaitForAsync(l => l.Runs.Any(r => r.ThreadKey == thread && r.Status == "in_progress"), cancellationToken);
        await queue.EnqueueAsync(
            new AssistantMessage { ThreadId = thread, Text = Hello("interrupting"), MessageId = "interrupting", WhenBusy = BusyAction.Interrupt }, cancellationToken);
        var reply = await AgainAsync(() => queue.WaitForReplyAsync(first, cancellationToken));
        Assert.Equal(["interrupted", "interrupting"], reply.MessageIds);
    }

    // The first message uses up its attempts; the one that joined them is answered.
    private async Task FailPartAsync(IAssistantMessageQueue queue, CancellationToken cancellationToken)
    {
        var first = await queue.EnqueueAsync(new AssistantMessage { ThreadId = Thread("part"), Text = Hello("part"), MessageId = "part" }, cancellationToken);
        await _retrying.Task.WaitAsync(cancellationToken);
        var reply = await AskAsync(queue, "part", "rest", Hello("rest"), cancellationToken);
        Assert.Equal(["rest"], reply.MessageIds);
        var failed = await Assert.ThrowsAsync<BatchFailedException>(() => AgainAsync(() => queue.WaitForReplyAsync(first, cancellationToken)));
        Assert.Equal((FailureKind.AttemptsExhausted, "part"), (failed.Failure.Kind, Assert.Single(failed.Failure.MessageIds)));
    }

    // Nobody takes it until it is too old; an operator has it delivered all the same.
    private async Task AbandonAsync(IAssistantMessageQueue queue, CancellationToken cancellationToken)
    {
        foreach (var options in _options)
        {
            options.DeliveryMaxAge = TimeSpan.FromMilliseconds(1);
        }

        await AskAsync(queue, "abandoned", Hello("abandoned"), cancellationToken);
        await SettleAsync(cancellationToken);
        var admin = _host.Services.GetRequiredKeyedService<IAssistantQueueAdmin>(_name);
        var failed = Assert.Single(await AgainAsync(async () => await admin.ListFailedAsync(cancellationToken).ToListAsync(cancellationToken)));
        Assert.Equal((FailureKind.Delivery, Thread("abandoned")), (failed.Kind, failed.ThreadId));
        _refuses = false;
        await DoAgainAsync(() => admin.RetryFailedAsync(failed.BatchId, cancellationToken));
    }

    private async Task<string> HoldAsync(CancellationToken cancellationToken)
    {
        _holding.TrySetResult();
        await _joining.Task.WaitAsync(cancellationToken);
        return "held";
    }

    private static async Task DoAgainAsync(Func<Task> call) => await AgainAsync(async () =>
    {
        await call();
        return 0;
    });

    private static async Task WatchAsync(IAssistantMessageQueue queue, string thread, CancellationToken cancellationToken) =>
        await AgainAsync(async () =>
        {
            await foreach (var update in queue.WatchThreadAsync(thread, after: "0", cancellationToken))
            {
                if (update is BatchReplied)
                {
                    break;
                }
            }

            return 0;
        });

    private async Task OperateAsync(IAssistantQueueAdmin admin, CancellationToken cancellationToken)
    {
        var failed = await AgainAsync(async () => await admin.ListFailedAsync(cancellationToken).ToListAsync(cancellationToken));
        Assert.Equal([Thread("discarded"), Thread("edited"), Thread("part")], failed.Select(f => f.ThreadId).Order());
        var edited = failed.Single(f => f.ThreadId == Thread("edited")).BatchId;
        var details = await AgainAsync(() => admin.GetFailedAsync(edited, cancellationToken));
        Assert.Equal("edited", Assert.Single(details!.Messages).MessageId);
        await DoAgainAsync(() => admin.EditFailedAsync(edited, "edited", Hello("edited"), cancellationToken));
        await DoAgainAsync(() => admin.RetryFailedAsync(edited, cancellationToken));
        foreach (var other in failed.Where(f => f.BatchId != edited))
        {
            await DoAgainAsync(() => admin.DiscardFailedAsync(other.BatchId, cancellationToken));
        }
    }

    private async Task SettleAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var run = _answers.NextRun;
            var database = _redis.GetDatabase();
            if ((long)await database.HashGetAsync(P + ":counters", "pending") == 0 && await database.SortedSetLengthAsync(P + ":deliveries") == 0)
            {
                return;
            }

            await run.WaitAsync(cancellationToken);
        }
    }

    private async Task JudgeAsync(AssistantReply talk)
    {
        var ledger = _emulator.Ledger.Snapshot();
        Assert.All(Answered.Append("edited"), word => Assert.Equal([Hello(word)], ledger.TextsOf(Thread(word))));
        Assert.DoesNotContain(ledger.Overlaps, o => o.ThreadKey.StartsWith(_name, StringComparison.Ordinal));
        Assert.All(Answered.Append("edited"), word => Assert.Equal(word == "retried" ? 2 : 1, ledger.TimesAccepted(Hello(word))));
        Assert.Equal([Hello("interrupted"), Hello("interrupting")], ledger.TextsOf(Thread("interrupted")));
        Assert.Equal([Hello("rest")], ledger.TextsOf(Thread("part")));
        Assert.Equal([Hello("abandoned")], ledger.TextsOf(Thread("abandoned")));
        Assert.Equal(2, ledger.TextsOf(Thread("talk")).Count);
        Assert.Equal(1, ledger.TimesAccepted(Hello("joining")));
        Assert.Equal(["held", "paid"], ledger.Runs.Where(r => r.ThreadKey == Thread("talk")).SelectMany(r => r.ToolOutputs?.Values ?? []));
        Assert.Equal(
            ((string[])[.. Answered, "edited", "abandoned"]).Select(word => $"{Thread(word)}: You wrote: “{Hello(word)}”.").Concat([
                $"{Thread("talk")}: {talk.Text}", $"{Thread("edited")}: Permanent", $"{Thread("discarded")}: Permanent",
                $"{Thread("interrupted")}: You wrote 2 messages: “{Hello("interrupted")}” and “{Hello("interrupting")}”.",
                $"{Thread("part")}: AttemptsExhausted", $"{Thread("part")}: You wrote: “{Hello("rest")}”."]).Order(),
            _taken.Distinct().Order());
        await Invariants.CheckAsync(_redis, P);
        Assert.DoesNotContain((await Snapshot.TakeAsync(_redis, P)).Keys.Keys, k =>
            ((string[])["messages:", "thread:", "due", "suspects", "held", "leases", "deliver", "failed"]).Any(s => k.StartsWith(s, StringComparison.Ordinal)));
    }

    private void Strike(string word, OpenAIFault fault) => _emulator.Faults.Add(fault with { Contains = $"\"{Thread(word)}\"", Count = 1 });

    private Task TakeAsync(string thread, string what)
    {
        if ((_offers.AddOrUpdate(thread, 1, (_, n) => n + 1) == 1 && thread == Thread("postponed")) || (thread == Thread("abandoned") && _refuses))
        {
            throw new InvalidOperationException("The test's handler doesn't want it yet.");
        }

        _taken.Enqueue($"{thread}: {what}");
        return Task.CompletedTask;
    }

    private string Thread(string word) => $"{_name}-{word}";

    private string Hello(string word) => $"hello from {Thread(word)}";
}
