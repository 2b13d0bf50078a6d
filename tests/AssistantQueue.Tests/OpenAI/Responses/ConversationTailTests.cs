using System.Text.Json;
using AssistantQueue.OpenAI.Responses;
using Microsoft.Extensions.AI;

namespace AssistantQueue.Tests.OpenAIBackends.Responses;

/// <summary>Finding a batch's messages among a conversation's newest items.</summary>
public class ConversationTailTests
{
    [Fact]
    public void Find_MessagesAndReplyThere_AreFound()
    {
        var tail = Find([User("hi"), User("there"), Assistant("hello")], isComplete: true, "hi", "there");

        Assert.True(tail.HasInputs);
        Assert.Equal("hello", tail.Reply!.Text);
    }

    [Fact]
    public void Find_MessagesWithoutReply_AreFoundWithoutOne() =>
        Assert.Equal(new Tail(true, null), Find([User("hi")], isComplete: true, "hi"));

    [Fact]
    public void Find_OnlyAPartOfTheMessages_IsNothing() =>
        Assert.Equal(Tail.Nothing, Find([User("hi"), Assistant("hello")], isComplete: true, "hi", "there"));

    [Fact]
    public void Find_OtherMessagesAround_FindsTheRightReply()
    {
        var tail = Find([User("operator"), Assistant("yes?"), User("hi"), Assistant("hello"), User("later"), Assistant("ok")], isComplete: true, "hi");

        Assert.Equal("hello", tail.Reply!.Text);
    }

    [Fact]
    public void Find_LastItemSeenIsGone_CountsTheEndOnly()
    {
        Assert.Equal(Tail.Nothing, Find([User("ok"), Assistant("old answer"), User("thanks"), Assistant("bye")], isComplete: false, "ok"));
        Assert.Equal("new", Find([User("ok"), Assistant("old"), User("ok"), Assistant("new")], isComplete: false, "ok").Reply!.Text);
    }

    [Fact]
    public void Find_UnfinishedReply_IsNone() =>
        Assert.Equal(new Tail(true, null), Find([User("hi"), Assistant("hel", "incomplete")], isComplete: true, "hi"));

    [Fact]
    public void Find_MessagesKnownToBeThere_LooksForTheReplyOnly() =>
        Assert.Equal("hello", Find([User("hi"), Assistant("hello")], isComplete: true).Reply!.Text);

    [Fact]
    public void Find_ImagesAreComparedByKind_TextExactly()
    {
        var items = new[] { JsonElement.Parse("""{"type":"message","role":"user","content":[{"type":"input_text","text":"look"},{"type":"input_image","image_url":"https://cdn/rewritten.png"}]}""") };
        var input = new RunInput([new TextContent("look"), new UriContent("https://example.org/a.png", "image/png")], new Dictionary<string, string>());

        Assert.True(ConversationTail.Find(items, true, [input], "m").HasInputs);
    }

    private static Tail Find(JsonElement[] items, bool isComplete, params string[] texts) =>
        ConversationTail.Find(items, isComplete, [.. texts.Select(t => new RunInput([new TextContent(t)], new Dictionary<string, string>()))], "m");

    private static JsonElement User(string text) =>
        JsonElement.Parse($$"""{"type":"message","role":"user","content":[{"type":"input_text","text":"{{text}}"}]}""");

    private static JsonElement Assistant(string text, string status = "completed") =>
        JsonElement.Parse($$"""{"type":"message","role":"assistant","status":"{{status}}","content":[{"type":"output_text","text":"{{text}}","annotations":[]}]}""");
}
