using System.Globalization;
using System.Text.Json;
using Microsoft.Extensions.AI;

namespace AssistantQueue.ChatClient;

/// <summary>The rounds of one batch in its journal: what the model answered in each that asked for tools, so that the next owner goes on after it instead of asking again.</summary>
internal sealed class ChatRounds(RunJournal journal, TimeProvider time)
{
    /// <summary>What is kept of an answer. Of a longer one only its calls are: what the model said and thought beside them is lost with its owner.</summary>
    internal const int MaxKeptAnswer = 64 * 1024;

    private const string Prefix = "chat.round:";

    /// <summary>Gets a value indicating whether the model asked for tools, so that a failed attempt is better gone on with than begun anew.</summary>
    public bool HasAnswers => journal.Rounds.Any(r => r.Calls.Count > 0);

    /// <summary>The rounds that the model has answered with calls; a request under way when an earlier owner left is forgotten, as nobody has heard its answer.</summary>
    public IReadOnlyList<JournalRound> Resume()
    {
        DropUnanswered();
        foreach (var name in journal.Notes.Keys.Where(n => n.StartsWith(Prefix, StringComparison.Ordinal) && Index(n) >= journal.Rounds.Count).ToList())
        {
            // of an attempt whose rounds the queue has forgotten
            journal.Notes.Remove(name);
        }

        return [.. journal.Rounds];
    }

    /// <summary>Writes down that a request is about to be sent.</summary>
    /// <param name="through">The last message that it carries.</param>
    public JournalRound Begin(long through)
    {
        var round = new JournalRound { PostingAt = time.GetUtcNow(), Through = through };
        journal.Rounds.Add(round);
        return round;
    }

    /// <summary>Forgets a request that was not answered.</summary>
    public void DropUnanswered()
    {
        while (journal.LastRound is { Calls.Count: 0 })
        {
            journal.Rounds.RemoveAt(journal.Rounds.Count - 1);
        }
    }

    /// <summary>Writes down an answer that asks for tools. Ids of calls that are missing, or that were used in the batch before, are replaced: they have to name one call.</summary>
    /// <returns>The answer's messages as they go on.</returns>
    public IReadOnlyList<ChatMessage> Answered(JournalRound round, ChatResponse response)
    {
        var index = journal.Rounds.IndexOf(round);
        var open = ChatParts.OpenCalls(response.Messages).ToHashSet(ReferenceEqualityComparer.Instance);
        var used = journal.Rounds.SelectMany(r => r.Calls).Select(c => c.CallId).ToHashSet(StringComparer.Ordinal);
        foreach (var message in response.Messages)
        {
            for (var i = 0; i < message.Contents.Count; i++)
            {
                if (message.Contents[i] is not FunctionCallContent call || !open.Contains(call))
                {
                    continue;
                }

                if (string.IsNullOrEmpty(call.CallId) || !used.Add(call.CallId))
                {
                    call = new FunctionCallContent($"{(string.IsNullOrEmpty(call.CallId) ? "call" : call.CallId)}-{index + 1}-{round.Calls.Count + 1}", call.Name, call.Arguments) { Exception = call.Exception };
                    used.Add(call.CallId);
                    message.Contents[i] = call;
                    // what the client attached has the old id
                    message.RawRepresentation = null;
                }

                round.Calls.Add(new JournalToolCall { CallId = call.CallId, Name = call.Name, Arguments = ChatParts.ArgumentsOf(call) });
            }
        }

        // Its answer is known, whether or not it has an id.
        round.RunId = response.ResponseId ?? string.Create(CultureInfo.InvariantCulture, $"round-{index + 1}");
        var note = JsonSerializer.Serialize(
            new ChatResponse([.. response.Messages.Select(ChatParts.Storable)]) { ModelId = response.ModelId, ResponseId = response.ResponseId, Usage = response.Usage },
            ChatJson.Response);
        if (note.Length <= MaxKeptAnswer)
        {
            journal.Notes[Name(index)] = note;
        }

        return [.. response.Messages];
    }

    /// <summary>What the model answered in a round of an earlier owner.</summary>
    public ChatResponse AnswerOf(JournalRound round)
    {
        if (journal.Notes.TryGetValue(Name(journal.Rounds.IndexOf(round)), out var note))
        {
            var response = JsonSerializer.Deserialize(note, ChatJson.Response)!;
            response.Messages = [.. response.Messages.Select(ChatParts.AsSent)];
            return response;
        }

        return new ChatResponse(new ChatMessage(ChatRole.Assistant, [.. round.Calls.Select(c => new FunctionCallContent(c.CallId, c.Name, ChatParts.ReadArguments(c.Arguments)))]));
    }

    private static string Name(int index) => Prefix + index.ToString(CultureInfo.InvariantCulture);

    private static int Index(string name) => int.TryParse(name[Prefix.Length..], CultureInfo.InvariantCulture, out var index) ? index : int.MaxValue;
}
