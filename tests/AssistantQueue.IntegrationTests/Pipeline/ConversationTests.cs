using System.Globalization;
using System.Net.ServerSentEvents;
using System.Text.Json;
using AssistantQueue.Emulators;
using AssistantQueue.IntegrationTests.Redis;
using AssistantQueue.IntegrationTests.Samples;
using Microsoft.Extensions.DependencyInjection;

namespace AssistantQueue.IntegrationTests.Pipeline;

/// <summary>The conversation over processes: this one produces and watches, others work, and the emulator's ledger judges.</summary>
public sealed class ConversationTests
{
    private static readonly Dictionary<string, string> Responses = new()
    {
        ["OpenAI:Model"] = "gpt-test",
        ["OpenAI:Stream"] = "true",
        ["MessageDelay"] = "00:00:00",
        ["LockDuration"] = "00:00:04",
    };

    private static readonly Dictionary<string, string> Assistants = new(Responses) { ["OpenAI:Api"] = "Assistants", ["OpenAI:AssistantId"] = "asst_test" };

    public static TheoryData<string> Apis => ["Responses", "Assistants"];

    [Theory]
    [MemberData(nameof(Apis))]
    public async Task Watch_WhileAnotherProcessWrites_SeesTheWholeTextOnceWhereverItReconnects(string api)
    {
        await using var rig = await StartAsync(api, "--DeltaPause", "00:00:00.050");
        await rig.StartWorkerAsync();
        using var limit = Patience();
        var receipt = await rig.Queue.AddMessageToThreadAsync("t", "a story\n/long 2000");
        var (after, text, positions, visits) = ("0", "", new List<string>(), 0);
        BatchReplied? replied = null;
        while (replied is null)
        {
            // Away after every third update, and back again; the tenth time to stay, and once it has seen something the rest comes at once.
            var (seen, before) = (0, text.Length);
            visits++;
            await foreach (var update in rig.Queue.WatchThreadAsync("t", after, limit.Token))
            {
                after = update.Position;
                positions.Add(after);
                if (update is TextDelta delta)
                {
                    Assert.Equal(text.Length, delta.Offset);
                    text += delta.Text;
                }

                replied = update as BatchReplied;
                if ((++seen == 3 && visits < 10) || replied is not null)
                {
                    break;
                }

                if (seen == 1 && visits == 10)
                {
                    await rig.Emulator.ChangeAsync(new EmulatorSettings { DeltaPauseMs = 0 }, limit.Token);
                }
            }

            Assert.True(text.Length > before, $"Visit {visits} saw no text.");
        }

        Assert.Equal(positions.Count, positions.Distinct().Count());
        Assert.Equal(10, visits);
        Assert.Equal(replied.Reply.Text, text);
        Assert.Equal([receipt.MessageId], replied.Reply.MessageIds);
    }

    [Theory]
    [MemberData(nameof(Apis))]
    public async Task Watch_WorkerIsKilledInTheMiddleOfAText_SeesTheNextRunAndNoMixOfTwoTexts(string api)
    {
        await using var rig = await StartAsync(api, "--DeltaPause", "00:00:00.050");
        var first = await rig.StartWorkerAsync();
        using var limit = Patience();
        var receipt = await rig.Queue.AddMessageToThreadAsync("t", "a story\n/long 2000");
        var (before, after) = (new List<ThreadUpdate>(), "0");
        await foreach (var update in rig.Queue.WatchThreadAsync("t", after, limit.Token))
        {
            before.Add(update);
            after = update.Position;
            if (before.OfType<TextDelta>().Count() == 3)
            {
                break;
            }
        }

        Assert.Contains('.', after);
        await first.KillAsync();
        await rig.StartWorkerAsync();
        var (since, text) = (new List<ThreadUpdate>(), "");
        await foreach (var update in rig.Queue.WatchThreadAsync("t", after, limit.Token))
        {
            since.Add(update);
            if (update is BatchStarted)
            {
                await rig.Emulator.ChangeAsync(new EmulatorSettings { DeltaPauseMs = 0 }, limit.Token);
            }
            else if (update is TextDelta delta)
            {
                Assert.Equal(text.Length, delta.Offset);
                text += delta.Text;
            }
            else if (update is BatchReplied)
            {
                break;
            }
        }

        var begun = Assert.Single(before.OfType<BatchStarted>());
        var again = Assert.IsType<BatchStarted>(since[0]);
        Assert.Equal((begun.BatchId, 1), (again.BatchId, again.Attempt));
        Assert.Equal([receipt.MessageId], again.MessageIds);
        Assert.All(since.Skip(1).SkipLast(1), update => Assert.IsType<TextDelta>(update));
        // A run that goes on at the API is polled by its next owner; what that doesn't tell of the text is in the reply.
        var reply = ((BatchReplied)since[^1]).Reply;
        Assert.StartsWith(text, reply.Text, StringComparison.Ordinal);
        Assert.StartsWith(string.Concat(before.OfType<TextDelta>().Select(delta => delta.Text)), reply.Text, StringComparison.Ordinal);
        var all = before.Concat(since).Select(update => update.Position).ToList();
        Assert.Equal(all.Count, all.Distinct().Count());
    }

