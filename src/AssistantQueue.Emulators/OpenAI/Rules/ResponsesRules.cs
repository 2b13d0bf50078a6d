using System.Text.Json.Nodes;

namespace AssistantQueue.Emulators;

/// <summary>What the bodies of the Responses and Conversations calls may hold.</summary>
internal static class ResponsesRules
{
    private const int MaxText = AssistantsRules.MaxText;

    private static readonly Rule Id = Is.OrNull(Is.Text(1, 64));

    private static readonly Rule Status = Is.OrNull(Is.Choice("in_progress", "completed", "incomplete"));

    private static readonly Rule Detail = Is.Choice("auto", "low", "high", "original");

    // the published schema wants detail, strict and parameters; a client that leaves them out is told so here, not in production
    private static readonly Rule InputContent = Is.ByType(new()
    {
        ["input_text"] = Is.Only(Type, new("text", Is.Text(max: MaxText), true), new("prompt_cache_breakpoint", Is.Anything)),
        ["input_image"] = Is.Only(Type, new("detail", Detail, true), new("image_url", Is.OrNull(Is.Text(1, 20_971_520))), new("file_id", Id), new("prompt_cache_breakpoint", Is.Anything)),
        ["input_file"] = Is.Only(Type, new("file_id", Id), new("file_url", Is.Text(1)), new("file_data", Is.Text(1, 73_400_320)), new("filename", Is.Text(1)), new("detail", Is.Choice("auto", "low", "high")), new("prompt_cache_breakpoint", Is.Anything)),
    });

    private static readonly Rule OutputContent = Is.ByType(new()
    {
        ["output_text"] = Is.Only(Type, new("text", Is.Text(max: MaxText), true), new("annotations", Is.ListOf(Is.Map)), new("logprobs", Is.ListOf(Is.Map))),
        ["refusal"] = Is.Only(Type, new("refusal", Is.Text(max: MaxText), true)),
    });

    private static readonly Rule Message = (path, value) => Is.Only(
        new("type", Is.Choice("message")),
        new("id", Id),
        new("role", Is.Choice("user", "assistant", "system", "developer"), true),
        new("status", Status),
        new("phase", Is.OrNull(Is.Choice("commentary", "final_answer"))),
        new("content", Is.TextOr(Is.Text(max: MaxText), Is.ListOf(value.Text("role") == "assistant" ? OutputContent : InputContent)), true))(path, value);

    // the emulator's own limit: of the many item types, those that a chat with functions needs
    private static readonly Rule Item = Is.ByType(
        new()
        {
            ["message"] = Message,
            ["function_call"] = Is.Only(Type, new("id", Id), new("call_id", Is.Text(1, 64), true), new("name", Is.Text(1, 128), true), new("namespace", Is.Text(1, 64)), new("arguments", Is.Text(max: MaxText), true), new("status", Status)),
            ["function_call_output"] = Is.Only(Type, new("id", Id), new("call_id", Is.Text(1, 64), true), new("name", Is.OrNull(Is.Text(1, 128))), new("output", Is.TextOr(Is.Text(max: MaxText), Is.ListOf(InputContent)), true), new("status", Status)),
            ["item_reference"] = Is.Only(Type, new("id", Is.Text(1), true)),
            ["reasoning"] = Is.Only(Type, new("id", Is.Text(1), true), new("summary", Is.ListOf(Is.Map), true), new("content", Is.ListOf(Is.Map)), new("encrypted_content", Is.OrNull(Is.Text())), new("status", Status)),
        },
        otherwise: "message");

    private static readonly Rule Function = Is.Only(
        Type,
        new("name", Is.Text(1, 128), true),
        new("description", Is.OrNull(Is.Text())),
        new("parameters", Is.OrNull(Is.Map), true),
        new("strict", Is.OrNull(Is.Flag), true),
        new("output_schema", Is.OrNull(Is.Map)),
        new("defer_loading", Is.Flag),
        new("allowed_callers", Is.OrNull(Is.ListOf(Is.Text()))));

