using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using AssistantQueue.OpenAI.Content;
using Microsoft.Extensions.AI;

namespace AssistantQueue.OpenAI.Responses;

/// <summary>What the model said in rounds that ended with tool calls ("Let me look."). It belongs to the reply, which only the last round's response is, so it is kept in the journal until then.</summary>
internal sealed class SaidBefore(RunJournal journal)
{
    /// <summary>What is kept of one round in the journal, in characters; of a longer one what is left without data, or nothing. All of it is known to this attempt only.</summary>
    internal const int MaxKept = 64 * 1024;

    private static readonly JsonTypeInfo<IList<ChatMessage>> Messages = (JsonTypeInfo<IList<ChatMessage>>)AIJsonUtilities.DefaultOptions.GetTypeInfo(typeof(IList<ChatMessage>));

    // a round is named by its first call: looked at twice, it has still been said once
    private readonly List<ChatMessage> _rounds = Read(journal);

    /// <summary>Gets the text of all of it, as it stands in the reply.</summary>
    public string Text => ReplyParts.Text(_rounds.Select(round => (IReadOnlyList<AIContent>)[.. round.Contents]));

    /// <summary>Notes what a response has beside its calls.</summary>
    /// <param name="callId">The first of the calls.</param>
    /// <param name="contents">What was said; may be nothing.</param>
    public void Add(string callId, IReadOnlyList<AIContent> contents)
    {
        if (contents.Count == 0)
        {
            return;
        }

        var round = new ChatMessage(ChatRole.Assistant, [.. contents]) { MessageId = callId };
        if (_rounds.FindIndex(known => known.MessageId == callId) is var place and >= 0)
        {
            _rounds[place] = round;
        }
        else
        {
            _rounds.Add(round);
        }

        journal.Notes[StateNames.Said] = $"{Mark(journal)}[{string.Join(',', _rounds.Select(Kept).OfType<string>())}]";
    }

    /// <summary>The whole reply.</summary>
    public RunCompleted PutBefore(RunCompleted last) => _rounds.Count == 0 ? last : last with
    {
        Text = last.Text.Length == 0 ? Text : Text.Length == 0 ? last.Text : $"{Text}\n\n{last.Text}",
        Contents = [.. _rounds.SelectMany(round => round.Contents), .. last.Contents],
    };

    /// <summary>It is no part of what comes next.</summary>
    public void Forget()
    {
        _rounds.Clear();
        journal.Notes.Remove(StateNames.Said);
    }

    // what was said before an interruption was told with it
    private static List<ChatMessage> Read(RunJournal journal) =>
        journal.Notes.TryGetValue(StateNames.Said, out var said) && Mark(journal) is var mark && said.StartsWith(mark, StringComparison.Ordinal)
            ? [.. JsonSerializer.Deserialize(said.AsSpan(mark.Length), Messages) ?? []]
            : [];

    private static string Mark(RunJournal journal) => string.Create(CultureInfo.InvariantCulture, $"{journal.Interruptions} ");

    private static string? Kept(ChatMessage round)
    {
        var whole = Json(round);
        var kept = whole.Length <= MaxKept ? whole : Json(new ChatMessage(round.Role, [.. round.Contents.Where(c => c is not DataContent)]) { MessageId = round.MessageId });
        return kept.Length <= MaxKept ? kept : null;
    }

    // one element of the list
    private static string Json(ChatMessage round) => JsonSerializer.Serialize([round], Messages)[1..^1];
}
