using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Microsoft.Extensions.AI;

namespace AssistantQueue.AspNetCore;

/// <summary>The names and the JSON of the events, without reflection.</summary>
internal static class ThreadEventJson
{
    private static readonly (Type Type, string Name)[] Events =
    [
        (typeof(MessagesStored), "messagesStored"),
        (typeof(BatchStarted), "batchStarted"),
        (typeof(MessagesJoined), "messagesJoined"),
        (typeof(BatchReplied), "batchReplied"),
        (typeof(BatchRetrying), "batchRetrying"),
        (typeof(BatchFailed), "batchFailed"),
        (typeof(TextDelta), "textDelta"),
        (typeof(ToolCalled), "toolCalled"),
        (typeof(ToolAnswered), "toolAnswered"),
        (typeof(UpdatesSkipped), "updatesSkipped"),
        (typeof(ApprovalRequested), "approvalRequested"),
        (typeof(BatchInterrupted), "batchInterrupted"),
    ];

    private static readonly JsonTypeInfo<ThreadUpdate> Update = CreateUpdate();

    /// <summary>The event's name: the update's type in camel case.</summary>
    public static string NameOf(ThreadUpdate update) => Array.Find(Events, e => e.Type == update.GetType()).Name
        ?? throw new NotSupportedException($"{update.GetType().Name} has no event name.");

    /// <summary>The update on one line, its name in <c>type</c>.</summary>
    public static string Serialize(ThreadUpdate update) => JsonSerializer.Serialize(update, Update);

    private static JsonTypeInfo<ThreadUpdate> CreateUpdate()
    {
        var options = new JsonSerializerOptions(JsonSerializerDefaults.Web)
        {
            // An event stream is never part of an HTML page; escaping all but ASCII would only make it longer.
            Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
            DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        };
        // The queue's types come from the generated context, content types from Microsoft.Extensions.AI, which knows its own;
        // collections of them from the generated context again.
        options.TypeInfoResolverChain.Add(new QueueTypes());
        options.TypeInfoResolverChain.Add(AIJsonUtilities.DefaultOptions.TypeInfoResolver!);
        options.TypeInfoResolverChain.Add(ThreadEventJsonContext.Default);
        options.MakeReadOnly();
        return (JsonTypeInfo<ThreadUpdate>)options.GetTypeInfo(typeof(ThreadUpdate));
    }

    private sealed class QueueTypes : IJsonTypeInfoResolver
    {
        public JsonTypeInfo? GetTypeInfo(Type type, JsonSerializerOptions options)
        {
            if (type.Assembly != typeof(ThreadUpdate).Assembly)
            {
                return null;
            }

            var info = ((IJsonTypeInfoResolver)ThreadEventJsonContext.Default).GetTypeInfo(type, options);
            if (type == typeof(ThreadUpdate) && info is not null)
            {
                info.PolymorphismOptions = new JsonPolymorphismOptions { TypeDiscriminatorPropertyName = "type" };
                foreach (var (derived, name) in Events)
                {
                    info.PolymorphismOptions.DerivedTypes.Add(new JsonDerivedType(derived, name));
                }
            }

            return info;
        }
    }
}

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, UseStringEnumConverter = true)]
[JsonSerializable(typeof(ThreadUpdate))]
[JsonSerializable(typeof(MessagesStored))]
[JsonSerializable(typeof(BatchStarted))]
[JsonSerializable(typeof(MessagesJoined))]
[JsonSerializable(typeof(BatchReplied))]
[JsonSerializable(typeof(BatchRetrying))]
[JsonSerializable(typeof(BatchFailed))]
[JsonSerializable(typeof(TextDelta))]
[JsonSerializable(typeof(ToolCalled))]
[JsonSerializable(typeof(ToolAnswered))]
[JsonSerializable(typeof(UpdatesSkipped))]
[JsonSerializable(typeof(ApprovalRequested))]
[JsonSerializable(typeof(BatchInterrupted))]
internal sealed partial class ThreadEventJsonContext : JsonSerializerContext;
