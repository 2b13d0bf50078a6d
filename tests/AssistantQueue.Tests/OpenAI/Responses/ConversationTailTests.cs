using System.Text.Json;
using AssistantQueue.OpenAI;
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
        Assert.Equal((true, null), Short(Find([User("hi")], isComplete: true, "hi")));

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
        Assert.Equal((true, null), Short(Find([User("hi"), Assistant("hel", "incomplete")], isComplete: true, "hi")));

    [Fact]
    public void Find_MessagesKnownToBeThere_LooksForTheReplyOnly() =>
        Assert.Equal("hello", Find([User("hi"), Assistant("hello")], isComplete: true).Reply!.Text);

    [Fact]
    public void Find_NothingToFindAndNothingUnderWay_TakesNoTextForTheReplyButOpenCalls()
    {
        Assert.Equal(Tail.Nothing, ConversationTail.Find([User("hi"), Assistant("hello")], true, [], [], isUnknown: false, "m"));
        Assert.Equal(["c1"], ConversationTail.Find([User("hi"), Call("c1")], true, [], [], isUnknown: false, "m").Calls.Select(c => c.CallId));
    }

    [Fact]
    public void Find_ImagesAreComparedByKind_TextExactly()
    {
        var items = new[] { JsonElement.Parse("""{"type":"message","role":"user","content":[{"type":"input_text","text":"look"},{"type":"input_image","image_url":"https://cdn/rewritten.png"}]}""") };
        var input = new RunInput([new TextContent("look"), new UriContent("https://example.org/a.png", "image/png")], new Dictionary<string, string>());

        Assert.True(ConversationTail.Find(items, true, [input], [], false, "m").HasInputs);
    }

    [Fact]
    public void Find_AnswerIsCalls_AreThoseWithoutOutput()
    {
        var tail = Find([User("hi"), Call("c1"), Output("c1"), Call("c2"), Call("c3")], isComplete: true, "hi");

        Assert.True(tail.HasInputs);
        Assert.Null(tail.Reply);
        Assert.Equal(["c2", "c3"], tail.Calls.Select(c => c.CallId));
    }

    [Fact]
    public void Find_TextBesideOpenCalls_IsWhatWasSaidBesideThem()
    {
        var tail = Find([User("hi"), Assistant("One."), Call("c1"), Output("c1"), Assistant("Two."), Call("c2")], isComplete: true, "hi");

        Assert.Null(tail.Reply);
        Assert.Equal("Two.", Assert.IsType<TextContent>(Assert.Single(tail.Said)).Text);
    }

    [Fact]
    public void Find_TextBesideAnsweredCalls_IsNoReply() =>
        Assert.Equal((true, null), Short(Find([User("hi"), Assistant("I'll look it up"), Call("c1"), Output("c1")], isComplete: true, "hi")));

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Find_OutputsThere_FindsWhatIsBehindThemAndTheMessagesThatJoined(bool isComplete)
    {
        var items = new[] { User("hi"), Assistant("I'll look it up"), Call("c1"), Output("c1"), User("joined"), Assistant("here"), User("later"), Assistant("no") };

        var tail = FindOutputs(items, isComplete, [("c1", "done")], "joined");

        Assert.Equal((true, "here"), Short(tail));
    }

    [Fact]
    public void Find_OutputsThereAndALaterBatchRightBehindThem_IsNotTakenForTheirAnswer()
    {
        var items = new[] { User("hi"), Call("c1"), Output("c1"), User("later"), Assistant("to the later one") };

        Assert.Equal((true, null), Short(FindOutputs(items, isComplete: true, [("c1", "done")])));
    }

    [Fact]
    public void Find_AnotherOutputInTheirPlace_IsNothing()
    {
        var items = new[] { User("hi"), Call("c1"), Output("c1", OpenCalls.LostOutput), User("later"), Assistant("no") };

        Assert.Equal(Tail.Nothing, FindOutputs(items, isComplete: true, [("c1", "done")]));
        Assert.Equal(Tail.Nothing, FindOutputs(items, isComplete: true, [("c1", null)]));
    }

    [Fact]
    public void Find_OutputTooLongForTheJournal_IsRecognizedByItsCall() =>
        Assert.True(FindOutputs([User("hi"), Call("c1"), Output("c1")], isComplete: true, [("c1", null)]).HasInputs);

    [Fact]
    public void Find_OutputInParts_IsComparedAsTheirText() =>
        Assert.True(FindOutputs(
            [Call("c1"), JsonElement.Parse("""{"type":"function_call_output","call_id":"c1","output":[{"type":"input_text","text":"do"},{"type":"input_text","text":"ne"}]}""")],
            isComplete: true,
            [("c1", "done")]).HasInputs);

    [Fact]
    public void Find_OutputWithHalfACharacter_IsComparedAsItWasSent() =>
        Assert.True(FindOutputs([Call("c1"), Output("c1", "a\uFFFD")], isComplete: true, [("c1", "a\uD83D")]).HasInputs);

    [Fact]
    public void Find_OneOutputMissing_IsNothing() =>
        Assert.Equal(Tail.Nothing, FindOutputs([User("hi"), Call("c1"), Call("c2"), Output("c1")], true, [("c1", "done"), ("c2", "done")]));

    // as after a post of unknown outcome
    private static Tail Find(JsonElement[] items, bool isComplete, params string[] texts) =>
        ConversationTail.Find(items, isComplete, Inputs(texts), [], isUnknown: true, "m");

    private static Tail FindOutputs(JsonElement[] items, bool isComplete, (string Call, string? Output)[] outputs, params string[] joined) =>
        ConversationTail.Find(items, isComplete, Inputs(joined), [.. outputs.Select(o => KeyValuePair.Create(o.Call, o.Output))], isUnknown: true, "m");

    private static IReadOnlyList<RunInput> Inputs(string[] texts) => [.. texts.Select(t => new RunInput([new TextContent(t)], new Dictionary<string, string>()))];

    private static (bool, string?) Short(Tail tail) => (tail.HasInputs, tail.Reply?.Text);

    private static JsonElement Call(string id) =>
        JsonElement.Parse($$"""{"type":"function_call","status":"completed","call_id":"{{id}}","name":"look","arguments":"{}"}""");

    private static JsonElement Output(string id, string text = "done") =>
        JsonElement.Parse($$"""{"type":"function_call_output","call_id":"{{id}}","output":"{{text}}"}""");

    private static JsonElement User(string text) =>
        JsonElement.Parse($$"""{"type":"message","role":"user","content":[{"type":"input_text","text":"{{text}}"}]}""");

    private static JsonElement Assistant(string text, string status = "completed") =>
        JsonElement.Parse($$"""{"type":"message","role":"assistant","status":"{{status}}","content":[{"type":"output_text","text":"{{text}}","annotations":[]}]}""");
}
