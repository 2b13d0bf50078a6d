using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Microsoft.Extensions.AI;

namespace AssistantQueue.Store;

/// <summary>Everything that the queue writes as JSON, without reflection and without line breaks.</summary>
internal static class StoreJson
{
    private static readonly JsonSerializerOptions Options = CreateOptions();

    public static JsonTypeInfo<StoredMessage> Message { get; } = Of<StoredMessage>();

    public static JsonTypeInfo<AssistantReply> Reply { get; } = Of<AssistantReply>();

    public static JsonTypeInfo<FailedBatch> Failure { get; } = Of<FailedBatch>();

    public static JsonTypeInfo<FailedAttempt> Attempt { get; } = Of<FailedAttempt>();

    public static JsonTypeInfo<RunJournal> Journal { get; } = Of<RunJournal>();

    public static JsonTypeInfo<IReadOnlyList<LiveItem>> Live { get; } = Of<IReadOnlyList<LiveItem>>();

    private static JsonTypeInfo<T> Of<T>() => (JsonTypeInfo<T>)Options.GetTypeInfo(typeof(T));

    private static JsonSerializerOptions CreateOptions()
    {
        var options = new JsonSerializerOptions(JsonSerializerDefaults.Web)
        {
            // Texts are stored as they were typed; nothing of this is ever put into HTML unescaped.
            Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
            DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        };
        // Our types come from the generated context; content types from Microsoft.Extensions.AI, which knows them better
        // than a generated copy would; what neither has by itself (collections of both) from the generated context again.
        options.TypeInfoResolverChain.Add(new OwnTypes());
        options.TypeInfoResolverChain.Add(AIJsonUtilities.DefaultOptions.TypeInfoResolver!);
        options.TypeInfoResolverChain.Add(StoreJsonContext.Default);
        options.MakeReadOnly();
        return options;
    }

    private sealed class OwnTypes : IJsonTypeInfoResolver
    {
        public JsonTypeInfo? GetTypeInfo(Type type, JsonSerializerOptions options) =>
            type.Assembly == typeof(StoreJson).Assembly
                ? ((IJsonTypeInfoResolver)StoreJsonContext.Default).GetTypeInfo(type, options)
                : null;
    }
}

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, UseStringEnumConverter = true)]
[JsonSerializable(typeof(StoredMessage))]
[JsonSerializable(typeof(AssistantReply))]
[JsonSerializable(typeof(FailedBatch))]
[JsonSerializable(typeof(FailedAttempt))]
[JsonSerializable(typeof(RunJournal))]
[JsonSerializable(typeof(IReadOnlyList<LiveItem>))]
internal sealed partial class StoreJsonContext : JsonSerializerContext;
