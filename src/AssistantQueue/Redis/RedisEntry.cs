using System.Globalization;
using AssistantQueue.Store;
using StackExchange.Redis;

namespace AssistantQueue.Redis;

/// <summary>A stored message's line: sequence, running sum of characters, own characters, JSON.</summary>
internal static class RedisEntry
{
    /// <summary>Reads a line; one that can't be read has sequence 0 and the whole line as its body, and fails as corrupt when it is run.</summary>
    public static StoredEntry Parse(RedisValue line)
    {
        var text = (string)line!;
        var parts = text.Split(' ', 4);
        return parts.Length == 4 && IsNumber(parts[0], out var sequence) && IsNumber(parts[1], out _) && IsNumber(parts[2], out _)
            ? new StoredEntry(sequence, DateTimeOffset.FromUnixTimeMilliseconds(sequence / 1000), parts[3])
            : new StoredEntry(0, DateTimeOffset.UnixEpoch, text);
    }

    private static bool IsNumber(string text, out long number) => long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number);
}
