using System.Text.Json;
using Microsoft.Extensions.AI;

namespace AssistantQueue.OpenAI.Content;

/// <summary>Writes the queue's functions as the tools of a response, or of a run.</summary>
internal static class ToolParts
{
    /// <summary>A tool of the Responses API. Not strict: the schema of a .NET method rarely keeps to the subset that strict calls need.</summary>
    public static void WriteTool(Utf8JsonWriter json, AIFunction function)
    {
        json.WriteStartObject();
        json.WriteString("type", "function");
        WriteFunction(json, function);
        json.WriteBoolean("strict", false);
        json.WriteEndObject();
    }

    /// <summary>A tool of the Assistants API.</summary>
    public static void WriteNestedTool(Utf8JsonWriter json, AIFunction function)
    {
        json.WriteStartObject();
        json.WriteString("type", "function");
        json.WriteStartObject("function");
        WriteFunction(json, function);
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static void WriteFunction(Utf8JsonWriter json, AIFunction function)
    {
        json.WriteString("name", function.Name);
        if (function.Description.Length > 0)
        {
            json.WriteString("description", function.Description);
        }

        json.WritePropertyName("parameters");
        function.JsonSchema.WriteTo(json);
    }
}
