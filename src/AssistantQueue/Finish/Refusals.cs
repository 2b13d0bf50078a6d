using System.Globalization;

namespace AssistantQueue.Finish;

/// <summary>
/// How often the backend refused a batch as if nothing could work, although it answered others that began after that. Kept in the batch's journal:
/// it tells a batch that is refused for itself (a firewall before the API that dislikes its words) from settings that are wrong, where nobody is answered.
/// </summary>
/// <param name="Count">The refusals that count.</param>
/// <param name="Fence">The fence of the last one that counts; fences grow with Redis' clock, so what has a greater one began later, on any machine.</param>
internal readonly record struct Refusals(int Count, long Fence)
{
    /// <summary>So many are the batch's own doing.</summary>
    public const int Limit = 3;

    private const string Note = "queue.refused";

    public static Refusals Read(RunJournal journal) =>
        journal.Notes.TryGetValue(Note, out var note)
        && note.Split(' ') is [var count, var fence]
        && int.TryParse(count, CultureInfo.InvariantCulture, out var counted)
        && long.TryParse(fence, CultureInfo.InvariantCulture, out var last)
            ? new Refusals(counted, last)
            : default;

    public void Write(RunJournal journal)
    {
        if (Count == 0)
        {
            journal.Notes.Remove(Note);
        }
        else
        {
            journal.Notes[Note] = string.Create(CultureInfo.InvariantCulture, $"{Count} {Fence}");
        }
    }

    /// <summary>The batch was refused once more.</summary>
    /// <param name="fence">The fence of the refused run.</param>
    /// <param name="latestAnswer">The greatest fence of a run that was begun and answered under it.</param>
    public Refusals Next(long fence, long latestAnswer) => Count == 0 || latestAnswer > Fence ? new Refusals(Count + 1, fence) : this;
}
