using System.Text.Json;
using AssistantQueue.Enqueue;
using AssistantQueue.Store;
using Microsoft.Extensions.AI;

namespace AssistantQueue.Tests.Enqueue;

public sealed class EnqueuePlanTests
{
    [Fact]
    public void Of_SeveralThreads_IsAUnitAThreadInOrder()
    {
        var plan = EnqueuePlan.Of([Text("b", "1"), Text("a", "2"), Text("b", "3")], "messages", new());

        Assert.Equal(["b", "a"], plan.Units.Select(u => u.ThreadId));
        Assert.Equal(["1", "3"], plan.Units[0].Messages.Select(m => Stored(m).Text));
    }

    [Fact]
    public void Receipts_SeveralThreads_ComeInTheOrderGiven()
    {
        var plan = EnqueuePlan.Of([Text("b", "1", "b1"), Text("a", "2", "a1"), Text("b", "3", "b2")], "messages", new());
        var due = DateTimeOffset.UnixEpoch.AddDays(20_000);

        var receipts = plan.Receipts("q",
        [
            new(EnqueueStatus.Stored, [new(10, due, false), new(11, due, true)]),
            new(EnqueueStatus.Stored, [new(20, null, false)]),
        ]);

        Assert.Equal([("b1", 10L), ("a1", 20), ("b2", 11)], receipts.Select(r => (r.MessageId, r.Sequence)));
        Assert.Equal([false, false, true], receipts.Select(r => r.IsDuplicate));
        Assert.Equal([due, null, due], receipts.Select(r => r.DueAt));
        Assert.All(receipts, r => Assert.Equal("q", r.QueueName));
    }

    [Fact]
    public void Of_SameIdTwiceInOneCall_IsOneMessageWithTwoReceipts()
    {
        var plan = EnqueuePlan.Of([Text("a", "one", "id"), Text("b", "other thread", "id"), Text("a", "again", "id")], "messages", new());

        Assert.Single(plan.Units[0].Messages);
        var receipts = plan.Receipts("", [new(EnqueueStatus.Stored, [new(5, null, false)]), new(EnqueueStatus.Stored, [new(6, null, false)])]);
        Assert.Equal([(5L, false), (6, false), (5, true)], receipts.Select(r => (r.Sequence, r.IsDuplicate)));
    }

    [Fact]
    public void Of_NoId_MakesOneThatIsNotRemembered()
    {
        var message = EnqueuePlan.Of([Text("a", "hi")], "m", new()).Units[0].Messages[0];

        Assert.StartsWith("msg_", message.MessageId, StringComparison.Ordinal);
        Assert.False(message.IsDeduplicated);
        Assert.True(EnqueuePlan.Of([Text("a", "hi", "mine")], "m", new()).Units[0].Messages[0].IsDeduplicated);
    }

    [Fact]
    public void Of_Contents_AreStoredAsTheyAre()
    {
        var message = new AssistantMessage
        {
            ThreadId = "a",
            Contents =
            [
                new TextContent("look\nhere"),
                new UriContent("https://example.com/a.png", "image/png"),
                new DataContent(new byte[] { 1, 2, 3 }, "application/pdf") { Name = "bill.pdf" },
                new HostedFileContent("file_1") { MediaType = "image/png", Name = "cat.png" },
            ],
            Instructions = " ",
            Metadata = { ["channel"] = "web" },
        };

        var stored = EnqueuePlan.Of([message], "m", new()).Units[0].Messages[0];

        var body = Stored(stored);
        Assert.DoesNotContain('\n', stored.Body);
        Assert.Equal(9, stored.Characters);
        Assert.Null(body.Instructions);
        Assert.Equal("web", body.Metadata!["channel"]);
        Assert.Collection(
            body.Contents!,
            part => Assert.Equal("look\nhere", Assert.IsType<TextContent>(part).Text),
            part => Assert.Equal("https://example.com/a.png", Assert.IsType<UriContent>(part).Uri.ToString()),
            part =>
            {
                var file = Assert.IsType<DataContent>(part);
                Assert.Equal(("application/pdf", "bill.pdf"), (file.MediaType, file.Name));
                Assert.Equal([1, 2, 3], file.Data.ToArray());
            },
            part =>
            {
                var file = Assert.IsType<HostedFileContent>(part);
                Assert.Equal(("file_1", "image/png", "cat.png"), (file.FileId, file.MediaType, file.Name));
            });
    }

    [Fact]
    public void Of_PartThatCannotBeStored_IsAnArgumentException()
    {
        var e = Assert.Throws<ArgumentException>(() => EnqueuePlan.Of([new() { ThreadId = "a", Contents = [new OwnPart()] }], "message", new()));

        Assert.Contains("stored as JSON", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Of_OneBadMessage_StoresNone() =>
        Assert.Throws<ArgumentException>(() => EnqueuePlan.Of([Text("a", "good"), Text("b", " ")], "messages", new()));

    private static AssistantMessage Text(string thread, string text, string? id = null) => new() { ThreadId = thread, Text = text, MessageId = id };

    private static StoredMessage Stored(NewMessage message) => JsonSerializer.Deserialize(message.Body, StoreJson.Message)!;

    private sealed class OwnPart : AIContent;
}
