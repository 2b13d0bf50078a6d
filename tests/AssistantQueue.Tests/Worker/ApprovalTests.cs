using System.Threading.Channels;
using AssistantQueue.Admin;
using AssistantQueue.Store;
using Microsoft.Extensions.AI;

namespace AssistantQueue.Tests.Worker;

/// <summary>Tool calls that somebody has to approve: the batch rests without a worker, and goes on with the decision.</summary>
public class ApprovalTests
{
    [Fact]
    public async Task Call_Approved_IsMadeAndTheRunGoesOn()
    {
        await using var rig = await RigAsync();
        await rig.AddAsync("t", "refund");
        var asked = await AskedAsync(rig, "t");

        Assert.Equal([("c1", "refund", "{\"euro\":5}")], asked.Calls.Select(c => (c.CallId, c.Name, c.Arguments!)));
        await rig.Admin().ApproveAsync("t", "c1");

        Assert.Equal("refunded 5|looked", (await rig.Handler.NextReplyAsync()).Text);
    }

    [Fact]
    public async Task Call_ApprovedWhileTheRunGivesItsThreadBack_GoesOnAtOnce()
    {
        // So many partitions and such a long lease that nothing but the worker's own memory makes it look within this test's patience.
        await using var rig = await NewRigAsync(partitions: 64);
        rig.Options.LockDuration = TimeSpan.FromMinutes(10);
        await rig.AddAsync("t", "refund");
        var store = rig.Connect();
        store.Meanwhile = async method =>
        {
            if (method == nameof(IQueueStore.ReleaseAsync))
            {
                var batch = (await rig.Store.ReadApprovalAsync("t", default))!.BatchId;
                await rig.Store.DecideAsync("t", batch, "c1", new ToolDecision(true, ""), default);
            }
        };

        await rig.StartWorkerAsync(store: store);

        Assert.Equal("refunded 5|looked", (await rig.Handler.NextReplyAsync()).Text);
    }

    [Theory]
    [InlineData(null, "!The call was rejected.|looked")]
    [InlineData("Too much money, and\nnobody asked.", "!The call was rejected: Too much money, and\nnobody asked.|looked")]
    public async Task Call_Rejected_TheModelIsToldWhy(string? reason, string text)
    {
        await using var rig = await RigAsync();
        await rig.AddAsync("t", "refund");
        await AskedAsync(rig, "t");

        await rig.Admin().RejectAsync("t", "c1", reason);

        Assert.Equal(text, (await rig.Handler.NextReplyAsync()).Text);
    }

    [Fact]
    public async Task Call_NobodyDecides_CountsAsRejectedInTheEnd()
    {
        await using var rig = await RigAsync();
        rig.Options.Tools.ApprovalTimeout = TimeSpan.FromMilliseconds(300);
        await rig.AddAsync("t", "refund");

        Assert.Equal("!The call was rejected: nobody approved it in time.|looked", (await rig.Handler.NextReplyAsync()).Text);
    }

    [Fact]
    public async Task Thread_ThatRests_HoldsItsNewerMessagesAndNobodyElses()
    {
        await using var rig = await RigAsync();
        await rig.AddAsync("t", "refund");
        await AskedAsync(rig, "t");
        await rig.AddAsync("t", "hello?");
        await rig.AddAsync("other", "hi");

        Assert.Equal("other", (await rig.Handler.NextReplyAsync()).ThreadId);
        await rig.Admin().ApproveAsync("t", "c1");
        Assert.Equal(["refunded 5|looked", "looked"], [(await rig.Handler.NextReplyAsync()).Text, (await rig.Handler.NextReplyAsync()).Text]);
    }

    [Fact]
    public async Task Watcher_ThatComesLate_IsToldWhatIsWaitedFor()
    {
        await using var rig = await RigAsync();
        await rig.AddAsync("t", "refund");
        await AskedAsync(rig, "t");

        var asked = await AskedAsync(rig, "t", after: "0");

        Assert.Equal("c1", Assert.Single(asked.Calls).CallId);
    }

    [Fact]
    public async Task Decision_Repeated_ChangesNothingAndTheOppositeIsRefused()
    {
        await using var rig = await RigAsync();
        rig.Gate = new TaskCompletionSource();
        await rig.AddAsync("t", "refund");
        await AskedAsync(rig, "t");
        var admin = rig.Admin();
        await admin.ApproveAsync("t", "c1");
        await admin.ApproveAsync("t", "c1");

        await Assert.ThrowsAsync<ToolCallNotFoundException>(() => admin.RejectAsync("t", "c1"));
        rig.Gate.SetResult();
        Assert.Equal("refunded 5|looked", (await rig.Handler.NextReplyAsync()).Text);
    }

