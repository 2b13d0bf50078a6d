using AssistantQueue.Enqueue;
using Microsoft.Extensions.AI;

namespace AssistantQueue.Tests.Enqueue;

public sealed class MessageRulesTests
{
    public static TheoryData<Action<AssistantMessage>, string> Broken => new()
    {
        { m => m.ThreadId = "", "ThreadId must not be empty" },
        { m => m.ThreadId = null!, "ThreadId must not be empty" },
        { m => m.ThreadId = " \t", "ThreadId must not be empty" },
        { m => m.ThreadId = new string('t', 257), "ThreadId must have 1 to 256 characters; it has 257" },
        { m => m.ThreadId = "a\nb", "ThreadId must not have control characters; it has U+000A at 1" },
        { m => m.ThreadId = "a\u007f", "U+007F at 1" },
        { m => m.ThreadId = "a\u0085", "U+0085 at 1" },
        { m => m.ThreadId = "a\ud83d", "ThreadId must be valid Unicode; it has half a surrogate pair (U+D83D) at 1" },
        { m => m.ThreadId = "\ude00a", "half a surrogate pair (U+DE00) at 0" },
        { m => m.MessageId = "", "MessageId must not be empty" },
        { m => m.MessageId = new string('m', 257), "MessageId must have 1 to 256 characters; it has 257" },
        { m => m.MessageId = "a\0", "MessageId must not have control characters; it has U+0000 at 1" },
        { m => m.Text = null, "Text must not be empty" },
        { m => m.Text = "", "Text must not be empty" },
        { m => m.Text = " \r\n ", "Text must not be empty or only white space" },
        { m => m.Text = new string('x', 10_485_761), "Text must have at most 10,485,760 characters; it has 10,485,761" },
        { m => m.Contents = [new TextContent("too")], "Text and Contents must not both be set" },
        { m => (m.Text, m.Contents) = (null, []), "Contents must not be empty" },
        { m => (m.Text, m.Contents) = (null, [null!]), "Contents must not have null parts" },
        { m => (m.Text, m.Contents) = (null, [new TextContent(" "), new TextContent("")]), "Contents must not be only white space" },
        { m => (m.Text, m.Contents) = (null, [new TextContent(new string('x', 10_000_000)), new TextContent(new string('x', 500_000))]), "Contents must have at most 10,485,760 characters of text; they have 10,500,000" },
        { m => (m.Text, m.Contents) = (null, [new DataContent(new byte[(20 * 1024 * 1024) + 1], "image/png")]), "Contents must have at most 20,971,520 bytes of data; they have 20,971,521" },
        { m => m.Instructions = new string('i', 256_001), "Instructions must have at most 256,000 characters; they have 256,001" },
        { m => m.Delay = TimeSpan.FromTicks(-1), "Delay must be 0 to 30 days; it is -00:00:00.0000001" },
        { m => m.Delay = TimeSpan.FromDays(30) + TimeSpan.FromTicks(1), "Delay must be 0 to 30 days; it is 30.00:00:00.0000001" },
        { m => Pairs(m, 17), "Metadata must have at most 16 pairs; it has 17" },
        { m => m.Metadata[""] = "v", "Metadata keys must have 1 to 64 characters; '' has 0" },
        { m => m.Metadata[new string('k', 65)] = "v", "Metadata keys must have 1 to 64 characters" },
        { m => m.Metadata["k"] = new string('v', 513), "Metadata values must have 0 to 512 characters; that of 'k' has 513" },
        { m => m.Metadata["k"] = null!, "that of 'k' is null" },
    };

    public static TheoryData<Action<AssistantMessage>> Kept => new()
    {
        m => m.ThreadId = new string('t', 256),
        m => m.ThreadId = "whatsapp:+49 151 😀",
        m => m.MessageId = "wamid.HBg=",
        m => m.Text = new string('x', 10_485_760),
        m => m.Text = "zero\u0000byte and half a pair \ud83d",
        m => (m.Text, m.Contents) = (null, [new DataContent(new byte[20 * 1024 * 1024], "image/png")]),
        m => (m.Text, m.Contents) = (null, [new UriContent("https://example.com/a.png", "image/png")]),
        m => m.Instructions = new string('i', 256_000),
        m => m.Delay = TimeSpan.Zero,
        m => m.Delay = TimeSpan.FromDays(30),
        m => Pairs(m, 16),
        m => m.Metadata[new string('k', 64)] = new string('v', 512),
        m => m.Metadata["k"] = "",
    };

    [Theory]
    [MemberData(nameof(Broken))]
    public void Check_BrokenRule_NamesItAndTheValue(Action<AssistantMessage> spoil, string rule)
    {
        var message = new AssistantMessage { ThreadId = "t", Text = "hi" };
        spoil(message);

        var e = Assert.Throws<ArgumentException>(() => MessageRules.Check(message, "message"));

        Assert.Contains(rule, e.Message, StringComparison.Ordinal);
        Assert.Contains("Nothing was stored.", e.Message, StringComparison.Ordinal);
        Assert.Equal("message", e.ParamName);
    }

    [Theory]
    [MemberData(nameof(Kept))]
    public void Check_AtTheLimit_IsFine(Action<AssistantMessage> change)
    {
        var message = new AssistantMessage { ThreadId = "t", Text = "hi" };
        change(message);

        MessageRules.Check(message, "message");
    }

    private static void Pairs(AssistantMessage message, int count)
    {
        for (var i = 0; i < count; i++)
        {
            message.Metadata[$"k{i}"] = "v";
        }
    }
}
