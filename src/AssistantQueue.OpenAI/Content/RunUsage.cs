using System.Globalization;
using System.Text.Json;
using Microsoft.Extensions.AI;

namespace AssistantQueue.OpenAI.Content;

/// <summary>Adds up the tokens of a run's rounds; what the rounds before used is in the journal.</summary>
internal static class RunUsage
{
    /// <summary>Notes what a response used that is not the last of its run.</summary>
    public static void Add(RunJournal journal, JsonElement response)
    {
        if (Total(journal, ReplyParts.Usage(response)) is { } sum)
        {
            journal.Notes[StateNames.Usage] = string.Join(' ', Numbers(sum).Select(n => (n ?? 0).ToString(CultureInfo.InvariantCulture)));
        }
    }

    /// <summary>What the whole run used.</summary>
    public static UsageDetails? Total(RunJournal journal, UsageDetails? last)
    {
        if (!journal.Notes.TryGetValue(StateNames.Usage, out var before))
        {
            return last;
        }

        var sum = before.Split(' ').Select(n => long.Parse(n, CultureInfo.InvariantCulture)).ToArray();
        var more = Numbers(last ?? new UsageDetails()).ToArray();
        return new()
        {
            InputTokenCount = sum[0] + (more[0] ?? 0),
            OutputTokenCount = sum[1] + (more[1] ?? 0),
            TotalTokenCount = sum[2] + (more[2] ?? 0),
            CachedInputTokenCount = sum[3] + (more[3] ?? 0),
            ReasoningTokenCount = sum[4] + (more[4] ?? 0),
        };
    }

    private static IEnumerable<long?> Numbers(UsageDetails usage) =>
        [usage.InputTokenCount, usage.OutputTokenCount, usage.TotalTokenCount, usage.CachedInputTokenCount, usage.ReasoningTokenCount];
}
