using System.Text.Json.Serialization;
using Microsoft.Extensions.AI;

namespace AssistantQueue.Store;

/// <summary>A message's body as it is stored: what is not in the entry's header.</summary>
internal sealed record StoredMessage
{
    /// <summary>The version that this library writes; zero is left out.</summary>
    [JsonPropertyName("v"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public int Version { get; init; }

    /// <summary>"steer" when the message may join a run under way; the script that lets it join looks for this word at the beginning.</summary>
    [JsonPropertyName("busy"), JsonPropertyOrder(-1), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Busy { get; init; }

    [JsonPropertyName("id")]
    public required string MessageId { get; init; }

    [JsonPropertyName("text"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Text { get; init; }

    [JsonPropertyName("contents"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<AIContent>? Contents { get; init; }

    [JsonPropertyName("instructions"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Instructions { get; init; }

    [JsonPropertyName("metadata"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyDictionary<string, string>? Metadata { get; init; }

    /// <summary>The message as the backend sees it.</summary>
    public BatchMessage ToBatchMessage(StoredEntry entry) => new()
    {
        Sequence = entry.Sequence,
        MessageId = MessageId,
        Contents = Contents ?? [new TextContent(Text)],
        Instructions = Instructions,
        Metadata = Metadata ?? new Dictionary<string, string>(),
        EnqueuedAt = entry.StoredAt,
    };
}
