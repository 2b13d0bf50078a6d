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

    private static JsonTypeInfo<T> Of<T>() => (JsonTypeInfo<T>)Options.GetTypeInfo(typeof(T));

    private static JsonSerializerOptions CreateOptions()
    {
        var options = new JsonSerializerOptions(JsonSerializerDefaults.Web)
        {
            // Texts are stored as they were typed; nothing of this is ever put into HTML unescaped.
            Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
            DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        };
        // Microsoft.Extensions.AI knows its content types better than a generated copy of them would.
        options.TypeInfoResolverChain.Add(AIJsonUtilities.DefaultOptions.TypeInfoResolver!);
        options.TypeInfoResolverChain.Add(StoreJsonContext.Default);
        options.MakeReadOnly();
        return options;
    }
}

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, UseStringEnumConverter = true)]
[JsonSerializable(typeof(StoredMessage))]
[JsonSerializable(typeof(AssistantReply))]
[JsonSerializable(typeof(FailedBatch))]
[JsonSerializable(typeof(FailedAttempt))]
[JsonSerializable(typeof(RunJournal))]
internal sealed partial class StoreJsonContext : JsonSerializerContext;
