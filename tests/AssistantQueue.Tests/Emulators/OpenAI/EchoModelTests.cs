using AssistantQueue.Emulators;

namespace AssistantQueue.Tests.Emulators;

/// <summary>What the model says.</summary>
public sealed class EchoModelTests
{
    [Fact]
    public void Answer_BatchAfterHistory_NamesBatchAndCountsTheRest() =>
        Assert.Equal(
            "You wrote 3 messages: “b”, “c” and “d”. Before that you had written 1 message. My instructions: “Be kind”.",
            Say([User("a"), new(TurnKind.Assistant, "x"), User("b"), User("c"), User("d")], "Be kind").Text);

    [Fact]
    public void Answer_LongText_IsShortened() => Assert.Equal($"You wrote: “{new string('x', 200)}…”.", Say([User(new string('x', 201))]).Text);

    [Fact]
    public void Answer_CommandsOfAnEarlierRequest_CountOnlyWhenThisOneHasNone()
    {
        Assert.Equal("server_error", Say([User("/fail")]).FailCode);
        Assert.Null(Say([User("/fail"), User("fine", fresh: true)]).FailCode);
        Assert.Null(Say([User("/fail"), new(TurnKind.Assistant, "x"), User("fine")]).FailCode);
    }

    [Fact]
    public void Answer_Slow_ThinksThatLong() => Assert.Equal(TimeSpan.FromSeconds(2.5), Say([User("/slow 2.5")]).Latency);

    [Fact]
    public void Answer_TwoTools_AreCalledTogetherOrInTurn()
    {
        Turn[] turns = [User("/tool a {\"x\":1}\n/tool b {}")];
        Assert.Equal([new WantedCall("a", "{\"x\":1}"), new WantedCall("b", "{}")], Say(turns).Calls);
        Assert.Equal([new WantedCall("a", "{\"x\":1}")], Say(turns, parallel: false).Calls);
        Turn[] half = [.. turns, new(TurnKind.Call, "{}", CallId: "1", Name: "a"), new(TurnKind.Output, "A", CallId: "1")];
        Assert.Equal([new WantedCall("b", "{}")], Say(half, parallel: false).Calls);
    }

    [Fact]
    public void Answer_SaysSomethingBesideACall_StillOwesTheAnswer()
    {
        Turn[] turns = [User("/say Let me look.\n/tool a {}\n/say And now b.\n/then b {}")];
        Assert.Equal(("Let me look.", "a"), (Say(turns).Text, Assert.Single(Say(turns).Calls).Name));
        Turn[] second = [.. turns, new(TurnKind.Beside, "Let me look."), new(TurnKind.Call, "{}", CallId: "1", Name: "a"), new(TurnKind.Output, "A", CallId: "1")];
        Assert.Equal(("And now b.", "b"), (Say(second).Text, Assert.Single(Say(second).Calls).Name));
        Turn[] third = [.. second, new(TurnKind.Beside, "And now b."), new(TurnKind.Call, "{}", CallId: "2", Name: "b"), new(TurnKind.Output, "B", CallId: "2")];
        Assert.EndsWith("a returned “A”. b returned “B”.", Say(third).Text, StringComparison.Ordinal);
        Assert.StartsWith("You wrote: “", Say(third).Text, StringComparison.Ordinal);
    }

    [Fact]
    public void Answer_UnknownTool_SaysSo() => Assert.EndsWith("I have no tool “z”.", Say([User("/tool z {}")]).Text, StringComparison.Ordinal);

    [Fact]
    public void Answer_CommandsOff_OnlyEchoes() =>
        Assert.Equal("You wrote: “/fail”.", EchoModel.Answer(new([User("/fail")], null, new HashSet<string>(), true, Commands: false)).Text);

    [Theory]
    [InlineData("")]
    [InlineData(" a  b ")]
    [InlineData("You wrote: “x y”.")]
    public void Pieces_Joined_AreTheText(string text) => Assert.Equal(text, string.Concat(EchoModel.Pieces(text)));

    private static Turn User(string text, bool fresh = false) => new(TurnKind.User, text, fresh);

    private static ModelAnswer Say(Turn[] turns, string? instructions = null, bool parallel = true) =>
        EchoModel.Answer(new(turns, instructions, new HashSet<string> { "a", "b" }, parallel, Commands: true));
}
