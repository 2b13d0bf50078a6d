using System.Globalization;
using System.Runtime.CompilerServices;
using Microsoft.Extensions.AI;

namespace AssistantQueue.Enqueue;

/// <summary>What a message must be like. Each rule that is broken is an <see cref="ArgumentException"/> that names it and the value.</summary>
internal static class MessageRules
{
    public const int MaxId = 256;
    public const int MaxText = 10_485_760;
    public const int MaxData = 20 * 1024 * 1024;
    public const int MaxInstructions = 256_000;
    public const int MaxPairs = 16;
    public const int MaxKey = 64;
    public const int MaxValue = 512;

    public static readonly TimeSpan MaxDelay = TimeSpan.FromDays(30);

    /// <exception cref="ArgumentException">A rule is broken.</exception>
    public static void Check(AssistantMessage message, string parameter)
    {
        CheckThreadId(message.ThreadId, parameter);
        if (message.MessageId is { } id)
        {
            CheckId("MessageId", id, parameter);
        }

        CheckContent(message, parameter);
        CheckInstructions(message.Instructions, parameter);
        CheckDelay(message.Delay, parameter);
        CheckMetadata(message.Metadata, parameter);
        Rule(message.WhenBusy is null || Enum.IsDefined(message.WhenBusy.Value), $"WhenBusy must be {string.Join(", ", Enum.GetNames<BusyAction>())}; it is {message.WhenBusy}", parameter);
    }

    /// <summary>Asks the backend, where it is in this process, whether it can take the message's parts.</summary>
    /// <exception cref="ArgumentException">It can't.</exception>
    public static void CheckForBackend(AssistantMessage message, Func<IReadOnlyList<AIContent>, string?>? fault, string parameter)
    {
        if (message.Contents is { } contents && fault?.Invoke([.. contents]) is { } rule)
        {
            throw new ArgumentException($"{rule}. Nothing was stored.", parameter);
        }
    }

    public static void CheckThreadId(string? threadId, string parameter) => CheckId("ThreadId", threadId, parameter);

    public static void CheckText(string? text, string parameter)
    {
        Rule(!string.IsNullOrWhiteSpace(text), "Text must not be empty or only white space", parameter);
        Rule(text!.Length <= MaxText, $"Text must have at most {Number(MaxText)} characters; it has {Number(text.Length)}", parameter);
    }

    public static void CheckInstructions(string? instructions, string parameter) => Rule(
        instructions is null or { Length: <= MaxInstructions },
        $"Instructions must have at most {Number(MaxInstructions)} characters; they have {Number(instructions?.Length ?? 0)}", parameter);

    private static void CheckId(string what, string? id, string parameter)
    {
        Rule(!string.IsNullOrWhiteSpace(id), $"{what} must not be empty or only white space", parameter);
        Rule(id!.Length <= MaxId, $"{what} must have 1 to {MaxId} characters; it has {Number(id.Length)}", parameter);
        for (var i = 0; i < id.Length; i++)
        {
            Rule(!char.IsControl(id[i]), $"{what} must not have control characters; it has U+{(int)id[i]:X4} at {i}", parameter);
            if (char.IsHighSurrogate(id[i]) && i + 1 < id.Length && char.IsLowSurrogate(id[i + 1]))
            {
                i++;
                continue;
            }

            Rule(!char.IsSurrogate(id[i]), $"{what} must be valid Unicode; it has half a surrogate pair (U+{(int)id[i]:X4}) at {i}", parameter);
        }
    }

    private static void CheckContent(AssistantMessage message, string parameter)
    {
        if (message.Contents is not { } contents)
        {
            CheckText(message.Text, parameter);
            return;
        }

        Rule(message.Text is null, "Text and Contents must not both be set; put the text into Contents", parameter);
        Rule(contents.Count > 0, "Contents must not be empty", parameter);
        long characters = 0, data = 0;
        foreach (var part in contents)
        {
            Rule(part is not null, "Contents must not have null parts", parameter);
            characters += part is TextContent { Text: var text } ? text?.Length ?? 0 : 0;
            data += part is DataContent bytes ? bytes.Data.Length : 0;
        }

        Rule(!contents.All(p => p is TextContent { Text: var text } && string.IsNullOrWhiteSpace(text)), "Contents must not be only white space", parameter);
        Rule(characters <= MaxText, $"Contents must have at most {Number(MaxText)} characters of text; they have {Number(characters)}", parameter);
        Rule(data <= MaxData, $"Contents must have at most {Number(MaxData)} bytes of data; they have {Number(data)}. Upload larger files and give their ids", parameter);
    }

    private static void CheckDelay(TimeSpan? delay, string parameter) =>
        Rule(delay is null || (delay >= TimeSpan.Zero && delay <= MaxDelay), $"Delay must be 0 to 30 days; it is {delay}", parameter);

    private static void CheckMetadata(IDictionary<string, string>? metadata, string parameter)
    {
        if (metadata is null)
        {
            return;
        }

        Rule(metadata.Count <= MaxPairs, $"Metadata must have at most {MaxPairs} pairs; it has {metadata.Count}", parameter);
        foreach (var (key, value) in metadata)
        {
            Rule(key.Length is >= 1 and <= MaxKey, $"Metadata keys must have 1 to {MaxKey} characters; '{Shorten(key)}' has {key.Length}", parameter);
            Rule(value is { Length: <= MaxValue }, $"Metadata values must have 0 to {MaxValue} characters; that of '{key}' {(value is null ? "is null" : $"has {Number(value.Length)}")}", parameter);
        }
    }

    private static void Rule(bool holds, [InterpolatedStringHandlerArgument(nameof(holds))] RuleText rule, string parameter)
    {
        if (!holds)
        {
            throw new ArgumentException(rule.ToString() + ". Nothing was stored.", parameter);
        }
    }

    private static string Shorten(string text) => text.Length <= MaxKey ? text : text[..MaxKey] + "…";

    private static string Number(long value) => value.ToString("N0", CultureInfo.InvariantCulture);
}
