using System.Text;
using System.Text.Json;
using AssistantQueue.OpenAI.Content;

namespace AssistantQueue.OpenAI;

/// <summary>The tool calls that the history has and whose outputs it lacks: those of the last round that asked, and those that an ended attempt left owing.</summary>
internal sealed class OpenCalls(RunJournal journal)
{
    /// <summary>What a call gets for an answer that no tool can give any more.</summary>
    public const string LostOutput = "This call was interrupted and has no result.";

    /// <summary>Gets the last round that asked for tools; its outputs go with the next post.</summary>
    public JournalRound? Asked => journal.Rounds.LastOrDefault(round => round.Calls.Count > 0);

    /// <summary>Gets the calls of ended attempts, each with what to answer.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Owed =>
        journal.Notes.TryGetValue(StateNames.Owed, out var owed)
            ? [.. JsonElement.Parse(owed).EnumerateObject().Select(p => new KeyValuePair<string, string>(p.Name, p.Value.GetString() ?? LostOutput))]
            : [];

    /// <summary>Gets the ids of all of them: the next post carries an output for each.</summary>
    public IReadOnlyCollection<string> Ids => [.. Owed.Select(o => o.Key).Concat(Asked?.Calls.Select(c => c.CallId) ?? [])];

    /// <summary>Notes a call that the next post has to answer, whatever becomes of this attempt.</summary>
    /// <param name="callId">The call.</param>
    /// <param name="output">Its output; null when there is none.</param>
    public void Owe(string callId, string? output)
    {
        var owed = Owed;
        journal.Notes[StateNames.Owed] = Encoding.UTF8.GetString(Json.Object(json =>
        {
            foreach (var (id, text) in owed)
            {
                if (id != callId)
                {
                    json.WriteString(id, text);
                }
            }

            json.WriteString(callId, output ?? LostOutput);
        }));
    }

    /// <summary>Carries the calls of the last round that asked over to the next attempt, which begins without rounds.</summary>
    public void OweAsked()
    {
        foreach (var call in Asked?.Calls ?? [])
        {
            Owe(call.CallId, call.Output);
        }
    }

    /// <summary>The history has the outputs that were owed.</summary>
    public void OwedSettled() => journal.Notes.Remove(StateNames.Owed);

    /// <summary>The history has all outputs now; what it answers to them isn't known.</summary>
    public void Settled()
    {
        OwedSettled();
        foreach (var round in journal.Rounds.Where(r => r.Calls.Count > 0).ToList())
        {
            journal.Rounds.Remove(round);
        }
    }
}
