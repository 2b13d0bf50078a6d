using System.Text.Json.Serialization;

namespace AssistantQueue.Store;

/// <summary>Something that a run tells while it is under way, as it goes over the wire to watchers.</summary>
internal sealed record LiveItem
{
    /// <summary>Its place among the run's items, from 1.</summary>
    [JsonPropertyName("i")]
    public required int Index { get; init; }

    [JsonPropertyName("k")]
    public required LiveKind Kind { get; init; }

    /// <summary>Where the text begins in the run's text.</summary>
    [JsonPropertyName("o"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public int Offset { get; init; }

    /// <summary>The text, or a call's arguments.</summary>
    [JsonPropertyName("t")]
    public string? Text { get; init; }

    [JsonPropertyName("c")]
    public string? CallId { get; init; }

    [JsonPropertyName("n")]
    public string? Name { get; init; }

    [JsonPropertyName("e"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool IsError { get; init; }
}

internal enum LiveKind
{
    Text,
    ToolCalled,
    ToolAnswered,

    /// <summary>Items up to this one are no longer kept.</summary>
    Skipped,
}
