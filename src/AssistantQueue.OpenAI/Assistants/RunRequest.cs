using System.Text.Json;
using AssistantQueue.OpenAI.Content;

namespace AssistantQueue.OpenAI.Assistants;

/// <summary>Writes the one post that carries a batch: the run together with its messages.</summary>
internal static class RunRequest
{
    /// <param name="context">The run.</param>
    /// <param name="ownTools">The assistant's own tools, to be kept beside the queue's.</param>
    /// <param name="stream">Whether the answer is read as a stream.</param>
    public static byte[] Write(RunContext context, IReadOnlyList<JsonElement> ownTools, bool stream) => Json.Object(json =>
    {
        json.WriteString("assistant_id", context.Journal.Model);
        if (context.Options.Model is { Length: > 0 } model)
        {
            json.WriteString("model", model);
        }

        if (context.Journal.Instructions is { Length: > 0 } instructions)
        {
            json.WriteString("additional_instructions", instructions);
        }

        if (context.Run.UnpostedInputs is { Count: > 0 } inputs)
        {
            json.WriteStartArray("additional_messages");
            foreach (var input in inputs)
            {
                MessageParts.WriteMessage(json, input);
            }

            json.WriteEndArray();
        }

        if (context.Run.Tools.Functions is { Count: > 0 } functions)
        {
            json.WriteStartArray("tools");
            foreach (var tool in ownTools)
            {
                tool.WriteTo(json);
            }

            foreach (var function in functions)
            {
                ToolParts.WriteNestedTool(json, function);
            }

            json.WriteEndArray();
        }

        if (context.Options.MaxOutputTokens is { } most)
        {
            json.WriteNumber("max_completion_tokens", most);
        }

        if (stream)
        {
            json.WriteBoolean("stream", true);
        }

        context.WriteMetadata(json);
    });

    /// <summary>The post that hands in what the run waits for.</summary>
    public static byte[] WriteOutputs(IReadOnlyList<ToolCallOutput> outputs, bool stream) => Json.Object(json =>
    {
        json.WriteStartArray("tool_outputs");
        foreach (var output in outputs)
        {
            json.WriteStartObject();
            json.WriteString("tool_call_id", output.CallId);
            json.WriteString("output", output.Output);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        if (stream)
        {
            json.WriteBoolean("stream", true);
        }
    });
}
