using AssistantQueue.OpenAI.Content;

namespace AssistantQueue.OpenAI.Assistants;

/// <summary>Writes the one post that carries a batch: the run together with its messages.</summary>
internal static class RunRequest
{
    /// <exception cref="AssistantBackendException">A content part can't be sent.</exception>
    public static byte[] Write(RunContext context, bool stream) => Json.Object(json =>
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
}
