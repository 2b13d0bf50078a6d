using System.Text.Json.Nodes;

namespace AssistantQueue.Emulators;

/// <summary>Makes the items of responses and conversations: input as it is stored, output as the model says it.</summary>
internal static class ItemObjects
{
    /// <summary>The items of an input, with ids and all fields; references are looked up.</summary>
    /// <param name="input">A text, a list of items, or null.</param>
    /// <param name="find">Finds an item that is referred to.</param>
    public static List<JsonObject> FromInput(JsonNode? input, Func<string, JsonObject?> find) => input switch
    {
        null => [],
        JsonArray list => [.. list.Select(i => FromInput(i!.AsObject(), find))],
        _ => [Message(new JsonObject { ["role"] = "user", ["content"] = input.GetValue<string>() })],
    };

    public static JsonObject ModelMessage(string text, string status, string? cited = null) => new()
    {
        ["id"] = Wire.NewId("msg_"),
        ["type"] = "message",
        ["status"] = status,
        ["role"] = "assistant",
        ["content"] = status == "in_progress" ? new JsonArray() : new JsonArray(OutputText(text, cited)),
    };

    public static JsonObject ModelCall(WantedCall call) => new()
    {
        ["id"] = Wire.NewId("fc_"),
        ["type"] = "function_call",
        ["status"] = "completed",
        ["arguments"] = call.Arguments,
        ["call_id"] = Wire.NewId("call_"),
        ["name"] = call.Name,
    };

    public static JsonObject OutputText(string text, string? cited = null) => new()
    {
        ["type"] = "output_text",
        ["text"] = text,
        ["annotations"] = cited is null ? [] : new JsonArray(new JsonObject { ["type"] = "file_citation", ["file_id"] = cited, ["index"] = text.Length, ["filename"] = cited + ".txt" }),
        ["logprobs"] = new JsonArray(),
    };

    public static bool IsUser(JsonObject item) => item.Text("type") == "message" && item.Text("role") == "user";

    public static string OutputOf(JsonObject item) => item["output"] switch
    {
        JsonArray parts => string.Join("\n", parts.Select(p => p.Text("text") ?? $"[{p.Text("type")}]")),
        JsonValue value => value.GetValue<string>(),
        _ => "",
    };

    /// <summary>One item as the model sees it; null for what it doesn't.</summary>
    public static Turn? TurnOf(JsonObject item, bool fresh) => item.Text("type") switch
    {
        "message" => new(
            item.Text("role") switch { "user" => TurnKind.User, "assistant" => TurnKind.Assistant, _ => TurnKind.System },
            LedgerLines.TextOf(item),
            fresh),
        "function_call" => new(TurnKind.Call, item.Text("arguments")!, fresh, item.Text("call_id"), item.Text("name")),
        "function_call_output" => new(TurnKind.Output, OutputOf(item), fresh, item.Text("call_id")),
        _ => null,
    };

    private static JsonObject FromInput(JsonObject spec, Func<string, JsonObject?> find)
    {
        switch (spec.Text("type") ?? "message")
        {
            case "message":
                return Message(spec);
            case "item_reference":
                var id = spec.Text("id")!;
                return (find(id) ?? throw ApiException.NoItem(id)).DeepClone().AsObject();
            default:
                var item = spec.DeepClone().AsObject();
                item["id"] = spec.Text("id") ?? Wire.NewId(spec.Text("type") == "function_call" ? "fc_" : "fco_");
                if (spec.Text("type") != "reasoning")
                {
                    item["status"] = spec.Text("status") ?? "completed";
                }

                return item;
        }
    }

    private static JsonObject Message(JsonObject spec)
    {
        var assistant = spec.Text("role") == "assistant";
        var item = new JsonObject
        {
            ["id"] = spec.Text("id") ?? Wire.NewId("msg_"),
            ["type"] = "message",
            ["status"] = spec.Text("status") ?? "completed",
            ["role"] = spec.Text("role"),
        };
        if (spec["content"] is JsonArray parts)
        {
            item["content"] = Wire.ArrayOf(parts.Select(p => p.Text("type") == "output_text" ? OutputText(p.Text("text")!) : p!.DeepClone()));
        }
        else
        {
            var text = spec.Text("content")!;
            item["content"] = new JsonArray(assistant ? OutputText(text) : new JsonObject { ["type"] = "input_text", ["text"] = text });
        }

        return item;
    }
}
