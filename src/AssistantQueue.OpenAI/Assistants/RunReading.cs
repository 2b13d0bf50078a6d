using System.Text.Json;
using AssistantQueue.OpenAI.Content;
using AssistantQueue.OpenAI.Errors;

namespace AssistantQueue.OpenAI.Assistants;

/// <summary>Reads a run object: whether it is over, whose it is, why it failed. The status counts, not the name of the event that brought it.</summary>
internal static class RunReading
{
    /// <summary>Whether nothing more happens by itself: the run has ended, or waits for tools.</summary>
    public static bool IsOver(JsonElement run) => run.Text("status") is not ("queued" or "in_progress" or "cancelling");

    public static bool WaitsForTools(JsonElement run) => run.Text("status") == "requires_action";

    public static bool IsEnded(JsonElement run) => IsOver(run) && !WaitsForTools(run);

    public static bool IsOf(JsonElement run, string batchId) => run.Get("metadata")?.Text(RunMetadata.BatchId) == batchId;

    /// <summary>Whether the queue posted the run for this thread, with whichever batch.</summary>
    public static bool IsOf(JsonElement run, BatchRun batch) =>
        run.Get("metadata") is { } metadata && metadata.Text(RunMetadata.BatchId) is not null
        && metadata.Text(RunMetadata.ThreadKey) == RunMetadata.Cut(batch.ThreadId) && (metadata.Text(RunMetadata.Queue) ?? "") == RunMetadata.Cut(batch.QueueName);

    /// <summary>The functions that the run asks for and waits for.</summary>
    public static IReadOnlyList<JournalToolCall> Calls(JsonElement run) =>
    [
        .. (run.Get("required_action")?.Get("submit_tool_outputs")?.List("tool_calls") ?? []).Select(call => new JournalToolCall
        {
            CallId = call.Text("id") ?? "",
            Name = call.Get("function")?.Text("name") ?? "?",
            Arguments = call.Get("function")?.Text("arguments"),
        }),
    ];

    /// <summary>Whether the run still waits for the outputs of these calls.</summary>
    public static bool WaitsFor(JsonElement run, IEnumerable<JournalToolCall> calls) =>
        WaitsForTools(run) && Calls(run).Select(c => c.CallId).ToHashSet().SetEquals(calls.Select(c => c.CallId));

    /// <summary>Why an <c>incomplete</c> run ends early; null for other runs.</summary>
    public static string? IncompleteReason(JsonElement run) =>
        run.Text("status") == "incomplete" ? run.Get("incomplete_details")?.Text("reason") ?? "unknown" : null;

    /// <summary>The error of a run that ended without a reply; null when there is one.</summary>
    public static ApiError? Error(JsonElement run) => run.Text("status") switch
    {
        "completed" => null,
        "incomplete" when IncompleteReason(run) == "content_filter" =>
            new() { Status = 200, Code = "content_filter", Message = "The reply was held back by the API's content filter." },
        "incomplete" => null,
        "failed" => run.Get("last_error") is { } error ? ApiError.From(error) : new() { Status = 200, Message = "The run failed without saying why." },
        "expired" => new() { Status = 200, Message = "The run expired: the API gave it ten minutes." },
        "cancelled" => new() { Status = 200, Code = ErrorMap.Cancelled, Message = "The run was cancelled at the API." },
        var status => new() { Status = 200, Code = ErrorMap.Garbage, Message = $"The run has the unknown status '{status}'." },
    };

    /// <param name="run">The run.</param>
    /// <param name="messages">Its messages, oldest first.</param>
    public static RunCompleted Reply(JsonElement run, IEnumerable<JsonElement> messages)
    {
        var parts = messages.Select(message => ReplyParts.OfMessage(message).ToList()).ToList();
        var contents = parts.SelectMany(p => p).ToList();
        if (IncompleteReason(run) is { } reason)
        {
            ReplyParts.MarkIncomplete(contents, reason);
        }

        return new()
        {
            Text = ReplyParts.Text(parts),
            Contents = contents,
            RunId = run.Text("id"),
            Model = run.Text("model"),
            Usage = ReplyParts.Usage(run),
        };
    }
}
