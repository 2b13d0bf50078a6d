using System.Text.Json;
using Microsoft.Extensions.AI;

namespace AssistantQueue.ChatClient;

/// <summary>A thread's earlier turns, each a field of its conversation. A new turn is one more field, written by the script that completes the batch; nothing that is kept is written again.</summary>
internal sealed class ChatHistory
{
    private readonly List<ChatTurn> _turns;

    private ChatHistory(List<ChatTurn> turns) => _turns = turns;

    /// <summary>What the model gets before the batch.</summary>
    public IEnumerable<ChatMessage> Messages => _turns.SelectMany(t => t.Messages);

    /// <summary>Reads the newest turns that are within the bounds; they may have been lowered since.</summary>
    /// <param name="conversation">The conversation.</param>
    /// <param name="options">The bounds.</param>
    /// <param name="onUnreadable">Told the name of a turn that can't be read; it is left out.</param>
    public static ChatHistory Read(ConversationState conversation, ChatClientOptions options, Action<string, Exception> onUnreadable)
    {
        var turns = new List<ChatTurn>();
        foreach (var (name, json) in conversation.Where(field => field.Key.StartsWith(ChatTurn.Prefix, StringComparison.Ordinal)).OrderBy(field => field.Key, StringComparer.Ordinal))
        {
            try
            {
                turns.Add(ChatTurn.Read(name, json));
            }
            catch (Exception e) when (e is JsonException or NotSupportedException or ArgumentException)
            {
                onUnreadable(name, e);
            }
        }

        turns.RemoveRange(0, Surplus(turns, options));
        return new ChatHistory(turns);
    }

    /// <summary>Puts a batch's turn into the conversation and takes the oldest ones out. Both travel with the reply.</summary>
    /// <returns>Whether all of the turn is kept.</returns>
    public bool Append(ConversationState conversation, long lastSequence, IReadOnlyList<ChatMessage> messages, ChatClientOptions options)
    {
        var turn = ChatTurn.Fitting(ChatTurn.NameOf(lastSequence), messages, options.MaxHistoryMessages, options.MaxHistoryCharacters);
        if (turn is not null)
        {
            conversation[turn.Name] = turn.Json;
            _turns.Add(turn);
            _turns.RemoveRange(0, Surplus(_turns, options));
        }
        else
        {
            // The bounds are so small that nothing is to be remembered.
            _turns.Clear();
        }

        foreach (var name in conversation.Select(field => field.Key).Where(IsForgotten).ToList())
        {
            conversation.Remove(name);
        }

        return turn is { IsWhole: true };
    }

    private bool IsForgotten(string name) => name.StartsWith(ChatTurn.Prefix, StringComparison.Ordinal) && _turns.All(t => t.Name != name);

    /// <summary>How many of the oldest turns are too many.</summary>
    private static int Surplus(List<ChatTurn> turns, ChatClientOptions options)
    {
        var (messages, characters) = (0, 0L);
        for (var i = turns.Count - 1; i >= 0; i--)
        {
            messages += turns[i].Messages.Count;
            characters += turns[i].Json.Length;
            if (messages > options.MaxHistoryMessages || characters > options.MaxHistoryCharacters)
            {
                return i + 1;
            }
        }

        return 0;
    }
}
