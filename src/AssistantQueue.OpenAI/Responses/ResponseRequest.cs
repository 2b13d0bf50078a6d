using AssistantQueue.OpenAI.Content;

namespace AssistantQueue.OpenAI.Responses;

/// <summary>Writes the one post that carries a batch.</summary>
internal static class ResponseRequest
{
    /// <summary>What a call gets for an answer that no tool can give any more.</summary>
    public const string LostOutput = "This call was interrupted and has no result.";

    /// <param name="context">The run.</param>
    /// <param name="history">What the response goes on from.</param>
    /// <param name="orphans">Calls in the history that have no output.</param>
    /// <param name="stream">Whether the answer is read as a stream.</param>
    /// <exception cref="AssistantBackendException">A content part can't be sent.</exception>
    public static byte[] Write(RunContext context, History history, IReadOnlyCollection<string> orphans, bool stream) => Json.Object(json =>
    {
        json.WriteString("model", context.Journal.Model);
        history.WriteTo(json);
        if (context.Journal.Instructions is { Length: > 0 } instructions)
        {
            json.WriteString("instructions", instructions);
        }

        var inputs = context.Run.UnpostedInputs;
        if (inputs.Count + orphans.Count > 0)
        {
            json.WriteStartArray("input");
            foreach (var call in orphans)
            {
                InputParts.WriteOutput(json, call, LostOutput);
            }

            foreach (var input in inputs)
            {
                InputParts.WriteMessage(json, input);
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
