using AssistantQueue.ChatClient;
using Microsoft.Extensions.AI;

namespace AssistantQueue.Tests.ChatClient;

/// <summary>A turn is kept as a whole; one that is too long by itself is shortened without leaving a call without its result.</summary>
public class ChatTurnTests
{
    private static readonly ChatMessage Hi = new(ChatRole.User, "hi");
    private static readonly ChatMessage Call = new(ChatRole.Assistant, [new TextContent("Let me look."), new FunctionCallContent("c1", "find", new Dictionary<string, object?> { ["id"] = 1 })]);
    private static readonly ChatMessage Result = new(ChatRole.Tool, [new FunctionResultContent("c1", new string('r', 5_000))]);
    private static readonly ChatMessage Reply = new(ChatRole.Assistant, "Found.");

    [Fact]
    public void Fitting_WithinTheBounds_KeepsAllAndReadsTheSame()
    {
        var turn = ChatTurn.Fitting(ChatTurn.NameOf(7), [Hi, Call, Result, Reply], 4, 10_000)!;

        var read = ChatTurn.Read(turn.Name, turn.Json);
        Assert.True(turn.IsWhole);
        Assert.Equal(["user", "assistant", "tool", "assistant"], read.Messages.Select(m => m.Role.Value));
        Assert.Equal("c1", Assert.Single(read.Messages[1].Contents.OfType<FunctionCallContent>()).CallId);
        Assert.Equal(new string('r', 5_000), Assert.Single(read.Messages[2].Contents.OfType<FunctionResultContent>()).Result);
    }

    [Theory]
    [InlineData(4, 1_000)]
    [InlineData(3, 100_000)]
    public void Fitting_TooLongWithItsCalls_LosesCallsAndResultsTogether(int maxMessages, int maxCharacters)
    {
        var turn = ChatTurn.Fitting(ChatTurn.NameOf(7), [Hi, Call, Result, Reply], maxMessages, maxCharacters)!;

        Assert.False(turn.IsWhole);
        Assert.Equal(["user: hi", "assistant: Let me look.", "assistant: Found."], turn.Messages.Select(m => $"{m.Role}: {m.Text}"));
        Assert.DoesNotContain(turn.Messages, m => m.Contents.Any(c => c is ToolCallContent or ToolResultContent));
    }

    [Fact]
    public void Fitting_TooLongWithItsFiles_NamesThemInstead()
    {
        var photo = new ChatMessage(ChatRole.User, [new TextContent("this"), new DataContent(new byte[9_000], "image/png")]);

        var turn = ChatTurn.Fitting(ChatTurn.NameOf(7), [photo, Reply], 10, 1_000)!;

        Assert.Equal("this[a file of type image/png that is no longer kept]", turn.Messages[0].Text);
    }

    [Fact]
    public void Fitting_TooManyMessages_KeepsTheNewestAndTheReply()
    {
        var turn = ChatTurn.Fitting(ChatTurn.NameOf(7), [.. Enumerable.Range(1, 9).Select(i => new ChatMessage(ChatRole.User, $"m{i}")), Reply], 4, 10_000)!;

        Assert.Equal(["m7", "m8", "m9", "Found."], turn.Messages.Select(m => m.Text));
    }

    [Fact]
    public void Fitting_TooManyCharacters_KeepsTheNewestAndTheReply()
    {
        var turn = ChatTurn.Fitting(ChatTurn.NameOf(7), [.. Enumerable.Range(1, 9).Select(i => new ChatMessage(ChatRole.User, new string((char)('0' + i), 200))), Reply], 100, 1_000)!;

        Assert.InRange(turn.Json.Length, 700, 1_000);
        Assert.Equal(["8", "9", "F"], turn.Messages.Select(m => m.Text[..1]).TakeLast(3));
    }

    [Fact]
    public void Fitting_OneMessageLongerThanTheBound_IsCut()
    {
        var turn = ChatTurn.Fitting(ChatTurn.NameOf(7), [new(ChatRole.User, new string('"', 100_000)), Reply], 10, 5_000)!;

        Assert.InRange(turn.Json.Length, 1_000, 5_000);
        Assert.EndsWith(" […]", turn.Messages[0].Text, StringComparison.Ordinal);
        Assert.Equal("Found.", turn.Messages[1].Text);
    }

    [Theory]
    [InlineData(0, 10_000)]
    [InlineData(10, 0)]
    [InlineData(1, 10_000)]
    public void Fitting_BoundsForNothing_IsNull(int maxMessages, int maxCharacters) =>
        Assert.Null(ChatTurn.Fitting(ChatTurn.NameOf(7), [Hi, Reply], maxMessages, maxCharacters));

    [Fact]
    public void NameOf_GrowingSequences_SortsByAge()
    {
        var names = new[] { 9L, 10, 1_700_000_000_000_000, 99 }.Order().Select(ChatTurn.NameOf).ToArray();

        Assert.Equal(names, names.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Fitting_ContentThatHasNoJson_KeepsWhatCanBeReadAgain()
    {
        var odd = new TextContent("text") { AdditionalProperties = new() { ["client"] = new object() } };
        var own = new OwnContent();
        var call = new FunctionCallContent("c1", "find", new Dictionary<string, object?> { ["stream"] = new MemoryStream() });

        var turn = ChatTurn.Fitting(ChatTurn.NameOf(7), [Hi, new(ChatRole.Assistant, [odd, own, call])], 10, 10_000)!;

        Assert.Equal(["TextContent", "FunctionCallContent"], turn.Messages[1].Contents.Select(c => c.GetType().Name));
    }

    private sealed class OwnContent : AIContent;
}
