using System.Text.Json.Serialization;
using AssistantQueue;

namespace WebChat.Api;

/// <summary>The body of a posted message. What is missing or wrong is said by the queue's own rules.</summary>
public sealed record NewMessage
{
    public string? Text { get; init; }

    /// <summary>Instructions for the run that answers this message.</summary>
    public string? Instructions { get; init; }

    /// <summary>The caller's own id of the message; posting it again stores nothing and gives the first receipt.</summary>
    public string? MessageId { get; init; }

    /// <summary>How long the thread waits for more messages: seconds as a number, or a string like "00:01:30".</summary>
    [JsonConverter(typeof(DelayConverter))]
    public TimeSpan? Delay { get; init; }

    /// <summary>What the message does to a run under way: "Collect", "Interrupt", "Reject" or "Steer".</summary>
    public BusyAction? WhenBusy { get; init; }
}
