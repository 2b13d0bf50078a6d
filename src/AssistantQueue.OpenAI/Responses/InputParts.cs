using System.Text.Json;
using AssistantQueue.OpenAI.Content;
using Microsoft.Extensions.AI;

namespace AssistantQueue.OpenAI.Responses;

/// <summary>Writes the batch's messages as input items of a response.</summary>
internal static class InputParts
{
    public static void WriteMessage(Utf8JsonWriter json, RunInput input)
    {
        json.WriteStartObject();
        json.WriteString("type", "message");
        json.WriteString("role", "user");
        json.WriteStartArray("content");
        foreach (var part in input.Contents)
        {
            WritePart(json, part);
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    public static void WriteOutput(Utf8JsonWriter json, string callId, string output)
    {
        json.WriteStartObject();
        json.WriteString("type", "function_call_output");
        json.WriteString("call_id", callId);
        json.WriteString("output", output);
        json.WriteEndObject();
    }

    /// <summary>A part's type and, for text, the text: what is compared when a post is looked for.</summary>
    public static string Fingerprint(AIContent part) => part switch
    {
        TextContent text => "input_text:" + text.Text,
        UriContent uri when uri.HasTopLevelMediaType("image") => "input_image:",
        DataContent data when data.HasTopLevelMediaType("image") => "input_image:",
        HostedFileContent file when ContentRules.IsImage(file) => "input_image:",
        _ => "input_file:",
    };

    private static void WritePart(Utf8JsonWriter json, AIContent part)
    {
        json.WriteStartObject();
        switch (part)
        {
            case TextContent text:
                json.WriteString("type", "input_text");
                json.WriteString("text", text.Text);
                break;
            case UriContent uri when uri.HasTopLevelMediaType("image"):
                WriteImage(json, "image_url", uri.Uri.AbsoluteUri);
                break;
            case UriContent uri:
                json.WriteString("type", "input_file");
                json.WriteString("file_url", uri.Uri.AbsoluteUri);
                break;
            case DataContent data when data.HasTopLevelMediaType("image"):
                WriteImage(json, "image_url", data.Uri);
                break;
            case DataContent data:
                json.WriteString("type", "input_file");
                json.WriteString("filename", data.Name ?? "file");
                json.WriteString("file_data", data.Uri);
                break;
            case HostedFileContent file when ContentRules.IsImage(file):
                WriteImage(json, "file_id", file.FileId);
                break;
            case HostedFileContent file:
                json.WriteString("type", "input_file");
                json.WriteString("file_id", file.FileId);
                break;
            default:
                throw new InvalidOperationException($"{part.GetType().Name} was let pass by {nameof(ContentRules)}.");
        }

        json.WriteEndObject();
    }

    private static void WriteImage(Utf8JsonWriter json, string name, string value)
    {
        json.WriteString("type", "input_image");
        json.WriteString("detail", "auto");
        json.WriteString(name, value);
    }
}