    private static readonly Dictionary<string, Rule> HostedTools = new[]
    {
        "function", "file_search", "computer", "computer_use_preview", "web_search", "web_search_preview", "mcp", "code_interpreter", "image_generation", "local_shell", "shell", "custom", "namespace", "tool_search", "apply_patch",
    }.ToDictionary(t => t, _ => Is.Anything);

    private static readonly Rule Tool = (path, value) =>
    {
        Is.Map(path, value);
        (value.Text("type") == "function" ? Function : Is.ByType(HostedTools))(path, value);
    };

    private static readonly Rule Conversation = Is.OrNull(Is.TextOr(Is.Text(1), Is.Only(new Field("id", Is.Text(1), true))));

    private static readonly Rule Create = Is.Only(
        new("model", Is.Text(1), true),
        new("input", Is.TextOr(Is.Text(max: MaxText), Is.ListOf(Item))),
        new("instructions", Is.OrNull(Is.Text(max: MaxText))),
        new("conversation", Conversation),
        new("previous_response_id", Is.OrNull(Is.Text(1))),
        new("background", Is.OrNull(Is.Flag)),
        new("store", Is.OrNull(Is.Flag)),
        new("stream", Is.OrNull(Is.Flag)),
        new("stream_options", Is.OrNull(Is.Only(new Field("include_obfuscation", Is.Flag)))),
        new("metadata", Is.Metadata),
        new("tools", Is.ListOf(Tool)),
        new("tool_choice", Is.TextOr(Is.Choice("none", "auto", "required"), Is.Map)),
        new("parallel_tool_calls", Is.OrNull(Is.Flag)),
        new("max_output_tokens", Is.OrNull(Is.Integer(16))),
        new("max_tool_calls", Is.OrNull(Is.Integer())),
        new("temperature", Is.OrNull(Is.Number(0, 2))),
        new("top_p", Is.OrNull(Is.Number(0, 1))),
        new("top_logprobs", Is.OrNull(Is.Integer(0, 20))),
        new("text", Is.Only(new("format", Is.Map), new("verbosity", Is.OrNull(Is.Choice("low", "medium", "high"))))),
        new("reasoning", Is.OrNull(Is.Map)),
        new("truncation", Is.OrNull(Is.Choice("auto", "disabled"))),
        new("context_management", Is.OrNull(Is.ListOf(Is.Map, 1))),
        new("include", Is.OrNull(Is.ListOf(Is.Choice("file_search_call.results", "web_search_call.results", "web_search_call.action.sources", "message.input_image.image_url", "computer_call_output.output.image_url", "code_interpreter_call.outputs", "reasoning.encrypted_content", "message.output_text.logprobs")))),
        new("service_tier", Is.OrNull(Is.Choice("auto", "default", "flex", "scale", "priority", "fast", "ultrafast"))),
        new("user", Is.Text()),
        new("safety_identifier", Is.OrNull(Is.Text(max: 64))),
        new("prompt_cache_key", Is.OrNull(Is.Text())),
        new("prompt_cache_options", Is.Map),
        new("prompt_cache_retention", Is.OrNull(Is.Choice("in_memory", "24h"))),
        new("prompt", Is.OrNull(Is.Map)),
        new("moderation", Is.OrNull(Is.Map)));

    private static readonly Rule NewConversation = Is.Only(new("metadata", Is.Metadata), new("items", Is.OrNull(Is.ListOf(Item, max: 20))));

    private static readonly Rule ConversationChange = Is.Only(new Field("metadata", Is.Metadata, true));

    private static readonly Rule Items = Is.Only(new Field("items", Is.ListOf(Item, max: 20), true));

    private static Field Type => new("type", Is.Anything, true);

    /// <summary>Checks a new response, its fields and how they go together.</summary>
    public static void CreateResponse(JsonObject body)
    {
        Create("", body);
        if (body["conversation"] is not null && body["previous_response_id"] is not null)
        {
            throw ApiException.Together("previous_response_id", "conversation");
        }

        if (body.Flag("background") && !body.Flag("store", otherwise: true))
        {
            throw ApiException.BackgroundWithoutStore();
        }
    }

    public static void CreateConversation(JsonObject body) => NewConversation("", body);

    public static void UpdateConversation(JsonObject body) => ConversationChange("", body);

    public static void CreateItems(JsonObject body) => Items("", body);
}
