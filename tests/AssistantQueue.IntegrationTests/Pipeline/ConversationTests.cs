using AssistantQueue.Emulators;
using AssistantQueue.IntegrationTests.Redis;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;

namespace AssistantQueue.IntegrationTests.Pipeline;

/// <summary>The conversation over processes: what newer messages, typing and an operator do to it, its content, and other models.</summary>
public sealed class ConversationTests : ConversationTest
{
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

    [Theory]
    [MemberData(nameof(Apis))]
    public async Task Content_ThatTheApiDoesNotTake_IsRefusedByAProducerInAnotherProcess(string api)
    {
        await using var rig = await StartAsync(api);
        await rig.StartWorkerAsync();
        using var limit = Patience();
        AIContent bad = api == "Assistants" ? new DataContent(new byte[] { 1, 2, 3 }, "image/png") : new DataContent(new byte[] { 1, 2, 3 }, "audio/wav");

        var told = await Assert.ThrowsAsync<ArgumentException>(() => SayAsync(new TextContent("see"), bad));
        var reply = await rig.Queue.WaitForReplyAsync(await SayAsync(new TextContent("see"), new UriContent("https://example.org/a.png", "image/png")), limit.Token);

        Assert.Contains(
            api == "Assistants" ? "Contents must not have data: the Assistants API takes text, image URLs and ids of uploaded files" : "Contents must not have audio (audio/wav): the Responses API takes images and documents",
            told.Message,
            StringComparison.Ordinal);
        Assert.Contains("Nothing was stored", told.Message, StringComparison.Ordinal);
        // Nothing of the refused message was sent: it has only ever been in this process.
        Assert.Single(reply.MessageIds);
        Assert.Equal([api == "Assistants" ? "see\n[image_url]" : "see\n[input_image]"], (await rig.Emulator.GetLedgerAsync(cancellationToken: limit.Token)).TextsOf("t"));

        Task<MessageReceipt> SayAsync(params AIContent[] contents) => rig.Queue.EnqueueAsync(new AssistantMessage { ThreadId = "t", Contents = contents }, limit.Token);
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
}
