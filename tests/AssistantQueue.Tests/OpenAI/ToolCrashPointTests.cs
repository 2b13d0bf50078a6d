namespace AssistantQueue.Tests.OpenAIBackends;

/// <summary>An owner dies before and after each save, each call to the API and each tool's work of a batch with two tool rounds; the next owner goes on with what was stored.</summary>
public class ToolCrashPointTests : CrashTest
{
    private const string Ask = "/say Let me look.\n/tool look {\"what\":\"here\"}\n/tool weigh {}\n/say And book.\n/then book {\"what\":\"it\"}";

    // what joins at the first tool round
    private readonly List<string> _joining = [];

    [Theory]
    [InlineData(OpenAIApi.Responses, true, false)]
    [InlineData(OpenAIApi.Responses, true, true)]
    [InlineData(OpenAIApi.Responses, false, true)]
    [InlineData(OpenAIApi.Assistants, true, false)]
    [InlineData(OpenAIApi.Assistants, true, true)]
    public async Task Run_OwnerDiesAtAnyPoint_EachPostCountsOnceAndNoToolIsCalledTwiceWhoseOutputWasStored(OpenAIApi api, bool background, bool stream)
    {
        var settings = Over(api, background, stream);
        var points = await PointsAsync(settings);
        Assert.True(points >= 36, $"only {points} points");
        for (var at = 1; at <= points; at++)
        {
            var end = await DieAndGoOnAsync(settings, at);
            var where = $"point {at} ({end.DiedAt})";

            Assert.True(Ledger.TextsOf(end.Thread) is ["one", Ask], $"{where}: {string.Join(", ", Ledger.TextsOf(end.Thread))}");
            AssertAnswered(end, where);
            // one run of the model a call: nothing was asked for anew
            Assert.True(end.Tools.Calls.Select(c => c.CallId).Distinct().Count() == 3, $"{where}: asked anew");
            var given = Ledger.Runs.Where(r => r.ThreadKey == end.Thread && r.Kept).SelectMany(r => r.ToolOutputs?.Keys ?? []).ToList();
            Assert.True(given.Count == 3 && given.Distinct().Count() == 3, $"{where}: outputs {string.Join(", ", given)}");
            if (api == OpenAIApi.Assistants)
            {
                Assert.True(Ledger.Runs.Count(r => r.ThreadKey == end.Thread) == 1, $"{where}: another run");
            }
            else if (background)
            {
                Assert.True(Ledger.Runs.Count(r => r.ThreadKey == end.Thread) == 3, $"{where}: {Ledger.Runs.Count(r => r.ThreadKey == end.Thread)} posts were taken");
            }
        }

        Assert.Empty(Ledger.Overlaps);
    }

    [Theory]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public async Task Run_ChainAndOwnerDiesAtAnyPoint_TheBranchThatGoesOnHasEachMessageAndOutputOnce(bool background, bool stream)
    {
        var settings = OverAChain(background, stream);
        var points = await PointsAsync(settings);
        for (var at = 1; at <= points; at++)
        {
            var end = await DieAndGoOnAsync(settings, at);
            var where = $"point {at} ({end.DiedAt})";

            AssertAnswered(end, where);
            // between the post and the journal's id nobody can find it again: the one documented case
            var posts = Ledger.Runs.Count(r => r.ThreadKey == end.Thread);
            Assert.True(posts == 3 || end.DiedAt is "after POST /v1/responses" or "before save", $"{where}: {posts} posts");
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Run_AnotherMessageJoinsAndOwnerDiesAtAnyPoint_IsInTheHistoryOnceAndAnsweredWithTheOthers(bool stream)
    {
        _joining.Add("and this");
        var settings = Over(OpenAIApi.Responses, background: true, stream);
        var points = await PointsAsync(settings);
        for (var at = 1; at <= points; at++)
        {
            var end = await DieAndGoOnAsync(settings, at);
            var where = $"point {at} ({end.DiedAt})";

            Assert.True(Ledger.TextsOf(end.Thread) is ["one", Ask, "and this"], $"{where}: {string.Join(", ", Ledger.TextsOf(end.Thread))}");
            AssertAnswered(end, where, messages: 3);
        }
    }

    private static void AssertAnswered(End end, string where, int messages = 2)
    {
        Assert.True(end.Reply.Text.StartsWith($"Let me look.\n\nAnd book.\n\nYou wrote {messages} messages", StringComparison.Ordinal), $"{where}: {end.Reply.Text}");
        Assert.False(end.Reply.Text.Contains("Before that", StringComparison.Ordinal), $"{where}: {end.Reply.Text}");
        foreach (var answer in (string[])["look returned “look here”", "weigh returned “weigh”", "book returned “book it”"])
        {
            Assert.True(end.Reply.Text.Contains(answer, StringComparison.Ordinal), $"{where}: {end.Reply.Text}");
        }

        foreach (var calls in end.Tools.Calls.GroupBy(c => c.CallId))
        {
            // a second time only when its owner died between the start and the stored output, and then it says so
            var mayRepeat = end.StartedAtDeath.Contains(calls.Key);
            Assert.True(calls.Count() == 1 || (calls.Count() == 2 && mayRepeat), $"{where}: {calls.First().Name} was called {calls.Count()} times");
            Assert.True(calls.Skip(1).All(c => c.IsRepeated && c.Fence == 2), $"{where}: a repeated call doesn't say so");
        }
    }

    private protected override StoredBatch NewBatch(string thread, CrashingOwner owner)
    {
        var tools = new TestTools().Add("look").Add("weigh").Add("book");
        tools.AtCall = (_, point) => owner.Pass(point == 0 ? "before tool" : "after tool");
        var batch = new StoredBatch(thread, "one", Ask)
        {
            BatchId = "batch-" + thread,
            Tools = tools,
            AtSave = point => owner.Pass(point == 0 ? "before save" : "after save"),
        };
        batch.Joining.AddRange(_joining);
        return batch;
    }

    private async Task<End> DieAndGoOnAsync(Action<OpenAIOptions> settings, int at)
    {
        var thread = $"t{at}";
        var (batch, diedAt) = await DieAsync(settings, thread, at);
        var started = batch.Journal is null ? [] : batch.StoredJournal.Rounds.SelectMany(r => r.Calls).Where(c => c.State == ToolCallState.Started).Select(c => c.CallId).ToHashSet();
        return new End(thread, await CompleteAsync(NewBackend(settings), batch), diedAt, batch.Tools!, started);
    }

    private sealed record End(string Thread, RunCompleted Reply, string? DiedAt, TestTools Tools, HashSet<string> StartedAtDeath);
}
