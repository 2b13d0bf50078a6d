using System.Globalization;
using System.Text.Json;
using AssistantQueue.Outcomes;
using AssistantQueue.Store;

namespace AssistantQueue.Finish;

/// <summary>The journal that the next attempt or owner gets.</summary>
/// <param name="Json">The journal.</param>
/// <param name="IsPosted">Whether the API has messages of the batch, or may have.</param>
internal readonly record struct NextJournal(string Json, bool IsPosted)
{
    private const string BusyNote = "queue.busy";

    /// <summary>After a failed run: its rounds are forgotten unless they have to be looked at, and its time begins anew.</summary>
    public static NextJournal After(RunFailed failed, bool isBusy, Refusals refusals)
    {
        var journal = failed.Run.Journal;
        var busy = BusyBefore(journal);
        if (failed.KeepsRounds)
        {
            journal.StartedAt = default;
        }
        else
        {
            journal.BeginNextAttempt();
        }

        if (isBusy)
        {
            journal.Notes[BusyNote] = (busy + 1).ToString(CultureInfo.InvariantCulture);
        }
        else
        {
            journal.Notes.Remove(BusyNote);
        }

        refusals.Write(journal);
        return new NextJournal(JsonSerializer.Serialize(journal, StoreJson.Journal), IsPostedIn(journal));
    }

    /// <summary>How often in a row the thread was busy at the API.</summary>
    public static int BusyBefore(RunJournal journal) =>
        journal.Notes.TryGetValue(BusyNote, out var count) && int.TryParse(count, CultureInfo.InvariantCulture, out var number) ? number : 0;

    public static bool IsPostedIn(RunJournal journal) => journal.PostedThrough > 0 || journal.Rounds.Count > 0;
}
