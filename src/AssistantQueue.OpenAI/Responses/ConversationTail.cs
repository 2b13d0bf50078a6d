using System.Text;
using System.Text.Json;
using AssistantQueue.OpenAI.Content;
using Microsoft.Extensions.AI;

namespace AssistantQueue.OpenAI.Responses;

/// <summary>Finds what a post carried, and the answer to it, among a conversation's newest items.</summary>
internal static class ConversationTail
{
    /// <param name="items">The items, oldest first.</param>
    /// <param name="isComplete">Whether these are all items since the last one seen. When that one is gone, only the very end of the conversation counts: "ok" was surely said before.</param>
    /// <param name="inputs">The messages to find; none when the API is known to have them.</param>
    /// <param name="outputs">The calls whose outputs the post carried, by their ids, each with its output. An output that isn't ours was put in its place by another batch.</param>
    /// <param name="isUnknown">Whether a post of unknown outcome is looked for. Else, with no messages to find, no text can be the answer: there was no question.</param>
    /// <param name="model">The model to name in a reply.</param>
    public static Tail Find(
        IReadOnlyList<JsonElement> items, bool isComplete, IReadOnlyList<RunInput> inputs, IReadOnlyList<KeyValuePair<string, string?>> outputs, bool isUnknown, string? model)
    {
        var wanted = inputs.Select(input => input.Contents.Select(InputParts.Fingerprint).ToList()).ToList();
        if (outputs.Count > 0)
        {
            var places = outputs.Select(o => IndexOf(items, item => IsOutput(item) && item.Text("call_id") == o.Key && IsSameOutput(item, o.Value))).ToList();
            return places.Contains(-1) ? Tail.Nothing : Behind(items, SkipJoined(items, places.Max() + 1, wanted), true, model);
        }

        var users = items.Select((item, index) => (item, index)).Where(x => IsUserMessage(x.item)).ToList();
        for (var first = 0; first + wanted.Count <= users.Count; first++)
        {
            var isLast = first + wanted.Count == users.Count;
            if ((isComplete || isLast) && wanted.Select((parts, i) => IsSame(users[first + i].item, parts)).All(same => same))
            {
                var end = wanted.Count == 0 ? users.Count - 1 : first + wanted.Count - 1;
                var tail = Behind(items, end < 0 ? 0 : users[end].index + 1, wanted.Count > 0, model);
                return wanted.Count > 0 || isUnknown ? tail : tail with { Reply = null };
            }
        }

        return Tail.Nothing;
    }

    /// <summary>The ids of the calls that have outputs among these items.</summary>
    public static IReadOnlySet<string> Answered(IEnumerable<JsonElement> items) => items.Where(IsOutput).Select(item => item.Text("call_id") ?? "").ToHashSet();

    // the answer stands between what was posted and the next user's message: calls that nobody has answered, or else the text behind the last of them
    private static Tail Behind(IReadOnlyList<JsonElement> items, int from, bool hasInputs, string? model)
    {
        var answer = items.Skip(from).TakeWhile(item => !IsUserMessage(item)).ToList();
        var answered = Answered(items);
        var calls = answer.Where(ResponseReading.IsCall).Where(item => !answered.Contains(item.Text("call_id") ?? "")).Select(ResponseReading.Call).ToList();
        if (calls.Count > 0)
        {
            // what stands before answered calls was noted with them
            return new Tail(hasInputs, null, calls, Reply(answer.Skip(answer.FindLastIndex(IsOutput) + 1), model)?.Contents ?? []);
        }

        var behindCalls = answer.FindLastIndex(item => ResponseReading.IsCall(item) || IsOutput(item)) + 1;
        return new Tail(hasInputs, Reply(answer.Skip(behindCalls), model), [], []);
    }

    private static RunCompleted? Reply(IEnumerable<JsonElement> items, string? model)
    {
        var messages = items.Where(IsFinishedReply).Select(item => ReplyParts.OfItem(item).ToList()).Where(parts => parts.Count > 0).ToList();
        return messages.Count == 0 ? null : new() { Text = ReplyParts.Text(messages), Contents = [.. messages.SelectMany(m => m)], Model = model };
    }

    private static int IndexOf(IReadOnlyList<JsonElement> items, Predicate<JsonElement> condition)
    {
        for (var i = items.Count - 1; i >= 0; i--)
        {
            if (condition(items[i]))
            {
                return i;
            }
        }

        return -1;
    }

    // messages that joined the run went with the outputs; a later batch's did not
    private static int SkipJoined(IReadOnlyList<JsonElement> items, int from, List<List<string>> joined)
    {
        for (var i = 0; i < joined.Count && from < items.Count && IsUserMessage(items[from]) && IsSame(items[from], joined[i]); i++)
        {
            from++;
        }

        return from;
    }

    // a part of a reply, left by a response that was cancelled or failed, is none
    private static bool IsFinishedReply(JsonElement item) =>
        item.Text("type") == "message" && item.Text("role") == "assistant" && item.Text("status") is null or "completed";

    private static bool IsUserMessage(JsonElement item) => item.Text("type") == "message" && item.Text("role") == "user";

    private static bool IsOutput(JsonElement item) => item.Text("type") == "function_call_output";

    // null: too long for the journal, so only what stands in for a lost output is known not to be it
    private static bool IsSameOutput(JsonElement item, string? output)
    {
        var found = item.Text("output") ?? string.Concat(item.List("output").Select(part => part.Text("text")));
        return output is null ? found != OpenCalls.LostOutput : found == Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(output));
    }

    private static bool IsSame(JsonElement item, List<string> wanted) => item.List("content").Select(Fingerprint).SequenceEqual(wanted);

    private static string Fingerprint(JsonElement part) => part.Text("type") switch
    {
        "input_text" => "input_text:" + part.Text("text"),
        var type => type + ":",
    };
}
