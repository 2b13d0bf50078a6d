using System.Text.Json.Nodes;

namespace AssistantQueue.Emulators;

/// <summary>Makes the message objects of the Assistants API.</summary>
internal static class MessageObjects
{
    public static JsonObject FromUser(EmulatorCore core, string threadId, JsonObject spec) => new()
    {
        ["id"] = Wire.NewId("msg_"),
        ["object"] = "thread.message",
        ["created_at"] = core.Seconds,
        ["thread_id"] = threadId,
        ["status"] = "completed",
        ["incomplete_details"] = null,
        ["completed_at"] = core.Seconds,
        ["incomplete_at"] = null,
        ["role"] = spec.Text("role"),
        ["content"] = Content(spec["content"]!),
        ["assistant_id"] = null,
        ["run_id"] = null,
        ["attachments"] = spec.Copy("attachments") ?? new JsonArray(),
        ["metadata"] = spec.Copy("metadata") ?? new JsonObject(),
    };

    public static JsonObject FromModel(EmulatorCore core, RunEntry run) => new()
    {
        ["id"] = Wire.NewId("msg_"),
        ["object"] = "thread.message",
        ["created_at"] = core.Seconds,
        ["thread_id"] = run.Body.Text("thread_id"),
        ["status"] = "in_progress",
        ["incomplete_details"] = null,
        ["completed_at"] = null,
        ["incomplete_at"] = null,
        ["role"] = "assistant",
        ["content"] = new JsonArray(),
        ["assistant_id"] = run.Body.Text("assistant_id"),
        ["run_id"] = run.Id,
        ["attachments"] = new JsonArray(),
        ["metadata"] = new JsonObject(),
    };

    public static JsonObject TextPart(string text) => new()
    {
        ["type"] = "text",
        ["text"] = new JsonObject { ["value"] = text, ["annotations"] = new JsonArray() },
    };

    /// <summary>A text that ends with the mark of a file that it cites.</summary>
    public static JsonObject CitingPart(string text, string file)
    {
        const string Mark = "【0†source】";
        var part = TextPart(text + Mark);
        part["text"]!["annotations"] = new JsonArray(new JsonObject
        {
            ["type"] = "file_citation",
            ["text"] = Mark,
            ["file_citation"] = new JsonObject { ["file_id"] = file },
            ["start_index"] = text.Length,
            ["end_index"] = text.Length + Mark.Length,
        });
        return part;
    }

    /// <summary>The users' messages among these, as the ledger keeps them.</summary>
    public static IEnumerable<LedgerMessage> ForLedger(IEnumerable<JsonObject> messages, string threadId, LedgerRun? run) => messages
        .Where(m => m.Text("role") == "user")
        .Select(m => new LedgerMessage
        {
            Sequence = 0,
            Text = LedgerLines.TextOf(m),
            ThreadKey = threadId,
            ConversationId = threadId,
            RunId = run?.Id,
            BatchId = run?.BatchId ?? m.Metadata()?.GetValueOrDefault("batch_id"),
            Metadata = m.Metadata(),
        });

    private static JsonArray Content(JsonNode content) => content is JsonArray parts
        ? Wire.ArrayOf(parts.Select(Part))
        : new JsonArray(TextPart(content.GetValue<string>()));

    private static JsonNode Part(JsonNode? part)
    {
        if (part.Text("text") is { } text)
        {
            return TextPart(text);
        }

        var copy = part!.DeepClone();
        var image = copy.Child("image_url") ?? copy.Child("image_file")!;
        image["detail"] ??= "auto";
        return copy;
    }
}
