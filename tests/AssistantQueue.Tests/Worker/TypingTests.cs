using AssistantQueue.Store;

namespace AssistantQueue.Tests.Worker;

/// <summary>What keeps a waiting thread waiting, and what sends it.</summary>
public class TypingTests
{
    [Fact]
    public async Task Typing_WhileAMessageWaits_HoldsItBackUntilItIsFlushed()
    {
        await using var rig = await BusyRig.StartAsync();
        (rig.Options.MessageDelay, rig.Options.MaxMessageDelay) = (TimeSpan.FromHours(1), TimeSpan.FromHours(2));
        var queue = rig.Queue();
        var delay = TimeSpan.FromSeconds(3);
        await queue.EnqueueAsync(new AssistantMessage { ThreadId = "t", Text = "hi", Delay = delay });

        await queue.NotifyTypingAsync("t");

        // Another thread tells that the time of the first is over.
        await queue.EnqueueAsync(new AssistantMessage { ThreadId = "later", Text = "tick", Delay = delay });
        Assert.Equal("later", (await rig.Handler.NextReplyAsync()).ThreadId);
        Assert.Equal("later", Assert.Single(rig.Backend.Runs).Thread);
        await queue.EnqueueAsync(new AssistantMessage { ThreadId = "t", Text = "and more", Flush = true });
        Assert.Equal("hi|and more", (await rig.Handler.NextReplyAsync()).Text);
    }

    [Fact]
    public async Task FlushWhen_TheTextSaysSo_SendsWhatWaits()
    {
        await using var rig = await BusyRig.StartAsync();
        rig.Options.MessageDelay = TimeSpan.FromHours(1);
        rig.Options.FlushWhen = text => text.EndsWith('?');
        var queue = rig.Queue();

        await queue.AddMessageToThreadAsync("t", "hi");
        await queue.AddMessageToThreadAsync("t", "are you there?");

        Assert.Equal("hi|are you there?", (await rig.Handler.NextReplyAsync()).Text);
    }
}
