using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.Extensions.AI;

namespace AssistantQueue.ChatClient;

/// <summary>What of a model's messages is the reply, what of them can be stored, which calls nobody has answered. Also compiled into AssistantQueue.Agents.</summary>
internal static class ChatParts
{
    /// <summary>What keeps parts from being a user's message, as a sentence without a full stop; null when nothing does. What a model takes of the rest only it knows.</summary>
    public static string? InputFault(IEnumerable<AIContent> contents) =>
        contents.FirstOrDefault(c => c is not (TextContent or DataContent or UriContent or HostedFileContent)) is { } other
            ? $"Contents must not have {other.GetType().Name}: a user's message has text, data, URLs and ids of uploaded files"
            : null;

    /// <summary>The calls that wait for somebody to make them: not those that the app's own pipeline made already.</summary>
    public static IEnumerable<FunctionCallContent> OpenCalls(IEnumerable<ChatMessage> messages)
    {
        var contents = messages.SelectMany(m => m.Contents).ToList();
        var answered = contents.OfType<ToolResultContent>().Select(r => r.CallId).ToHashSet(StringComparer.Ordinal);
        return contents.OfType<FunctionCallContent>().Where(c => !c.InformationalOnly && (c.CallId is null || !answered.Contains(c.CallId)));
    }

    /// <summary>A call's arguments as JSON; "null", which no tool takes, when the model's could not be read.</summary>
    public static string? ArgumentsOf(FunctionCallContent call)
    {
        if (call.Arguments is not { } arguments)
        {
            return call.Exception is null ? null : "null";
        }

        try
        {
            return JsonSerializer.Serialize(arguments, ChatJson.Arguments);
        }
        catch (Exception e) when (HasNoJson(e))
        {
            // A client that parses them into types of its own; the tool answers that it got no JSON object.
            return "null";
        }
    }

    /// <summary>A call's arguments as they were journalled; none when they are no JSON object.</summary>
    public static IDictionary<string, object?>? ReadArguments(string? arguments)
    {
        try
        {
            return arguments is null ? null : JsonSerializer.Deserialize(arguments, ChatJson.Arguments);
        }
        catch (JsonException)
        {
            // The model gets its call back without them, and the tool's answer that they were none.
            return null;
        }
    }

    /// <summary>A message that was stored, as it was: a result that was text is text again, not JSON.</summary>
    public static ChatMessage AsSent(ChatMessage message)
    {
        foreach (var result in message.Contents.OfType<FunctionResultContent>())
        {
            result.Result = result.Result is JsonElement { ValueKind: JsonValueKind.String } text ? text.GetString() : result.Result;
        }

        return message;
    }

    /// <summary>The reply: all that the model said in a turn, also before it called tools.</summary>
    public static RunCompleted ReplyOf(IEnumerable<ChatMessage> turn, ChatFinishReason? finishReason)
    {
        var said = turn.Where(m => m.Role != ChatRole.User && m.Role != ChatRole.Tool)
            .Select(m => m.Contents.Where(IsReply).Select(Storable).OfType<AIContent>().ToList())
            .ToList();
        var contents = said.SelectMany(m => m).ToList();
        if (finishReason == ChatFinishReason.Length && contents.OfType<TextContent>().LastOrDefault() is { } last)
        {
            // as the OpenAI backends say it
            (last.AdditionalProperties ??= [])["incomplete_reason"] = "max_output_tokens";
        }

        return new RunCompleted
        {
            Text = string.Join("\n\n", said.Select(m => string.Concat(m.OfType<TextContent>().Select(t => t.Text))).Where(t => t.Length > 0)),
            Contents = contents,
        };
    }

    /// <summary>A message as it is stored: without what the client attached for itself and without what has no JSON.</summary>
    public static ChatMessage Storable(ChatMessage message) => new(message.Role, [.. message.Contents.Where(c => c is not UsageContent).Select(Storable).OfType<AIContent>()])
    {
        AuthorName = message.AuthorName,
        AdditionalProperties = Plain(message.AdditionalProperties),
    };

    private static bool IsReply(AIContent content) => content is TextContent or DataContent or UriContent or HostedFileContent or HostedVectorStoreContent or ErrorContent;

    private static AIContent? Storable(AIContent content)
    {
        // A kind of the client's own.
        if (!Known.Contains(content.GetType()))
        {
            return content is TextContent text ? new TextContent(text.Text) : null;
        }

        try
        {
            return JsonSerializer.Deserialize(JsonSerializer.SerializeToUtf8Bytes(content, ChatJson.Content), ChatJson.Content);
        }
        catch (Exception e) when (HasNoJson(e))
        {
            // Properties, arguments or a result of types that only the client knows: what is left of them is what can be read again.
            return content switch
            {
                TextContent text => new TextContent(text.Text),
                TextReasoningContent reasoning => new TextReasoningContent(reasoning.Text) { ProtectedData = reasoning.ProtectedData },
                FunctionCallContent call => new FunctionCallContent(call.CallId, call.Name) { InformationalOnly = call.InformationalOnly },
                FunctionResultContent result => new FunctionResultContent(result.CallId, result.Result?.ToString()),
                DataContent data => new DataContent(data.Data, data.MediaType) { Name = data.Name },
                _ => null,
            };
        }
    }

    // What the serializer throws, and what properties throw that can't be read in their object's state.
    private static bool HasNoJson(Exception e) => e is JsonException or NotSupportedException or InvalidOperationException or ArgumentException;

    private static AdditionalPropertiesDictionary? Plain(AdditionalPropertiesDictionary? properties)
    {
        var plain = properties?.Where(p => p.Value is string or bool or int or long or double or JsonElement).ToList();
        return plain is { Count: > 0 } ? new AdditionalPropertiesDictionary(plain) : null;
    }

    private static readonly HashSet<Type> Known = [.. ChatJson.Content.PolymorphismOptions?.DerivedTypes.Select((JsonDerivedType d) => d.DerivedType) ?? []];
}
