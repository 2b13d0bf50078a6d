using System.Text.Json;
using AssistantQueue.OpenAI.Content;
using Microsoft.Extensions.AI;

namespace AssistantQueue.OpenAI.Assistants;

/// <summary>Writes the batch's messages as a run's additional messages.</summary>
internal static class MessageParts
{
    public static void WriteMessage(Utf8JsonWriter json, RunInput input)
    {
        json.WriteStartObject();
        json.WriteString("role", "user");
        json.WriteStartArray("content");
        foreach (var part in input.Contents)
        {
            WritePart(json, part);
        }

        json.WriteEndArray();
        var files = input.Contents.OfType<HostedFileContent>().Where(file => !ContentRules.IsImage(file)).ToList();
        if (files.Count > 0)
        {
            json.WriteStartArray("attachments");
            files.ForEach(file => WriteAttachment(json, file));
            json.WriteEndArray();
        }

        if (input.Metadata.Count > 0)
        {
            RunMetadata.Write(json, input.Metadata.Take(RunMetadata.MaxPairs));
        }

        json.WriteEndObject();
    }

    private static void WritePart(Utf8JsonWriter json, AIContent part)
    {
        switch (part)
        {
            case TextContent text:
                json.WriteStartObject();
                json.WriteString("type", "text");
                json.WriteString("text", text.Text);
                json.WriteEndObject();
                break;
            case UriContent uri when uri.HasTopLevelMediaType("image"):
                WriteImage(json, "image_url", "url", uri.Uri.AbsoluteUri);
                break;
            case HostedFileContent file when ContentRules.IsImage(file):
                WriteImage(json, "image_file", "file_id", file.FileId);
                break;
            case HostedFileContent:
                // an attachment of the message, not a part of its content
                break;
            default:
                throw new InvalidOperationException($"{part.GetType().Name} was let pass by {nameof(ContentRules)}.");
        }
    }

    private static void WriteImage(Utf8JsonWriter json, string type, string name, string value)
    {
        json.WriteStartObject();
        json.WriteString("type", type);
        json.WriteStartObject(type);
        json.WriteString(name, value);
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static void WriteAttachment(Utf8JsonWriter json, HostedFileContent file)
    {
        json.WriteStartObject();
        json.WriteString("file_id", file.FileId);
        json.WriteStartArray("tools");
        json.WriteStartObject();
        json.WriteString("type", "file_search");
        json.WriteEndObject();
        json.WriteEndArray();
        json.WriteEndObject();
    }
}
