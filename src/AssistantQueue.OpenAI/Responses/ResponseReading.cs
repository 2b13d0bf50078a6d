using System.Text.Json;
using AssistantQueue.OpenAI.Content;
using AssistantQueue.OpenAI.Errors;
using Microsoft.Extensions.AI;

namespace AssistantQueue.OpenAI.Responses;

/// <summary>Reads a response object: whether it is over, what it answers, why it failed.</summary>
internal static class ResponseReading
{
    public static bool IsOver(JsonElement response) => response.Text("status") is not ("queued" or "in_progress");

    /// <summary>The functions that the response asks for.</summary>
    public static IReadOnlyList<JournalToolCall> Calls(JsonElement response) => [.. response.List("output").Where(IsCall).Select(Call)];

    public static bool IsCall(JsonElement item) => item.Text("type") == "function_call";

    public static JournalToolCall Call(JsonElement item) =>
        new() { CallId = item.Text("call_id") ?? "", Name = item.Text("name") ?? "?", Arguments = item.Text("arguments") };

    /// <summary>Why an <c>incomplete</c> response ends early; null for other responses.</summary>
    public static string? IncompleteReason(JsonElement response) =>
        response.Text("status") == "incomplete" ? response.Get("incomplete_details")?.Text("reason") ?? "unknown" : null;

    /// <summary>The error of a response that ended without a reply; null when there is one.</summary>
    public static ApiError? Error(JsonElement response) => response.Text("status") switch
    {
        "completed" => null,
        "incomplete" when IncompleteReason(response) == "content_filter" =>
            new() { Status = 200, Code = "content_filter", Message = "The reply was held back by the API's content filter." },
        "incomplete" => null,
        "failed" => response.Get("error") is { } error ? ApiError.From(error) : new() { Status = 200, Message = "The response failed without saying why." },
        "cancelled" => new() { Status = 200, Code = ErrorMap.Cancelled, Message = "The response was cancelled at the API." },
        var status => new() { Status = 200, Code = ErrorMap.Garbage, Message = $"The response has the unknown status '{status}'." },
    };

    /// <summary>What the response says and shows.</summary>
    public static List<AIContent> Contents(JsonElement response) =>
        [.. Messages(response).SelectMany(m => m), .. response.List("output").Select(ReplyParts.OfImage).OfType<AIContent>()];

    public static RunCompleted Reply(JsonElement response)
    {
        var contents = Contents(response);
        if (IncompleteReason(response) is { } reason)
        {
            ReplyParts.MarkIncomplete(contents, reason);
        }

        return new()
        {
            Text = ReplyParts.Text(Messages(response)),
            Contents = contents,
            RunId = response.Text("id"),
            Model = response.Text("model"),
            Usage = ReplyParts.Usage(response),
        };
    }

    private static IEnumerable<List<AIContent>> Messages(JsonElement response) =>
        response.List("output").Where(i => i.Text("type") == "message").Select(i => ReplyParts.OfItem(i).ToList());
}
