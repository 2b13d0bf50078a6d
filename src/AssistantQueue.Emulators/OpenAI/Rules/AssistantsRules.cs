using System.Text.Json.Nodes;

namespace AssistantQueue.Emulators;

/// <summary>What the bodies of the Assistants calls may hold.</summary>
internal static class AssistantsRules
{
    public const int MaxText = 10_485_760;

    private static readonly Rule Detail = Is.Choice("auto", "low", "high");

    private static readonly Rule Content = Is.TextOr(Is.Text(max: MaxText), Is.ListOf(
        Is.ByType(new()
        {
            ["text"] = Is.Only(Type, new("text", Is.Text(max: MaxText), true)),
            ["image_url"] = Is.Only(Type, new("image_url", Is.Only(new("url", Is.Text(1), true), new("detail", Detail)), true)),
            ["image_file"] = Is.Only(Type, new("image_file", Is.Only(new("file_id", Is.Text(1), true), new("detail", Detail)), true)),
        }),
        min: 1));

    private static readonly Rule FunctionTool = Is.Only(
        Type,
        new("function", Is.Only(
            new("name", Is.Text(1, 64), true),
            new("description", Is.Text()),
            new("parameters", Is.Map),
            new("strict", Is.OrNull(Is.Flag))), true));

    private static readonly Rule FileSearch = Is.Only(Type, new("file_search", Is.Map));

    private static readonly Rule CodeInterpreter = Is.Only(Type);

    private static readonly Rule Attachments = Is.OrNull(Is.ListOf(Is.Only(
        new("file_id", Is.Text(1), true),
        new("tools", Is.ListOf(Is.ByType(new() { ["code_interpreter"] = CodeInterpreter, ["file_search"] = CodeInterpreter })), true))));

    private static readonly Rule Message = Is.Only(
        new("role", Is.Choice("user", "assistant"), true),
        new("content", Content, true),
        new("attachments", Attachments),
        new("metadata", Is.Metadata));

    private static readonly Rule Thread = Is.Only(
        new("messages", Is.ListOf(Message)),
        new("tool_resources", Is.OrNull(Is.Map)),
        new("metadata", Is.Metadata));

    private static readonly Field[] RunFields =
    [
        new("assistant_id", Is.Text(1), true),
        new("model", Is.OrNull(Is.Text(1))),
        new("instructions", Is.OrNull(Is.Text(max: 256_000))),
        new("tools", Is.OrNull(Is.ListOf(Is.ByType(new() { ["function"] = FunctionTool, ["file_search"] = FileSearch, ["code_interpreter"] = CodeInterpreter }), max: 20))),
        new("metadata", Is.Metadata),
        new("temperature", Is.OrNull(Is.Number(0, 2))),
        new("top_p", Is.OrNull(Is.Number(0, 1))),
        new("stream", Is.OrNull(Is.Flag)),
        new("max_prompt_tokens", Is.OrNull(Is.Integer(256))),
        new("max_completion_tokens", Is.OrNull(Is.Integer(256))),
        new("truncation_strategy", Is.OrNull(Is.Only(new("type", Is.Choice("auto", "last_messages"), true), new("last_messages", Is.OrNull(Is.Integer(1)))))),
        new("tool_choice", Is.OrNull(Is.TextOr(Is.Choice("none", "auto", "required"), Is.Only(new("type", Is.Choice("function", "code_interpreter", "file_search"), true), new("function", Is.Only(new Field("name", Is.Text(1), true))))))),
        new("parallel_tool_calls", Is.Flag),
        new("response_format", Is.OrNull(Is.TextOr(Is.Choice("auto"), Is.Map))),
    ];

    private static readonly Rule Run = Is.Only(
    [
        .. RunFields,
        new("reasoning_effort", Is.OrNull(Is.Choice("none", "minimal", "low", "medium", "high", "xhigh"))),
        new("additional_instructions", Is.OrNull(Is.Text(max: 256_000))),
        new("additional_messages", Is.OrNull(Is.ListOf(Message))),
    ]);

    private static readonly Rule ThreadAndRun = Is.Only([.. RunFields, new("thread", Thread), new("tool_resources", Is.OrNull(Is.Map))]);

    private static readonly Rule Outputs = Is.Only(
        new("tool_outputs", Is.ListOf(Is.Only(new("tool_call_id", Is.Text(1)), new("output", Is.Text(max: MaxText)))), true),
        new("stream", Is.OrNull(Is.Flag)));

    private static readonly Rule OnlyMetadata = Is.Only(new Field("metadata", Is.Metadata));

    private static readonly Rule ThreadChange = Is.Only(new("metadata", Is.Metadata), new("tool_resources", Is.OrNull(Is.Map)));

    private static Field Type => new("type", Is.Anything, true);

    public static void CreateThread(JsonObject body) => Thread("", body);

    public static void ModifyThread(JsonObject body) => ThreadChange("", body);

    public static void CreateMessage(JsonObject body) => Message("", body);

    public static void CreateRun(JsonObject body) => Run("", body);

    public static void CreateThreadAndRun(JsonObject body) => ThreadAndRun("", body);

    public static void SubmitOutputs(JsonObject body) => Outputs("", body);

    public static void Modify(JsonObject body) => OnlyMetadata("", body);
}
