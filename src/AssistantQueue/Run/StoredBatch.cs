using System.Text.Json;
using AssistantQueue.Store;

namespace AssistantQueue.Run;

/// <summary>Reads what is stored for a batch: messages and journal, or why that can't be.</summary>
/// <param name="Messages">The messages that could be read.</param>
/// <param name="Journal">The journal; a fresh one when none is stored.</param>
/// <param name="NewerVersion">The version, when something was written by a newer library; null otherwise.</param>
/// <param name="Error">What is broken; null when all could be read.</param>
/// <param name="BrokenAt">The place in the batch of the first message that is broken; null when none is, or what is broken concerns them all.</param>
internal sealed record StoredBatch(IReadOnlyList<BatchMessage> Messages, RunJournal Journal, int? NewerVersion, string? Error, int? BrokenAt = null)
{
    /// <summary>The version of messages that this library writes and the newest it can read.</summary>
    public const int MessageVersion = 0;

    public static StoredBatch Read(ClaimedBatch batch)
    {
        var messages = new List<BatchMessage>(batch.Entries.Count);
        int? newer = null;
        string? error = null;
        int? broken = null;
        foreach (var (place, entry) in batch.Entries.Index())
        {
            try
            {
                if (VersionOf(entry.Body, "v") is var version and > MessageVersion)
                {
                    newer = version;
                    continue;
                }

                messages.Add(JsonSerializer.Deserialize(entry.Body, StoreJson.Message)!.ToBatchMessage(entry));
            }
            catch (Exception e) when (IsUnreadable(e))
            {
                // Not e's message: it may quote what the user said.
                broken ??= place;
                error ??= $"The stored message with sequence {entry.Sequence} can't be read ({e.GetType().Name}, {entry.Body.Length:N0} characters).";
            }
        }

        if (batch.Entries.Count == 0)
        {
            error = "The batch has no messages.";
        }

        var journal = new RunJournal();
        try
        {
            if (batch.Journal is { } stored)
            {
                if (VersionOf(stored, "version") is var version and > RunJournal.CurrentVersion)
                {
                    newer = version;
                }
                else
                {
                    journal = JsonSerializer.Deserialize(stored, StoreJson.Journal) ?? throw new JsonException("null");
                }
            }
        }
        catch (Exception e) when (e is JsonException or NotSupportedException or InvalidOperationException)
        {
            error = $"The stored journal can't be read ({e.GetType().Name}, {batch.Journal!.Length:N0} characters).";
            broken = null;
        }

        return new StoredBatch(messages, journal, newer, error, broken);
    }

    /// <summary>Reads a message that joins a run.</summary>
    /// <exception cref="InvalidOperationException">It can't be read; the batch fails with it when it is next claimed.</exception>
    public static BatchMessage ReadMessage(StoredEntry entry)
    {
        try
        {
            if (VersionOf(entry.Body, "v") <= MessageVersion)
            {
                return JsonSerializer.Deserialize(entry.Body, StoreJson.Message)!.ToBatchMessage(entry);
            }
        }
        catch (Exception e) when (IsUnreadable(e))
        {
            throw new InvalidOperationException($"The stored message with sequence {entry.Sequence} can't be read ({e.GetType().Name}).", e);
        }

        throw new InvalidOperationException($"The stored message with sequence {entry.Sequence} is of a newer version.");
    }

    /// <summary>The instructions of a batch: its messages' distinct ones in order, or the default when none has any.</summary>
    public static string? Instructions(IEnumerable<BatchMessage> messages, string? byDefault)
    {
        var distinct = messages.Select(m => m.Instructions).Where(text => !string.IsNullOrWhiteSpace(text)).Distinct(StringComparer.Ordinal).ToList();
        return distinct.Count > 0 ? string.Join("\n\n", distinct) : string.IsNullOrWhiteSpace(byDefault) ? null : byDefault;
    }

    private static bool IsUnreadable(Exception e) =>
        e is JsonException or NotSupportedException or NullReferenceException or ArgumentException or InvalidOperationException;

    // Read by itself: a newer version may have changed everything else.
    private static int VersionOf(string json, string property)
    {
        using var document = JsonDocument.Parse(json);
        return document.RootElement.ValueKind == JsonValueKind.Object
            && document.RootElement.TryGetProperty(property, out var version)
            && version.ValueKind == JsonValueKind.Number
            && version.TryGetInt32(out var number)
                ? number
                : 0;
    }
}
