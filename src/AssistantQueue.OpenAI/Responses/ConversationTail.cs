using System.Text.Json;
using AssistantQueue.OpenAI.Content;
using Microsoft.Extensions.AI;

namespace AssistantQueue.OpenAI.Responses;

/// <summary>Finds a batch's messages, and the reply to them, among a conversation's newest items.</summary>
internal static class ConversationTail
{
    /// <param name="items">The items, oldest first.</param>
    /// <param name="isComplete">Whether these are all items since the last one seen. When that one is gone, only the very end of the conversation counts: "ok" was surely said before.</param>
    /// <param name="inputs">The messages to find; none when the API is known to have them.</param>
    /// <param name="model">The model to name in a reply.</param>
    public static Tail Find(IReadOnlyList<JsonElement> items, bool isComplete, IReadOnlyList<RunInput> inputs, string? model)
    {
        var wanted = inputs.Select(input => input.Contents.Select(InputParts.Fingerprint).ToList()).ToList();
        var users = items.Select((item, index) => (item, index)).Where(x => IsUserMessage(x.item)).ToList();
        for (var first = 0; first + wanted.Count <= users.Count; first++)
        {
            var isLast = first + wanted.Count == users.Count;
            if ((isComplete || isLast) && wanted.Select((parts, i) => IsSame(users[first + i].item, parts)).All(same => same))
            {
                var end = wanted.Count == 0 ? users.Count - 1 : first + wanted.Count - 1;
                var from = end < 0 ? 0 : users[end].index + 1;
                var to = end + 1 < users.Count ? users[end + 1].index : items.Count;
                return new Tail(HasInputs: wanted.Count > 0, Reply(items.Skip(from).Take(to - from), model));
            }
        }

        return Tail.Nothing;
    }

    private static RunCompleted? Reply(IEnumerable<JsonElement> items, string? model)
    {
        var messages = items.Where(IsFinishedReply).Select(item => ReplyParts.OfItem(item).ToList()).Where(parts => parts.Count > 0).ToList();
        return messages.Count == 0 ? null : new() { Text = ReplyParts.Text(messages), Contents = [.. messages.SelectMany(m => m)], Model = model };
    }

    // a part of a reply, left by a response that was cancelled or failed, is none
    private static bool IsFinishedReply(JsonElement item) =>
        item.Text("type") == "message" && item.Text("role") == "assistant" && item.Text("status") is null or "completed";

    private static bool IsUserMessage(JsonElement item) => item.Text("type") == "message" && item.Text("role") == "user";

    private static bool IsSame(JsonElement item, List<string> wanted) => item.List("content").Select(Fingerprint).SequenceEqual(wanted);

    private static string Fingerprint(JsonElement part) => part.Text("type") switch
    {
        "input_text" => "input_text:" + part.Text("text"),
        var type => type + ":",
    };
}
