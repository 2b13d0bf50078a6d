using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Microsoft.Extensions.AI;

namespace AssistantQueue.ChatClient;

/// <summary>Writes chat messages as JSON, with what Microsoft.Extensions.AI knows about its own types and nothing by reflection.</summary>
internal static class ChatJson
{
    private static readonly JsonSerializerOptions Options = CreateOptions();

    public static JsonTypeInfo<IList<ChatMessage>> Messages { get; } = Of<IList<ChatMessage>>();

    public static JsonTypeInfo<ChatResponse> Response { get; } = Of<ChatResponse>();

    public static JsonTypeInfo<AIContent> Content { get; } = Of<AIContent>();

    public static JsonTypeInfo<IDictionary<string, object?>> Arguments { get; } = Of<IDictionary<string, object?>>();

    private static JsonTypeInfo<T> Of<T>() => (JsonTypeInfo<T>)Options.GetTypeInfo(typeof(T));

    private static JsonSerializerOptions CreateOptions()
    {
        var options = new JsonSerializerOptions(JsonSerializerDefaults.Web)
        {
            // Texts are stored as they were typed; nothing of this is ever put into HTML unescaped.
            Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
            DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        };
        options.TypeInfoResolverChain.Add(AIJsonUtilities.DefaultOptions.TypeInfoResolver!);
        options.MakeReadOnly();
        return options;
    }
}