    [Theory]
    [MemberData(nameof(Apis))]
    public async Task Interrupt_FromAnotherProcess_CancelsTheRunAndTheNextAnswersBothWithoutPostingTwice(string api)
    {
        await using var rig = await StartAsync(api, "--DeltaPause", "00:00:00.050");
        await rig.StartWorkerAsync();
        using var limit = Patience();
        await rig.Queue.AddMessageToThreadAsync("t", "order a pizza\n/long 2000");
        MessageReceipt? receipt = null;
        BatchInterrupted? interrupted = null;
        var text = "";
        await foreach (var update in rig.Queue.WatchThreadAsync("t", "0", limit.Token))
        {
            text += (update as TextDelta)?.Text;
            if (update is TextDelta && receipt is null)
            {
                receipt = await rig.Queue.EnqueueAsync(new AssistantMessage { ThreadId = "t", Text = "no, pasta", WhenBusy = BusyAction.Interrupt }, limit.Token);
            }
            else if ((interrupted = update as BatchInterrupted) is not null)
            {
                break;
            }
        }

        Assert.NotEmpty(text);
        Assert.Equal(0, interrupted!.TextOffset);
        Assert.StartsWith(text, interrupted.Text, StringComparison.Ordinal);
        await rig.Emulator.ChangeAsync(new EmulatorSettings { DeltaPauseMs = 0 }, limit.Token);
        var reply = await rig.Queue.WaitForReplyAsync(receipt!, limit.Token);

        Assert.Equal(2, reply.MessageIds.Count);
        var ledger = await rig.Emulator.GetLedgerAsync(cancellationToken: limit.Token);
        Assert.Equal(["cancelled", "completed"], ledger.Runs.Select(r => r.Status));
        Assert.Empty(ledger.Overlaps);
        Assert.Empty(ledger.Refusals);
        Assert.Empty(ledger.Duplicates);
        Assert.Equal(["order a pizza\n/long 2000", "no, pasta"], ledger.TextsOf("t"));
    }

    [Theory]
    [MemberData(nameof(Apis))]
    public async Task Tool_WhoseWorkerIsKilledInTheMiddle_IsCalledAgainWithTheSameIdAndTheOtherIsNot(string api)
    {
        await using var rig = await StartAsync(api);
        var hold = Path.Combine(rig.Folder, "hold");
        await File.WriteAllTextAsync(hold, "");
        var first = await rig.StartWorkerAsync("--tools", rig.Folder);
        using var limit = Patience();
        var receipt = await rig.Queue.AddMessageToThreadAsync("t", "go\n/tool note {\"text\":\"one\"}\n/tool hang {\"text\":\"two\"}");
        await rig.WaitForCallsAsync(calls => calls.Any(c => c.Tool == "hang") && calls.Any(c => c.Tool == "note"), limit.Token);
        // The other call's output is in the journal before anybody dies.
        await foreach (var update in rig.Queue.WatchThreadAsync("t", "0", limit.Token))
        {
            if (update is ToolAnswered { Name: "note" })
            {
                break;
            }
        }

        await first.KillAsync();
        File.Delete(hold);
        await rig.StartWorkerAsync("--tools", rig.Folder);
        var reply = await rig.Queue.WaitForReplyAsync(receipt, limit.Token);

        Assert.Contains("note returned “one”", reply.Text, StringComparison.Ordinal);
        Assert.Contains("hang returned “two”", reply.Text, StringComparison.Ordinal);
        var calls = rig.Calls;
        Assert.Equal((1, 2), (calls.Count(c => c.Tool == "note"), calls.Count(c => c.Tool == "hang")));
        Assert.Single(calls.Where(c => c.Tool == "hang").Select(c => c.CallId).Distinct());
        Assert.Equal([false, true], calls.Where(c => c.Tool == "hang").OrderBy(c => c.Fence).Select(c => c.IsRepeated));
        Assert.Empty((await rig.Emulator.GetLedgerAsync(cancellationToken: limit.Token)).Duplicates);
    }

