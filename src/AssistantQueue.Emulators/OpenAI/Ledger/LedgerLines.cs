using System.Text.Json.Nodes;

namespace AssistantQueue.Emulators;

/// <summary>Reads from requests and objects what the ledger keeps of them. Pure.</summary>
internal static class LedgerLines
{
    public static LedgerRequest Request(EmulatorCore core, Exchange exchange, string raw)
    {
        var body = exchange.Body;
        return new LedgerRequest
        {
            Sequence = 0,
            ArrivedAt = core.Now,
            Operation = exchange.Operation,
            Method = exchange.Http.Request.Method,
            Path = exchange.Http.Request.Path + exchange.Http.Request.QueryString,
            ConversationId = exchange.ArgumentOrNull("thread_id") ?? exchange.ArgumentOrNull("conversation_id") ?? body.Text("conversation") ?? body.Child("conversation").Text("id"),
            RunId = exchange.ArgumentOrNull("run_id") ?? exchange.ArgumentOrNull("response_id"),
            Metadata = body.Metadata(),
            Texts = [.. Texts(exchange.Operation, body)],
            Body = core.Options.KeepBodies && raw.Length > 0 ? raw : null,
        };
    }

    /// <summary>The text of a message in any of the forms of both APIs.</summary>
    public static string TextOf(JsonNode? message) => (message as JsonObject)?["content"] switch
    {
        JsonValue value when value.TryGetValue<string>(out var text) => text,
        JsonArray parts => string.Join("\n", parts.Select(PartOf)),
        _ => "",
    };

    private static string PartOf(JsonNode? part) => part.Text("text") ?? part.Child("text").Text("value") ?? part.Text("refusal") ?? $"[{part.Text("type")}]";

    private static IEnumerable<string> Texts(string operation, JsonObject body) => operation switch
    {
        "create_message" => UserTexts([body]),
        "create_thread" => UserTexts(body.List("messages")),
        "create_thread_and_run" => UserTexts(body.Child("thread").List("messages")),
        "create_run" => UserTexts(body.List("additional_messages")),
        "create_conversation" or "create_items" => UserTexts(body.List("items")),
        "create_response" => body.Text("input") is { } text ? [text] : UserTexts(body.List("input")),
        _ => [],
    };

    private static IEnumerable<string> UserTexts(IEnumerable<JsonNode?>? messages) => (messages ?? []).Where(m => m.Text("role") == "user").Select(TextOf);
}
