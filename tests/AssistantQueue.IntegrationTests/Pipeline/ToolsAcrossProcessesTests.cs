using Microsoft.Extensions.DependencyInjection;

namespace AssistantQueue.IntegrationTests.Pipeline;

/// <summary>Tools over processes: this one produces, decides and watches, others call them and die, and the emulator's ledger judges.</summary>
public sealed class ToolsAcrossProcessesTests : ConversationTest
{
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
    public async Task Text_BesideCalls_IsThereForAWatcherThatWasAwayWhileItsWorkerWasKilled(string api)
    {
        await using var rig = await StartAsync(api);
        var hold = Path.Combine(rig.Folder, "hold");
        await File.WriteAllTextAsync(hold, "");
        var first = await rig.StartWorkerAsync("--tools", rig.Folder);
        using var limit = Patience();
        var receipt = await rig.Queue.AddMessageToThreadAsync("t", "/say Let me look.\n/tool note {\"text\":\"one\"}\n/say And wait.\n/then hang {\"text\":\"two\"}");
        var (before, after) = ("", "0");
        await foreach (var update in rig.Queue.WatchThreadAsync("t", after, limit.Token))
        {
            after = update.Position;
            before += (update as TextDelta)?.Text;
            if (update is ToolCalled { Name: "hang" })
            {
                break;
            }
        }

        await first.KillAsync();
        File.Delete(hold);
        await rig.StartWorkerAsync("--tools", rig.Folder);
        await rig.Queue.WaitForReplyAsync(receipt, limit.Token);
        var replied = await UntilAsync<BatchReplied>(rig, "t", limit.Token, after: after);

        Assert.Equal("Let me look.\n\nAnd wait.", before);
        Assert.StartsWith(before + "\n\nYou wrote: ", replied.Reply.Text, StringComparison.Ordinal);
        Assert.EndsWith("note returned “one”. hang returned “two”.", replied.Reply.Text, StringComparison.Ordinal);
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
}
