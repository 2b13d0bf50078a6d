using System.Reflection;
using System.Text.RegularExpressions;
using AssistantQueue.Redis;
using StackExchange.Redis;

namespace AssistantQueue.IntegrationTests.Store;

/// <summary>What every script has in common: two declared keys, no globals, the partition count.</summary>
public abstract partial class ScriptTests(StoreServer server) : StoreTest(server)
{
    public static TheoryData<string> Names { get; } =
        [.. typeof(RedisScript).GetProperties(BindingFlags.Static | BindingFlags.Public).Where(p => p.PropertyType == typeof(string)).Select(p => p.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task EveryScript_OtherPartitionCount_AnswersLayoutAndChangesNothing(string name)
    {
        await EnqueueAsync("c", Message("a"));
        var arguments = Enumerable.Repeat((RedisValue)"1", 40).ToArray();
        arguments[0] = 3;

        Assert.Empty(await ChangesOfAsync(async () =>
            Assert.Equal("LAYOUT 1", (string?)await Database.ScriptEvaluateAsync(Text(name), [P + ":due", P + ":guard"], arguments))));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void EveryScript_Text_ReadsExactlyTheTwoDeclaredKeys(string name)
    {
        var text = Text(name);

        Assert.Contains("KEYS[1]", text, StringComparison.Ordinal);
        Assert.DoesNotMatch(OtherKeys(), text);
        Assert.DoesNotContain("--@include", text, StringComparison.Ordinal);
        // Enumerating keys inside a script never ends on Garnet; blocking and replication commands have no place in one.
        Assert.DoesNotMatch(ForbiddenCommands(), text);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void EveryScript_Text_AssignsNoGlobal(string name)
    {
        var text = Comments().Replace(Text(name), "");
        var locals = Locals().Matches(text).SelectMany(m => m.Groups[1].Value.Split(',')).Select(w => w.Trim())
            .Concat(Functions().Matches(text).SelectMany(m => m.Groups[1].Value.Split(',').Append(m.Groups[0].Value.Split(' ', '(')[^1])).Select(w => w.Trim()))
            .Concat(Loops().Matches(text).SelectMany(m => m.Groups[1].Value.Split(',')).Select(w => w.Trim()))
            .ToHashSet(StringComparer.Ordinal);

        foreach (Match assignment in Assignments().Matches(text))
        {
            foreach (var target in assignment.Groups[1].Value.Split(',').Select(w => w.Trim()))
            {
                Assert.True(locals.Contains(target), $"{name} assigns the global '{target}'");
            }
        }

        foreach (Match function in GlobalFunctions().Matches(text))
        {
            Assert.Fail($"{name} defines the global function '{function.Groups[1].Value}'");
        }
    }

    [Fact]
    public async Task Store_OtherPartitionCount_SaysWhatToSet()
    {
        await EnqueueAsync("c", Message("a"));
        Options.Partitions = 3;
        await using var other = NewStore(Options, Connection);

        var e = await Assert.ThrowsAsync<InvalidOperationException>(() => other.ClaimAsync(new AssistantQueue.Store.ClaimRequest(0, "w1", "t", 1, 1, false), Ct));

        Assert.Contains("created with 1 partitions", e.Message, StringComparison.Ordinal);
        Assert.Contains("set to 3", e.Message, StringComparison.Ordinal);
        Options.Partitions = 1;
    }

    private static string Text(string name) => (string)typeof(RedisScript).GetProperty(name)!.GetValue(null)!;

    [GeneratedRegex(@"KEYS\[[^12]")]
    private static partial Regex OtherKeys();

    [GeneratedRegex(@"p?call\('(SCAN|KEYS|WAIT|EVAL|XADD|SPUBLISH|BLPOP|BRPOP|BLMOVE)'")]
    private static partial Regex ForbiddenCommands();

    [GeneratedRegex(@"--[^\n]*")]
    private static partial Regex Comments();

    [GeneratedRegex(@"\blocal\s+(?!function\b)([\w, ]+)")]
    private static partial Regex Locals();

    [GeneratedRegex(@"\bfunction\s*\w*\(([^)]*)\)")]
    private static partial Regex Functions();

    [GeneratedRegex(@"\bfor\s+([\w, ]+?)\s*(?:=|in\b)")]
    private static partial Regex Loops();

    [GeneratedRegex(@"(?m)^\s*(?!local\b|for\b|if\b|elseif\b|while\b|return\b|until\b)([A-Za-z_]\w*(?:\s*,\s*[A-Za-z_]\w*)*)\s*=(?!=)")]
    private static partial Regex Assignments();

    [GeneratedRegex(@"(?m)^\s*function\s+(\w+)")]
    private static partial Regex GlobalFunctions();
}

public sealed class ScriptOnRedisTests() : ScriptTests(StoreServer.Redis);

public sealed class ScriptOnGarnetTests() : ScriptTests(StoreServer.Garnet);
