using AssistantQueue.Emulators;

namespace AssistantQueue.IntegrationTests.Faults;

/// <summary>Holds what is left of a crash case, and what the API's ledger says of it, against the promises.</summary>
internal static class CrashJudge
{
    public static IEnumerable<string> Judge(CrashScenario scenario, CrashCase run, string thread, LedgerSnapshot ledger, long postedAgain)
    {
        if (run.Stranded.Count > 0)
        {
            yield return "left behind: " + string.Join(", ", run.Stranded);
        }

        // 2: one run at a time. Nothing locks a chain, and nobody can look there: whose lease ends in the middle of a post is followed by a second one, counted below.
        foreach (var overlap in ledger.Overlaps.Where(o => o.ThreadKey == thread && !(scenario.IsChain && run.HasLostALease)))
        {
            yield return $"{overlap.First} and {overlap.Second} overlap";
        }

        // 3, 4: the history has each message once, in order. Content that was refused was never in it.
        // A lease that ended in the middle of a post whose response takes longer than the look is the documented case of twice, and counted below.
        var texts = run.HasLostALease ? [.. ledger.TextsOf(thread).Distinct()] : ledger.TextsOf(thread);
        if (!scenario.IsChain && !scenario.EndsAsFailure && !texts.SequenceEqual(run.Texts))
        {
            yield return "the conversation has " + string.Join(", ", texts);
        }

        // On a chain the branch that goes on: what the last reply's response and those before it were sent.
        if (scenario.IsChain && run.Offers is [.., { RunId: { } head }] && TextsOfBranch(ledger, head) is var branch && !branch.SequenceEqual(run.Texts))
        {
            yield return "the branch that goes on has " + string.Join(", ", branch);
        }

        // 4: taken twice only where nobody can look, or where a response that failed or was cancelled left nothing, and then counted.
        var twice = run.Texts.Max(text => ledger.TimesAccepted(text)) - 1;
        var mayBeTwice = scenario.IsChain || scenario.EndsWithOwner || scenario.Fault?.Kind == OpenAIFaultKind.RunFails || scenario.FollowerDoes == BusyAction.Interrupt || run.HasLostALease;
        if (twice > (mayBeTwice ? postedAgain : 0))
        {
            yield return $"taken {twice} times too often, counted {postedAgain}";
        }

        foreach (var fault in JudgeOffers(scenario, run).Concat(JudgeDeadLetters(scenario, run)).Concat(JudgeCalls(run)))
        {
            yield return fault;
        }
    }

    private static List<string> TextsOfBranch(LedgerSnapshot ledger, string head)
    {
        var texts = new List<string>();
        for (var id = head; id is not null;)
        {
            var response = ledger.Runs.Single(r => r.Id == id);
            texts.InsertRange(0, response.Texts);
            id = response.PreviousResponseId;
        }

        return texts;
    }

    // 6: what was given up lies in the failed store, once and whole; nothing else does.
    private static IEnumerable<string> JudgeDeadLetters(CrashScenario scenario, CrashCase run)
    {
        var letters = run.DeadLetters;
        if (!scenario.DeliveryIsAbandoned && !scenario.EndsAsFailure)
        {
            return letters.Select(l => $"{l.BatchId} is in the failed store as {l.Kind}");
        }

        var isRight = letters is [var letter] && letter.MessageIds.SequenceEqual(["one", "two"]) && (scenario.DeliveryIsAbandoned
            ? letter is { Kind: FailureKind.Delivery, Reply: { } reply } && reply == Said([.. run.Texts], before: 0)
            : letter is { Kind: FailureKind.Permanent, Reply: null } && letter.Texts.SequenceEqual(run.Texts));
        return isRight ? [] : [$"the failed store has {string.Join("; ", letters)}"];
    }

    // Only the calls that an owner died with, or lost its lease with, are made again: under the same id by the next owner, and they say so.
    private static IEnumerable<string> JudgeCalls(CrashCase run)
    {
        foreach (var call in run.Calls.GroupBy(c => c.CallId))
        {
            // One owner dies; only a lost lease makes a call a third time.
            var isOften = !run.HasLostALease && (call.Count() > 2 || (call.Count() == 2 && call.First().IsRepeated));
            if (isOften || call.Skip(1).Any(c => !c.IsRepeated) || call.DistinctBy(c => c.Fence).Count() != call.Count() || !call.SequenceEqual(call.OrderBy(c => c.Fence)))
            {
                yield return $"call {call.Key} was made {call.Count()} times: {string.Join(", ", call.Select(c => $"fence {c.Fence}, repeated {c.IsRepeated}"))}";
            }
        }
    }

    // 9: each at least once, always with the same batch and text, in order.
    private static IEnumerable<string> JudgeOffers(CrashScenario scenario, CrashCase run)
    {
        if (scenario.DeliveryIsAbandoned)
        {
            yield break;
        }

        var offers = run.Offers;
        var batches = offers.DistinctBy(o => o.BatchId).ToList();
        string[] expected = scenario.HasFollower ? ["one", "two", "three"] : ["one", "two"];
        if (!batches.SelectMany(o => o.MessageIds).SequenceEqual(expected))
        {
            yield return "delivered " + string.Join("; ", batches.Select(b => string.Join(", ", b.MessageIds)));
        }

        if (offers.Distinct(OfferComparer.Instance).Count() != batches.Count)
        {
            yield return "one batch was delivered with different replies";
        }

        var said = 0;
        foreach (var batch in batches)
        {
            // The model says what it was sent: these messages, and before them those of the earlier batches.
            var reply = Said([.. batch.MessageIds.Select(id => run.Texts[Array.IndexOf(expected, id)])], said);
            var isRight = scenario.HasTool
                ? batch.Text?.StartsWith(Said([.. batch.MessageIds.Select(id => run.Texts[Array.IndexOf(expected, id)])], 0), StringComparison.Ordinal) == true
                    && batch.Text.Contains("look returned “seen”", StringComparison.Ordinal) == batch.MessageIds.Contains("one")
                : batch.Text == reply;
            if (!scenario.EndsAsFailure && !isRight)
            {
                yield return $"the reply is '{batch.Text}' instead of '{reply}'";
            }

            said += batch.MessageIds.Count;
        }
    }

    private static string Said(string[] texts, int before)
    {
        var quoted = texts.Select(t => $"“{t}”").ToArray();
        var said = quoted.Length == 1 ? $"You wrote: {quoted[0]}." : $"You wrote {quoted.Length} messages: {string.Join(", ", quoted[..^1])} and {quoted[^1]}.";
        return said + (before == 0 ? "" : $" Before that you had written {before} {(before == 1 ? "message" : "messages")}.");
    }

    private sealed class OfferComparer : IEqualityComparer<Offer>
    {
        public static OfferComparer Instance { get; } = new();

        public bool Equals(Offer? x, Offer? y) => x?.BatchId == y?.BatchId && x?.Text == y?.Text;

        public int GetHashCode(Offer obj) => HashCode.Combine(obj.BatchId, obj.Text);
    }
}
