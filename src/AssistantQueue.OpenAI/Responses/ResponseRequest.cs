using AssistantQueue.OpenAI.Content;

namespace AssistantQueue.OpenAI.Responses;

/// <summary>Writes the post that carries a batch, or the outputs of the tools that the model asked for.</summary>
internal static class ResponseRequest
{
    /// <param name="context">The run.</param>
    /// <param name="history">What the response goes on from.</param>
    /// <param name="outputs">What to answer to calls that have no output in the history, by their ids.</param>
    /// <param name="stream">Whether the answer is read as a stream.</param>
    public static byte[] Write(RunContext context, History history, IReadOnlyList<KeyValuePair<string, string>> outputs, bool stream) => Json.Object(json =>
    {
        json.WriteString("model", context.Journal.Model);
        history.WriteTo(json);
        if (context.Journal.Instructions is { Length: > 0 } instructions)
        {
            json.WriteString("instructions", instructions);
        }

        var inputs = context.Run.UnpostedInputs;
        if (inputs.Count + outputs.Count > 0)
        {
            json.WriteStartArray("input");
            foreach (var (call, output) in outputs)
            {
                InputParts.WriteOutput(json, call, output);
            }

            foreach (var input in inputs)
            {
                InputParts.WriteMessage(json, input);
            }

            json.WriteEndArray();
        }

        if (context.Run.Tools.Functions is { Count: > 0 } functions)
        {
            json.WriteStartArray("tools");
            foreach (var function in functions)
            {
                ToolParts.WriteTool(json, function);
            }

            json.WriteEndArray();
        }

        if (context.Options.Background)
        {
            json.WriteBoolean("background", true);
        }

        json.WriteBoolean("store", true);
        if (stream)
        {
            json.WriteBoolean("stream", true);
        }

        if (context.Options.MaxOutputTokens is { } most)
        {
            json.WriteNumber("max_output_tokens", most);
        }

        // items have no metadata of their own; what fits goes with the response
        context.WriteMetadata(json, inputs.SelectMany(i => i.Metadata));
    });
}
