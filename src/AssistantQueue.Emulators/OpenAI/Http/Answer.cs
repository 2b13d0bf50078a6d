using System.Text.Json.Nodes;

namespace AssistantQueue.Emulators;

/// <summary>What a handler answers when its work is done: a body, or a stream to follow.</summary>
internal abstract record Answer
{
    public static Answer Json(JsonNode node) => new JsonAnswer(Wire.Utf8(node));
}

/// <summary>A body, serialised while the state was locked.</summary>
internal sealed record JsonAnswer(byte[] Utf8) : Answer;

/// <summary>Events to send from a position on; <paramref name="Lost"/> is called when the client goes away before the end.</summary>
internal sealed record StreamAnswer(EventLog Events, int From, bool EndsWithDone, Action? Lost = null) : Answer;
