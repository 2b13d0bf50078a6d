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

    /// <summary>Gets all of them, by their ids: the next post carries an output for each. Null where an output isn't in the journal: it is too long, or not there yet.</summary>
    public IReadOnlyList<KeyValuePair<string, string?>> Open
    {
        get
        {
            var asked = (Asked?.Calls ?? []).Select(c => new KeyValuePair<string, string?>(c.CallId, c.Output)).ToList();
            return [.. Owed.Where(o => asked.All(a => a.Key != o.Key)).Select(o => new KeyValuePair<string, string?>(o.Key, o.Value)), .. asked];
        }
    }

    /// <summary>Notes a call that the next post has to answer, whatever becomes of this attempt.</summary>
    /// <param name="callId">The call.</param>
    /// <param name="output">Its output; null when there is none.</param>
    public void Owe(string callId, string? output)
    {
        WriteOwed([.. Owed.Where(o => o.Key != callId), new(callId, output ?? LostOutput)]);
    }

    /// <summary>Carries the calls of the last round that asked over to the next attempt, which begins without rounds.</summary>
    public void OweAsked()
    {
        foreach (var call in Asked?.Calls ?? [])
        {
            Owe(call.CallId, call.Output);
        }
    }

    /// <summary>Another batch has answered some of them in our place: the history takes no second output.</summary>
    public void Answered(Func<string, bool> isAnswered)
    {
        WriteOwed(Owed.Where(o => !isAnswered(o.Key)));
        if (Asked is not { } asked)
        {
            return;
        }

        foreach (var call in asked.Calls.Where(c => isAnswered(c.CallId)).ToList())
        {
            asked.Calls.Remove(call);
        }

        if (asked.Calls.Count == 0)
        {
            // the rounds before it have their outputs too
            journal.Rounds.Remove(asked);
            AskedSettled();
        }
    }

    /// <summary>The history has the outputs that were owed.</summary>
    public void OwedSettled() => journal.Notes.Remove(StateNames.Owed);

    /// <summary>The history has all outputs now; what it answers to them isn't known.</summary>
    public void Settled()
    {
        OwedSettled();
        AskedSettled();
    }

    private void AskedSettled()
    {
        foreach (var round in journal.Rounds.Where(r => r.Calls.Count > 0).ToList())
        {
            journal.Rounds.Remove(round);
        }
    }

    private void WriteOwed(IEnumerable<KeyValuePair<string, string>> owed)
    {
        var all = owed.ToList();
        if (all.Count == 0)
        {
            OwedSettled();
            return;
        }

        journal.Notes[StateNames.Owed] = Encoding.UTF8.GetString(Json.Object(json =>
        {
            foreach (var (id, text) in all)
            {
                json.WriteString(id, text);
            }
        }));
    }
}