    [Theory]
    [MemberData(nameof(Apis))]
    public async Task Tool_ReturnsElevenMillionCharacters_TheModelIsToldAndGetsNoneOfThem(string api)
    {
        await using var rig = await StartAsync(api);
        await rig.StartWorkerAsync("--tools", rig.Folder);
        using var limit = Patience();

        var reply = await rig.Queue.WaitForReplyAsync(await rig.Queue.AddMessageToThreadAsync("t", "read it to me\n/tool book {}"), limit.Token);

        Assert.Contains("book returned “Error: the tool's result has 11,000,000 characters, more than the 10,485,760 that can be taken.”", reply.Text, StringComparison.Ordinal);
        Assert.Equal("book", Assert.Single(rig.Calls).Tool);
    }

    [Theory]
    [MemberData(nameof(Apis))]
    public async Task Approval_GivenByTheProducer_LetsAnyWorkerGoOn(string api)
    {
        await using var rig = await StartAsync(api);
        var first = await rig.StartWorkerAsync("--tools", rig.Folder);
        using var limit = Patience();
        var receipt = await rig.Queue.AddMessageToThreadAsync("t", "money back\n/tool refund {\"text\":\"5 euros\"}");
        ApprovalRequested? asked = null;
        await foreach (var update in rig.Queue.WatchThreadAsync("t", "0", limit.Token))
        {
            if ((asked = update as ApprovalRequested) is not null)
            {
                break;
            }
        }

        Assert.Empty(rig.Calls);
        await first.StopAsync();
        await rig.Producer.GetRequiredService<IAssistantQueueAdmin>().ApproveAsync("t", Assert.Single(asked!.Calls).CallId, limit.Token);
        await rig.StartWorkerAsync("--tools", rig.Folder);
        var reply = await rig.Queue.WaitForReplyAsync(receipt, limit.Token);

        Assert.Contains("refund returned “5 euros”", reply.Text, StringComparison.Ordinal);
        Assert.Equal((asked.Calls[0].CallId, false), (Assert.Single(rig.Calls).CallId, rig.Calls[0].IsRepeated));
    }

    [Fact]
    public async Task Steer_WhileAToolIsCalled_JoinsTheRun()
    {
        await using var rig = await StartAsync("Responses");
        var hold = Path.Combine(rig.Folder, "hold");
        await File.WriteAllTextAsync(hold, "");
        await rig.StartWorkerAsync("--tools", rig.Folder, "--AssistantQueue:Tools:CallTimeout", "00:00:05");
        using var limit = Patience();
        var first = await rig.Queue.AddMessageToThreadAsync("t", "go\n/tool hang {\"text\":\"one\"}");
        await rig.WaitForCallsAsync(calls => calls.Count == 1, limit.Token);

        var second = await rig.Queue.EnqueueAsync(new AssistantMessage { ThreadId = "t", Text = "and hurry", WhenBusy = BusyAction.Steer }, limit.Token);
        var reply = await rig.Queue.WaitForReplyAsync(second, limit.Token);

        // The tool ran into its time limit, and its round carried the newer message.
        Assert.Equal([first.MessageId, second.MessageId], reply.MessageIds);
        var ledger = await rig.Emulator.GetLedgerAsync(cancellationToken: limit.Token);
        Assert.Empty(ledger.Duplicates);
        Assert.Equal(2, ledger.TextsOf("t").Count);
    }

