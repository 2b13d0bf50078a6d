using System.Text.Json;
using Microsoft.Extensions.AI;

namespace AssistantQueue.ChatClient;

/// <summary>One turn of a conversation: the messages of a batch, the model's tool calls with their results, the reply. Kept and forgotten as a whole, so that no call is ever without its result.</summary>
/// <param name="Name">The field of the conversation that holds it; names sort by age.</param>
/// <param name="Json">As it is stored.</param>
/// <param name="Messages">The messages.</param>
internal sealed record ChatTurn(string Name, string Json, IReadOnlyList<ChatMessage> Messages)
{
    /// <summary>What the names of turns begin with.</summary>
    public const string Prefix = "chat.turn:";

    /// <summary>Gets a value indicating whether nothing was left out to make it fit.</summary>
    public bool IsWhole { get; init; } = true;

    /// <summary>The turn that ends with the message of this sequence number: the same name when a batch is written again.</summary>
    public static string NameOf(long lastSequence) => $"{Prefix}{lastSequence:D19}";

    /// <exception cref="JsonException">It can't be read.</exception>
    public static ChatTurn Read(string name, string json)
    {
        var messages = JsonSerializer.Deserialize(json, ChatJson.Messages) ?? throw new JsonException("null");
        return new ChatTurn(name, json, [.. messages.Select(ChatParts.AsSent)]);
    }

    /// <summary>The turn as it fits by itself: when it doesn't, without its tool calls, then without its files, then without its oldest messages, then with its texts cut. Null when nothing of it fits.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="messages">All of its messages.</param>
    /// <param name="maxMessages">The most messages.</param>
    /// <param name="maxCharacters">The most characters of its JSON.</param>
    public static ChatTurn? Fitting(string name, IEnumerable<ChatMessage> messages, int maxMessages, int maxCharacters)
    {
        var all = messages.Select(ChatParts.Storable).Where(m => m.Contents.Count > 0).ToList();
        return Try(all, isWhole: true)
            ?? Try(all = [.. all.Select(WithoutCalls).OfType<ChatMessage>()])
            ?? Try(all = [.. all.Select(WithoutFiles)])
            ?? Try(all = Newest(all, maxMessages, maxCharacters))
            ?? Try([.. all.Select(m => WithShortTexts(m, maxCharacters / Math.Max(1, all.Count)))]);

        ChatTurn? Try(List<ChatMessage> candidate, bool isWhole = false)
        {
            if (candidate.Count > maxMessages || candidate is not [{ Role: var first }, ..] || first != ChatRole.User)
            {
                return null;
            }

            var json = JsonSerializer.Serialize(candidate, ChatJson.Messages);
            return json.Length <= maxCharacters ? new ChatTurn(name, json, candidate) { IsWhole = isWhole } : null;
        }
    }

    // The reply and the message before it always stay.
    private static List<ChatMessage> Newest(List<ChatMessage> all, int maxMessages, int maxCharacters)
    {
        var (first, left) = (all.Count, (long)maxCharacters - 2);
        while (first > 0 && all.Count - first < maxMessages)
        {
            left -= JsonSerializer.Serialize([all[first - 1]], ChatJson.Messages).Length;
            if (left < 0 && all.Count - first >= 2)
            {
                break;
            }

            first--;
        }

        return all[first..];
    }

    private static ChatMessage WithShortTexts(ChatMessage message, int maxCharacters)
    {
        // Half: a character of JSON may take two, and names and braces take some.
        var most = Math.Max(0, (maxCharacters / 2) - 100);
        return new ChatMessage(message.Role, [.. message.Contents.Select(c => c is TextContent text && text.Text.Length > most ? new TextContent(Cut(text.Text, most) + " […]") : c)]) { AuthorName = message.AuthorName };
    }

    private static string Cut(string text, int length) => text[..(length > 0 && char.IsHighSurrogate(text[length - 1]) ? length - 1 : length)];

    private static ChatMessage? WithoutCalls(ChatMessage message)
    {
        List<AIContent> left = [.. message.Contents.Where(c => c is not (ToolCallContent or ToolResultContent or TextReasoningContent))];
        return message.Role == ChatRole.Tool || left.Count == 0 ? null : new ChatMessage(message.Role, left) { AuthorName = message.AuthorName };
    }

    private static ChatMessage WithoutFiles(ChatMessage message) => new(
        message.Role,
        [.. message.Contents.Select(c => c is DataContent data ? new TextContent($"[a file of type {data.MediaType} that is no longer kept]") : c)])
    { AuthorName = message.AuthorName };
}
