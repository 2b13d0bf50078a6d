using System.Text.Json.Nodes;

namespace AssistantQueue.Emulators;

/// <summary>Makes what belongs to a run: steps, deltas, usage.</summary>
internal static class RunObjects
{
    public static JsonObject Step(EmulatorCore core, RunEntry run, string type, JsonObject details) => new()
    {
        ["id"] = Wire.NewId("step_"),
        ["object"] = "thread.run.step",
        ["created_at"] = core.Seconds,
        ["run_id"] = run.Id,
        ["assistant_id"] = run.Body.Text("assistant_id"),
        ["thread_id"] = run.Body.Text("thread_id"),
        ["type"] = type,
        ["status"] = "in_progress",
        ["step_details"] = new JsonObject { ["type"] = type, [type] = type == "tool_calls" ? new JsonArray() : details },
        ["last_error"] = null,
        ["expired_at"] = null,
        ["cancelled_at"] = null,
        ["failed_at"] = null,
        ["completed_at"] = null,
        ["metadata"] = new JsonObject(),
        ["usage"] = null,
    };

    public static JsonObject CallDelta(JsonObject step, JsonNode call, int index)
    {
        var piece = call.DeepClone().AsObject();
        piece["index"] = index;
        return new()
        {
            ["id"] = step.Text("id"),
            ["object"] = "thread.run.step.delta",
            ["delta"] = new JsonObject { ["step_details"] = new JsonObject { ["type"] = "tool_calls", ["tool_calls"] = new JsonArray(piece) } },
        };
    }

    public static JsonObject MessageDelta(JsonObject message, string text)
    {
        var part = MessageObjects.TextPart(text);
        part["index"] = 0;
        return new()
        {
            ["id"] = message.Text("id"),
            ["object"] = "thread.message.delta",
            ["delta"] = new JsonObject { ["content"] = new JsonArray(part) },
        };
    }

    public static JsonObject Usage(Prompt prompt, string text)
    {
        var input = prompt.Tokens;
        var output = EchoModel.Tokens(text);
        return new() { ["prompt_tokens"] = input, ["completion_tokens"] = output, ["total_tokens"] = input + output };
    }

    public static string ErrorText(string code) => code switch
    {
        "rate_limit_exceeded" => "Rate limit reached for requests. Please try again later.",
        "invalid_prompt" => "Invalid prompt: your prompt was flagged as potentially violating our usage policy. Please try again with a different prompt.",
        _ => "The server had an error while processing your request. Sorry about that!",
    };
}
