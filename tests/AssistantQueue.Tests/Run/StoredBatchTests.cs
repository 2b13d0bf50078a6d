using AssistantQueue.Run;
using AssistantQueue.Store;
using Microsoft.Extensions.AI;

namespace AssistantQueue.Tests.Run;

/// <summary>Reading what is stored for a batch, whoever wrote it.</summary>
public class StoredBatchTests
{
    [Fact]
    public void Read_GoodMessages_GivesThemInOrderWithAFreshJournal()
    {
        var stored = Read(null, """{"id":"a","text":"hi"}""", """{"id":"b","text":"there","instructions":"be kind","metadata":{"k":"v"}}""");

        Assert.Null(stored.Error);
        Assert.Null(stored.NewerVersion);
        Assert.Equal(["hi", "there"], stored.Messages.Select(m => ((TextContent)m.Contents[0]).Text));
        Assert.Equal(("be kind", "v", 2L), (stored.Messages[1].Instructions, stored.Messages[1].Metadata["k"], stored.Messages[1].Sequence));
        Assert.Empty(stored.Journal.Rounds);
    }

    [Theory]
    [InlineData("""{"id":"a","text":""")]
    [InlineData("")]
    [InlineData("null")]
    [InlineData("[1,2]")]
    [InlineData("""{"text":"no id"}""")]
    [InlineData("""{"v":"x","id":7}""")]
    public void Read_BrokenMessage_SaysWhichWithoutQuotingIt(string body)
    {
        var stored = Read(null, """{"id":"a","text":"hi"}""", body);

        Assert.Contains("sequence 2", stored.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("hi", stored.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Read_MessageOfANewerVersion_SaysSoWhateverElseItHolds() =>
        Assert.Equal(3, Read(null, """{"v":3,"poem":{"lines":[]}}""").NewerVersion);

    [Fact]
    public void Read_JournalOfANewerVersion_SaysSoWhateverElseItHolds() =>
        Assert.Equal(2, Read("""{"version":2,"rounds":"elsewhere"}""", """{"id":"a","text":"hi"}""").NewerVersion);

    [Theory]
    [InlineData("{")]
    [InlineData("null")]
    [InlineData("""{"version":1,"rounds":"elsewhere"}""")]
    public void Read_BrokenJournal_SaysSo(string journal) =>
        Assert.Contains("journal", Read(journal, """{"id":"a","text":"hi"}""").Error, StringComparison.Ordinal);

    [Theory]
    [InlineData("be kind", null, null)]
    [InlineData("be kind", "", "  ")]
    [InlineData("a\n\nb", "a", null, "b", "a")]
    [InlineData("b", "b")]
    public void Instructions_OfMessages_AreTheDistinctOnesInOrderElseTheDefault(string expected, params string?[] instructions) =>
        Assert.Equal(expected, StoredBatch.Instructions(instructions.Select(Message), "be kind"));

    [Fact]
    public void Instructions_NoneAtAll_IsNull() => Assert.Null(StoredBatch.Instructions([Message(null)], null));

    private static BatchMessage Message(string? instructions) =>
        new() { Sequence = 1, MessageId = "a", Contents = [], Instructions = instructions };

    private static StoredBatch Read(string? journal, params string[] bodies) => StoredBatch.Read(new ClaimedBatch
    {
        Lease = new Lease("c1", 0, "w1", 7, "b1", 0),
        FirstSequence = 1,
        LastSequence = bodies.Length,
        FailedAttempts = 0,
        AttemptedThrough = 0,
        Deaths = 0,
        IsTakeover = false,
        Entries = [.. bodies.Select((body, i) => new StoredEntry(i + 1, DateTimeOffset.UnixEpoch, body))],
        Journal = journal,
        Conversation = new Dictionary<string, string>(),
        Errors = [],
    });
}