    [Fact]
    public async Task Steer_OverAChatClient_JoinsTheRun()
    {
        await using var rig = await StartAsync("Responses");
        await rig.StartWorkerAsync("--chat", "true", "--hangs", "true", "--AssistantQueue:Tools:CallTimeout", "00:00:03");
        using var limit = Patience();
        var first = await rig.Queue.AddMessageToThreadAsync("t", "use tools", cancellationToken: limit.Token);
        await UntilAsync<ToolCalled>(rig, "t", limit.Token, call => call.Name == "slow");

        var second = await rig.Queue.EnqueueAsync(new AssistantMessage { ThreadId = "t", Text = "and hurry", WhenBusy = BusyAction.Steer }, limit.Token);
        var reply = await rig.Queue.WaitForReplyAsync(second, limit.Token);

        Assert.Equal([first.MessageId, second.MessageId], reply.MessageIds);
        Assert.Contains("[user: and hurry]", reply.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Agent_InWorkerProcesses_IsWatchedAndItsSessionGoesOnAfterAKill()
    {
        await using var rig = await StartAsync("Responses");
        var first = await rig.StartWorkerAsync("--agent", "true");
        using var limit = Patience();
        // The agent makes no pauses: it begins when the watcher is there, with a message that doesn't wait for more.
        var hi = await rig.Queue.EnqueueAsync(new AssistantMessage { ThreadId = "t", Text = "hi", Delay = TimeSpan.FromHours(1) }, limit.Token);
        var (told, text) = (new List<string>(), "");
        await foreach (var update in rig.Queue.WatchThreadAsync("t", "0", limit.Token))
        {
            text += (update as TextDelta)?.Text;
            if (update is MessagesStored stored && stored.LastSequence == hi.Sequence)
            {
                await rig.Queue.EnqueueAsync(new AssistantMessage { ThreadId = "t", Text = "use tools", Flush = true }, limit.Token);
            }
            else if (update is ToolCalled or ToolAnswered)
            {
                told.Add($"{update.GetType().Name} {(update as ToolCalled)?.Name ?? ((ToolAnswered)update).Name}");
            }
            else if (update is BatchReplied { Reply: var reply })
            {
                Assert.Equal(reply.Text, text);
                break;
            }
        }

        await first.KillAsync();
        await rig.StartWorkerAsync("--agent", "true");
        var next = await rig.Queue.WaitForReplyAsync(await rig.Queue.AddMessageToThreadAsync("t", "and then?", cancellationToken: limit.Token), limit.Token);

        Assert.Equal(["ToolAnswered quick", "ToolAnswered slow", "ToolCalled quick", "ToolCalled slow"], told.Order(StringComparer.Ordinal));
        Assert.StartsWith("[user: hi][user: use tools][call q][call s][q = quick done][s = slow done]", text, StringComparison.Ordinal);
        Assert.StartsWith(text + "[assistant: ", next.Text, StringComparison.Ordinal);
        Assert.EndsWith("[user: and then?]", next.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Rules_OfAThread_HoldForProducersInOtherProcesses()
    {
        await using var rig = await PipelineRig.StartAsync(
            (await TestRedis.GetAsync()).Instance.ConnectionString,
            new Dictionary<string, string>(Responses) { ["MessageDelay"] = "00:30:00", ["MaxMessageDelay"] = "01:00:00", ["MaxInterruptions"] = "1" },
            "--DeltaPause", "00:00:00.050");
        await rig.StartWorkerAsync("--tools", rig.Folder);
        using var limit = Patience();

        // Typing: what waits is still there when its time is over, which another thread's reply tells.
        var typed = await SayAsync("typing", "hi", TimeSpan.FromSeconds(3));
        await rig.Queue.NotifyTypingAsync("typing", limit.Token);
        var later = await SayAsync("later", "tick", TimeSpan.FromSeconds(3));

        // Rejecting a call, and waiting when the reply is there already.
        var refund = await SayAsync("refund", "money back\n/tool refund {\"text\":\"5 euros\"}");
        var asked = await UntilAsync<ApprovalRequested>(rig, "refund", limit.Token);
        await rig.Producer.GetRequiredService<IAssistantQueueAdmin>().RejectAsync("refund", Assert.Single(asked.Calls).CallId, "too much", limit.Token);
        var refused = await rig.Queue.WaitForReplyAsync(refund, limit.Token);
        Assert.Contains("The call was rejected: too much", refused.Text, StringComparison.Ordinal);
        Assert.Empty(rig.Calls);
        Assert.Equal((refused.BatchId, refused.Text), ((await rig.Queue.WaitForReplyAsync(refund, limit.Token)).BatchId, (await rig.Queue.WaitForReplyAsync(refund, limit.Token)).Text));

        // One interruption, no second one; what must not wait is refused.
        await SayAsync("busy", "one\n/long 2000");
        await UntilAsync<TextDelta>(rig, "busy", limit.Token);
        var second = await SayAsync("busy", "two\n/long 2000", whenBusy: BusyAction.Interrupt);
        var interrupted = await UntilAsync<BatchInterrupted>(rig, "busy", limit.Token);
        await UntilAsync<TextDelta>(rig, "busy", limit.Token, delta => delta.BatchId != interrupted.BatchId);
        var third = await SayAsync("busy", "three", whenBusy: BusyAction.Interrupt);
        await Assert.ThrowsAsync<ThreadBusyException>(() => SayAsync("busy", "four", whenBusy: BusyAction.Reject));
        await rig.Emulator.ChangeAsync(new EmulatorSettings { DeltaPauseMs = 0 }, limit.Token);
        Assert.Equal(2, (await rig.Queue.WaitForReplyAsync(second, limit.Token)).MessageIds.Count);
        Assert.Equal([third.MessageId], (await rig.Queue.WaitForReplyAsync(third, limit.Token)).MessageIds);

        await rig.Queue.WaitForReplyAsync(later, limit.Token);
        var flushed = await rig.Queue.EnqueueAsync(new AssistantMessage { ThreadId = "typing", Text = "and more", Flush = true }, limit.Token);
        Assert.Equal([typed.MessageId, flushed.MessageId], (await rig.Queue.WaitForReplyAsync(flushed, limit.Token)).MessageIds);

        var ledger = await rig.Emulator.GetLedgerAsync(cancellationToken: limit.Token);
        Assert.Equal(["cancelled", "completed", "completed"], ledger.Runs.Where(r => r.ThreadKey == "busy").Select(r => r.Status));
        Assert.Empty(ledger.Overlaps);
        Assert.Empty(ledger.Refusals);
        Assert.Empty(ledger.Duplicates);

        Task<MessageReceipt> SayAsync(string thread, string text, TimeSpan delay = default, BusyAction? whenBusy = null) =>
            rig.Queue.EnqueueAsync(new AssistantMessage { ThreadId = thread, Text = text, Delay = delay, WhenBusy = whenBusy }, limit.Token);
    }

    [Theory]
    [MemberData(nameof(Apis))]
    public async Task Watch_RunThatFails_SeesWhenItIsTriedAgainAndThatItIsGivenUp(string api)
    {
        await using var rig = await PipelineRig.StartAsync(
            (await TestRedis.GetAsync()).Instance.ConnectionString,
            new Dictionary<string, string>(api == "Assistants" ? Assistants : Responses) { ["MaxAttempts"] = "2", ["Backoff:Delay"] = "00:00:00.500", ["Backoff:UseJitter"] = "false" });
        await rig.StartWorkerAsync();
        using var limit = Patience();

        var fails = await rig.Queue.AddMessageToThreadAsync("fails", "hi\n/fail", cancellationToken: limit.Token);
        var failed = await UntilFailedAsync("fails");
        var refused = await rig.Queue.AddMessageToThreadAsync("refused", "hi\n/refuse", cancellationToken: limit.Token);
        var given = await UntilFailedAsync("refused");

        Assert.Equal([typeof(MessagesStored), typeof(BatchStarted), typeof(BatchRetrying), typeof(BatchStarted), typeof(BatchFailed)], failed.Select(update => update.GetType()));
        Assert.Equal([1, 2], failed.OfType<BatchStarted>().Select(begun => begun.Attempt));
        var retrying = failed.OfType<BatchRetrying>().Single();
        // Redis' clock told the sequence number, too: so long after the message, and not after the attempt that it announces.
        Assert.InRange(retrying.RetryAt, AtOf(fails.Sequence.ToString(CultureInfo.InvariantCulture)).AddMilliseconds(500), AtOf(failed[3].Position));
        var failure = ((BatchFailed)failed[^1]).Failure;
        Assert.Equal((FailureKind.AttemptsExhausted, retrying.BatchId, 2), (failure.Kind, failure.BatchId, failure.Attempts.Count));
        Assert.Equal([fails.MessageId], failure.MessageIds);

        Assert.Equal([typeof(MessagesStored), typeof(BatchStarted), typeof(BatchFailed)], given.Select(update => update.GetType()));
        failure = ((BatchFailed)given[^1]).Failure;
        Assert.Equal((FailureKind.Permanent, 1), (failure.Kind, failure.Attempts.Count));
        Assert.Equal([refused.MessageId], failure.MessageIds);

        async Task<List<ThreadUpdate>> UntilFailedAsync(string thread)
        {
            var updates = new List<ThreadUpdate>();
            await foreach (var update in rig.Queue.WatchThreadAsync(thread, "0", limit.Token))
            {
                updates.Add(update);
                if (update is BatchFailed)
                {
                    break;
                }
            }

            return updates;
        }

        static DateTimeOffset AtOf(string stamp) => DateTimeOffset.UnixEpoch.AddMicroseconds(long.Parse(stamp, CultureInfo.InvariantCulture));
    }

    [Fact]
    public async Task Events_OfARunInAnotherProcess_AreServedWhileItIsWritten()
    {
        await using var rig = await StartAsync("Responses", "--DeltaPause", "00:00:00.050");
        await rig.StartWorkerAsync();
        await using var chat = await WebChat.StartAsync(new Dictionary<string, string>
        {
            ["AssistantQueue__RunWorker"] = "false",
            ["AssistantQueue__MessageDelay"] = "00:00:00",
            ["AssistantQueue__QueuePrefix"] = rig.Prefix,
            ["AssistantQueue__RedisConnectionString"] = (await TestRedis.GetAsync()).Instance.ConnectionString,
        });
        using var limit = Patience();
        await chat.PostAsync("t", new { text = "a story\n/long 60" });
        var (types, text) = (new List<string>(), "");
        await using var stream = await chat.Client.GetStreamAsync("/api/threads/t/events?after=0", limit.Token);
        await foreach (var item in SseParser.Create(stream).EnumerateAsync(limit.Token))
        {
            types.Add(item.EventType);
            using var json = JsonDocument.Parse(item.Data);
            text += item.EventType == "textDelta" ? json.RootElement.GetProperty("text").GetString() : "";
            if (item.EventType == "batchReplied")
            {
                // What was told last may still have been on its way when the reply came.
                Assert.StartsWith(text, json.RootElement.GetProperty("reply").GetProperty("text").GetString(), StringComparison.Ordinal);
                break;
            }
        }

        Assert.Contains("batchStarted", types);
        Assert.True(types.Count(t => t == "textDelta") > 1, string.Join(", ", types));
    }

    /// <summary>Watches a thread from its beginning until an update comes.</summary>
    private static async Task<T> UntilAsync<T>(PipelineRig rig, string thread, CancellationToken cancellationToken, Func<T, bool>? isWanted = null)
        where T : ThreadUpdate
    {
        await foreach (var update in rig.Queue.WatchThreadAsync(thread, "0", cancellationToken))
        {
            if (update is T wanted && isWanted?.Invoke(wanted) != false)
            {
                return wanted;
            }
        }

        throw new InvalidOperationException("The updates ended.");
    }

    private static CancellationTokenSource Patience() => new(TimeSpan.FromMinutes(2));

    private static async Task<PipelineRig> StartAsync(string api, params string[] emulator) =>
        await PipelineRig.StartAsync((await TestRedis.GetAsync()).Instance.ConnectionString, api == "Assistants" ? Assistants : Responses, emulator);
}
