using AssistantQueue.Emulators;

namespace AssistantQueue.Tests.OpenAIBackends;

/// <summary>An owner dies before and after each of its saves and calls, all of them enumerated; the next owner goes on with what was stored.</summary>
public class CrashPointTests : CrashTest
{
    [Theory]
    [InlineData(OpenAIApi.Responses, true, false)]
    [InlineData(OpenAIApi.Responses, true, true)]
    [InlineData(OpenAIApi.Responses, false, true)]
    [InlineData(OpenAIApi.Assistants, true, false)]
    [InlineData(OpenAIApi.Assistants, true, true)]
    public async Task Run_OwnerDiesAtAnyPoint_EachMessageIsInTheHistoryOnceAndAnswered(OpenAIApi api, bool background, bool stream)
    {
        var settings = Over(api, background, stream);
        // a stream whose client is gone ends with it
        Emulator.Options.LostStream = LostClient.Ends;
        var points = await PointsAsync(settings);
        Assert.True(points >= 10, $"only {points} points");
        for (var at = 1; at <= points; at++)
        {
            var (thread, reply, diedAt) = await DieAndGoOnAsync(settings, at);

            Assert.True(Ledger.TextsOf(thread) is ["one", "two"], $"point {at} ({diedAt}): {string.Join(", ", Ledger.TextsOf(thread))}");
            Assert.Contains("You wrote 2 messages", reply.Text);
            Assert.DoesNotContain("Before that", reply.Text);
        }

        Assert.Empty(Ledger.Overlaps);
    }

    [Theory]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public async Task Run_ChainAndOwnerDiesAtAnyPoint_TheBranchThatGoesOnHasEachMessageOnce(bool background, bool stream)
    {
        var settings = OverAChain(background, stream);
        var points = await PointsAsync(settings);
        for (var at = 1; at <= points; at++)
        {
            var (thread, reply, diedAt) = await DieAndGoOnAsync(settings, at);

            Assert.Contains("You wrote 2 messages", reply.Text);
            Assert.DoesNotContain("Before that", reply.Text);
            // between the post and the journal's id nobody can find it again: the one documented case
            var posts = Ledger.Runs.Count(r => r.ThreadKey == thread);
            Assert.True(posts == 1 || diedAt is "after POST /v1/responses" or "before save", $"point {at} ({diedAt}): {posts} posts");
        }
    }

    private protected override StoredBatch NewBatch(string thread, CrashingOwner owner) =>
        new(thread, "one", "two") { BatchId = "batch-" + thread, AtSave = point => owner.Pass(point == 0 ? "before save" : "after save") };

    private async Task<(string Thread, RunCompleted Reply, string? DiedAt)> DieAndGoOnAsync(Action<OpenAIOptions> settings, int at)
    {
        var thread = $"t{at}";
        var (batch, diedAt) = await DieAsync(settings, thread, at);
        return (thread, await CompleteAsync(NewBackend(settings), batch), diedAt);
    }
}