    [Fact]
    public async Task Decision_ForNothingThatWaits_IsRefused()
    {
        await using var rig = await RigAsync();
        var admin = rig.Admin();

        await Assert.ThrowsAsync<ToolCallNotFoundException>(() => admin.ApproveAsync("nobody", "c1"));
        await rig.AddAsync("t", "refund");
        await AskedAsync(rig, "t");
        var e = await Assert.ThrowsAsync<ToolCallNotFoundException>(() => admin.ApproveAsync("t", "c9"));
        Assert.Equal(("t", "c9"), (e.ThreadId, e.CallId));
    }

    [Fact]
    public async Task Worker_DiesInTheApprovedCall_TheNextOneMakesItAgainWithoutAsking()
    {
        await using var rig = await RigAsync();
        rig.Gate = new TaskCompletionSource();
        await rig.AddAsync("t", "refund");
        await AskedAsync(rig, "t");
        await rig.Admin().ApproveAsync("t", "c1");
        Assert.False(await rig.NextCallAsync());
        rig.FirstStore.Before = _ => TroubledStore.Unavailable();
        await rig.EndLeasesAsync();
        await rig.StartWorkerAsync();

        Assert.True(await rig.NextCallAsync());
        rig.Gate.SetResult();

        Assert.Equal("refunded 5|looked", (await rig.Handler.NextReplyAsync()).Text);
        rig.FirstStore.Before = _ => { };
    }

    [Fact]
    public async Task Worker_StopsBeforeTheDecision_TheNextOneMakesTheCall()
    {
        await using var rig = await RigAsync();
        await rig.AddAsync("t", "refund");
        await AskedAsync(rig, "t");
        await rig.StopWorkersAsync();
        await rig.Admin().ApproveAsync("t", "c1");
        await rig.StartWorkerAsync();

        Assert.Equal("refunded 5|looked", (await rig.Handler.NextReplyAsync()).Text);
    }

    private static async Task<ApprovalRequested> AskedAsync(ApprovalRig rig, string thread, string? after = "0")
    {
        using var limit = new CancellationTokenSource(TestTimes.Patience);
        await foreach (var update in rig.Queue().WatchThreadAsync(thread, after, limit.Token))
        {
            if (update is ApprovalRequested asked)
            {
                return asked;
            }
        }

        throw new InvalidOperationException("The watching ended.");
    }

    private static async Task<ApprovalRig> RigAsync()
    {
        var rig = await NewRigAsync();
        await rig.StartWorkerAsync(store: rig.FirstStore);
        return rig;
    }

    private static async Task<ApprovalRig> NewRigAsync(int partitions = 1)
    {
        var rig = new ApprovalRig(await TestRedis.ConnectionStringAsync(), partitions);
        rig.Tools.Add(new ApprovalRequiredAIFunction(AIFunctionFactory.Create(
            async (int euro, AIFunctionArguments arguments) =>
            {
                rig.Called(arguments.GetToolCall()!.IsRepeated);
                await (rig.Gate?.Task ?? Task.CompletedTask);
                return $"refunded {euro}";
            },
            "refund")));
        rig.Tools.Add(AIFunctionFactory.Create(() => "looked", "look"));
        rig.Backend.Answer = (run, token) => TestBackend.TextOf(run) == "refund"
            ? ToolRounds.Of([("c1", "refund", "{\"euro\":5}"), ("c2", "look", "{}")])(run, token)
            : Task.FromResult("looked");
        return rig;
    }

    private sealed class ApprovalRig : WorkerRig
    {
        private readonly Channel<bool> _calls = Channel.CreateUnbounded<bool>();

        public ApprovalRig(string redis, int partitions)
            : base(redis, partitions) => FirstStore = Connect();

        /// <summary>The first worker's store.</summary>
        public TroubledStore FirstStore { get; }

        /// <summary>What the refund waits for.</summary>
        public TaskCompletionSource? Gate { get; set; }

        public void Called(bool isRepeated) => _calls.Writer.TryWrite(isRepeated);

        /// <summary>Waits for the next call of the refund.</summary>
        /// <returns>Whether it may have been made before.</returns>
        public async Task<bool> NextCallAsync() => await _calls.Reader.ReadAsync().AsTask().WaitAsync(TestTimes.Patience);

        public AssistantQueueAdmin Admin() => new(Store.Failed, new ToolApprovals(Store));
    }
}
