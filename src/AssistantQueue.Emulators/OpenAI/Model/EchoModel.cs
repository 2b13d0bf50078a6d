using System.Globalization;
using System.Text;
using System.Text.Json;

namespace AssistantQueue.Emulators;

/// <summary>The model: says which messages it got together, so that a person sees what was batched. Pure.</summary>
/// <remarks>
/// Lines of a user's message that steer it: <c>/tool name {json}</c> calls a function that was offered, <c>/then name {json}</c> calls
/// one in a round of its own after the calls before, <c>/say Let me look.</c> says that beside the call that follows, <c>/cite file-1</c> cites a file, <c>/slow 2.5</c> thinks
/// that many seconds, <c>/long 200</c> answers with that many more words, <c>/fail</c> or <c>/fail rate_limit_exceeded</c> ends as
/// failed, <c>/refuse</c> is a content error (Responses: 400 <c>invalid_prompt</c>; Assistants: a failed run), <c>/incomplete</c>
/// stops early. They count in the messages of the present request; when it has none, in all that aren't answered yet. Calls count in
/// all that aren't answered yet.
/// </remarks>
internal static class EchoModel
{
    private const int Shown = 200;

    public static ModelAnswer Answer(Prompt prompt)
    {
        var answered = LastIndex(prompt.Turns, t => t.Kind == TurnKind.Assistant);
        var open = prompt.Turns.Skip(answered + 1).ToArray();
        var batch = open.Where(t => t.Kind == TurnKind.User).ToArray();
        var lines = prompt.Commands ? CommandLines(batch) : [];

        if (Command(lines, "/refuse") is not null)
        {
            return new("", [], Refused: true);
        }

        var latency = Command(lines, "/slow") is { } s && double.TryParse(s, CultureInfo.InvariantCulture, out var seconds) ? TimeSpan.FromSeconds(seconds) : (TimeSpan?)null;
        if (Command(lines, "/fail") is { } code)
        {
            return new("", [], latency, FailCode: code is "rate_limit_exceeded" or "invalid_prompt" ? code : "server_error");
        }

        var outputs = open.Where(t => t.Kind == TurnKind.Output).ToArray();
        var made = open.Count(t => t.Kind == TurnKind.Call);
        var wanted = prompt.Commands ? Wanted(Lines(batch)).ToArray() : [];
        var calls = wanted.Where(c => prompt.Tools.Contains(c.Call.Name)).Skip(made).ToArray();
        if (calls.Length > 0)
        {
            var together = prompt.ParallelCalls ? calls.TakeWhile((c, i) => i == 0 || !c.BeginsRound) : calls.Take(1);
            return new(string.Join(' ', together.Select(c => c.Said).OfType<string>()), [.. together.Select(c => c.Call)], latency);
        }

        var text = new StringBuilder(Said(batch));
        foreach (var output in outputs)
        {
            var name = open.FirstOrDefault(t => t.Kind == TurnKind.Call && t.CallId == output.CallId)?.Name ?? "The tool";
            text.Append(CultureInfo.InvariantCulture, $" {name} returned “{Short(output.Text)}”.");
        }

        foreach (var (call, _, _) in wanted.Where(c => !prompt.Tools.Contains(c.Call.Name)))
        {
            text.Append(CultureInfo.InvariantCulture, $" I have no tool “{call.Name}”.");
        }

        var earlier = prompt.Turns.Take(answered + 1).Count(t => t.Kind == TurnKind.User);
        if (earlier > 0)
        {
            text.Append(CultureInfo.InvariantCulture, $" Before that you had written {earlier} {(earlier == 1 ? "message" : "messages")}.");
        }

        if (!string.IsNullOrWhiteSpace(prompt.Instructions))
        {
            text.Append(CultureInfo.InvariantCulture, $" My instructions: “{Short(prompt.Instructions)}”.");
        }

        if (Command(lines, "/long") is { } l && int.TryParse(l, CultureInfo.InvariantCulture, out var words))
        {
            for (var i = 1; i <= words; i++)
            {
                text.Append(CultureInfo.InvariantCulture, $" word{i}");
            }
        }

        return new(text.ToString(), [], latency, Incomplete: Command(lines, "/incomplete") is not null, Cited: Command(lines, "/cite") is { Length: > 0 } file ? file : null);
    }

    /// <summary>About four characters a token.</summary>
    public static int Tokens(string text) => (text.Length + 3) / 4;

    /// <summary>What fits into so many tokens, and at most half.</summary>
    public static string Cut(string text, long tokens) => text[..(int)Math.Min(text.Length / 2, Math.Min(tokens, text.Length) * 4)];

    /// <summary>The pieces in which a text is streamed: words with the space before them.</summary>
    public static IEnumerable<string> Pieces(string text)
    {
        for (var start = 0; start < text.Length;)
        {
            var end = text.IndexOf(' ', start + 1);
            end = end < 0 ? text.Length : end;
            yield return text[start..end];
            start = end;
        }
    }

    private static string Said(Turn[] batch) => batch.Length switch
    {
        0 => "You wrote nothing new.",
        1 => $"You wrote: {Quoted(batch[0])}.",
        _ => $"You wrote {batch.Length} messages: {string.Join(", ", batch[..^1].Select(Quoted))} and {Quoted(batch[^1])}.",
    };

    private static string Quoted(Turn turn) => $"“{Short(turn.Text)}”";

    private static string Short(string text) => text.Length <= Shown ? text : string.Concat(text.AsSpan(0, Shown), "…");

    private static string[] CommandLines(Turn[] batch)
    {
        var meant = batch.Any(t => t.Fresh) ? batch.Where(t => t.Fresh) : batch;
        return Lines(meant);
    }

    private static string[] Lines(IEnumerable<Turn> turns) => [.. turns.SelectMany(t => t.Text.Split('\n', StringSplitOptions.TrimEntries)).Where(l => l.StartsWith('/'))];

    private static string? Command(string[] lines, string name) =>
        lines.FirstOrDefault(l => l == name || l.StartsWith(name + " ", StringComparison.Ordinal)) is { } line ? line[name.Length..].Trim() : null;

    private static IEnumerable<(WantedCall Call, bool BeginsRound, string? Said)> Wanted(string[] lines)
    {
        string? said = null;
        foreach (var line in lines)
        {
            said = line.StartsWith("/say ", StringComparison.Ordinal) ? line[5..] : said;
            var begins = line.StartsWith("/then ", StringComparison.Ordinal);
            if (begins || line.StartsWith("/tool ", StringComparison.Ordinal))
            {
                var parts = line[6..].Split(' ', 2, StringSplitOptions.TrimEntries);
                yield return (new(parts[0], parts.Length > 1 && IsObject(parts[1]) ? parts[1] : "{}"), begins, said);
                said = null;
            }
        }
    }

    private static bool IsObject(string json)
    {
        try
        {
            using var document = JsonDocument.Parse(json);
            return document.RootElement.ValueKind == JsonValueKind.Object;
        }
        catch (JsonException)
        {
            return false; // a person typed it; the function is then called without arguments
        }
    }

    private static int LastIndex(IReadOnlyList<Turn> turns, Func<Turn, bool> condition)
    {
        for (var i = turns.Count - 1; i >= 0; i--)
        {
            if (condition(turns[i]))
            {
                return i;
            }
        }

        return -1;
    }
}
