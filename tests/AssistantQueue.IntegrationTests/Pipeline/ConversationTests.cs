using AssistantQueue.Emulators;
using AssistantQueue.IntegrationTests.Redis;
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
            // Away after every third update, and back again; the tenth time to stay, and then the rest comes at once.
            var (seen, before) = (0, text.Length);
            if (++visits == 10)
            {
                await rig.Emulator.ChangeAsync(new EmulatorSettings { DeltaPauseMs = 0 }, limit.Token);
            }

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
        await foreach (var update in rig.Queue.WatchThreadAsync("t", "0", limit.Token))
        {
            if (update is TextDelta && receipt is null)
            {
                receipt = await rig.Queue.EnqueueAsync(new AssistantMessage { ThreadId = "t", Text = "no, pasta", WhenBusy = BusyAction.Interrupt }, limit.Token);
            }
            else if (update is BatchInterrupted)
            {
                break;
            }
        }

        await rig.Emulator.ChangeAsync(new EmulatorSettings { DeltaPauseMs = 0 }, limit.Token);
        var reply = await rig.Queue.WaitForReplyAsync(receipt!, limit.Token);

        Assert.Equal(2, reply.MessageIds.Count);
        var ledger = await rig.Emulator.GetLedgerAsync(cancellationToken: limit.Token);
        Assert.Equal(["cancelled", "completed"], ledger.Runs.Select(r => r.Status));
        Assert.Empty(ledger.Overlaps);
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

    private static CancellationTokenSource Patience() => new(TimeSpan.FromMinutes(2));

    private static async Task<PipelineRig> StartAsync(string api, params string[] emulator) =>
        await PipelineRig.StartAsync((await TestRedis.GetAsync()).Instance.ConnectionString, api == "Assistants" ? Assistants : Responses, emulator);
}
