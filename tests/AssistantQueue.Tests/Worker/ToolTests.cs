using System.Collections.Concurrent;
using Microsoft.Extensions.AI;

namespace AssistantQueue.Tests.Worker;

/// <summary>Tool calls of a run: what they get, what becomes of them, and that none is made twice as long as its output is kept.</summary>
public class ToolTests
{
    [Fact]
    public async Task Calls_OfOneRound_RunSideBySideUpToTheLimit()
    {
        await using var rig = await RigAsync();
        rig.Options.Tools.MaxParallelCalls = 2;
        var (now, most) = (0, 0);
        using var two = new CountdownEvent(2);
        rig.Tools.Add(AIFunctionFactory.Create(
            async (int n) =>
            {
                most = Math.Max(most, Interlocked.Increment(ref now));
                if (!two.IsSet)
                {
                    two.Signal();
                }

                // The first two are there together, or the test ends here.
                await Task.Run(() => two.Wait(TestTimes.Patience));
                Interlocked.Decrement(ref now);
                return n * 10;
            },
            "tenfold"));
        rig.Backend.Answer = ToolRounds.Of([("c1", "tenfold", "{\"n\":1}"), ("c2", "tenfold", "{\"n\":2}"), ("c3", "tenfold", "{\"n\":3}")]);
        await rig.StartWorkerAsync();
        await rig.AddAsync("t", "go");

        Assert.Equal("10|20|30", (await rig.Handler.NextReplyAsync()).Text);
        Assert.Equal(2, most);
    }

    [Fact]
    public async Task Call_Made_KnowsItsIdItsFenceAndHasAScopeOfItsOwn()
    {
        await using var rig = await RigAsync();
        var calls = new ConcurrentBag<(ToolCall Call, IServiceProvider Services)>();
        rig.Tools.Add(AIFunctionFactory.Create(
            (AIFunctionArguments arguments) =>
            {
                calls.Add((arguments.GetToolCall()!, arguments.Services!));
                return "done";
            },
            "note"));
        rig.Backend.Answer = ToolRounds.Of([("c1", "note", "{}"), ("c2", "note", "")]);
        await rig.StartWorkerAsync();
        await rig.AddAsync("t", "go");
        var run = await rig.Backend.NextAsync();

        var reply = await rig.Handler.NextReplyAsync();

        Assert.Equal(["c1", "c2"], calls.Select(c => c.Call.CallId).Order());
        Assert.All(calls, c => Assert.Equal(("t", reply.BatchId, run.Fence, 1, "note", false), (c.Call.ThreadId, c.Call.BatchId, c.Call.Fence, c.Call.Attempt, c.Call.Name, c.Call.IsRepeated)));
        Assert.Equal(2, calls.Select(c => c.Services).Distinct().Count());
    }

    [Theory]
    [InlineData(false, "!Error: the tool failed.")]
    [InlineData(true, "!Error: no such order")]
    public async Task Tool_Throws_TheModelIsTold(bool details, string output)
    {
        await using var rig = await RigAsync();
        rig.Options.Tools.IncludeErrorDetails = details;
        rig.Tools.Add(AIFunctionFactory.Create(string () => throw new InvalidOperationException("no such order"), "order"));
        rig.Backend.Answer = ToolRounds.Of([[("c1", "order", "{}")]]);
        await rig.StartWorkerAsync();
        await rig.AddAsync("t", "go");

        Assert.Equal(output, (await rig.Handler.NextReplyAsync()).Text);
    }

    [Fact]
    public async Task Tool_HangsAndIgnoresItsCancellation_TheModelIsToldAndTheRunGoesOn()
    {
        await using var rig = await RigAsync();
        rig.Options.Tools.CallTimeout = TimeSpan.FromMilliseconds(50);
        var never = new TaskCompletionSource<string>();
        rig.Tools.Add(AIFunctionFactory.Create(() => never.Task, "hang"));
        rig.Backend.Answer = ToolRounds.Of([[("c1", "hang", "{}")]]);
        await rig.StartWorkerAsync();
        await rig.AddAsync("t", "go");

        Assert.Equal("!Error: the tool did not answer within 0.05 seconds.", (await rig.Handler.NextReplyAsync()).Text);
    }

    [Fact]
    public async Task Tool_ReturnsElevenMillionCharacters_TheModelIsTold()
    {
        await using var rig = await RigAsync();
        rig.Tools.Add(AIFunctionFactory.Create(() => new string('x', 11_000_000), "book"));
        rig.Backend.Answer = ToolRounds.Of([[("c1", "book", "{}")]]);
        await rig.StartWorkerAsync();
        await rig.AddAsync("t", "go");

        Assert.Equal("!Error: the tool's result has 11,000,000 characters, more than the 10,485,760 that can be taken.", (await rig.Handler.NextReplyAsync()).Text);
    }

    [Theory]
    [InlineData("nothing", "{}", "!Error: there is no tool named 'nothing'.")]
    [InlineData("add", "[1,2]", "!Error: the arguments are not a JSON object.")]
    [InlineData("add", "{\"a\":1", "!Error: the arguments are not a JSON object.")]
    [InlineData("add", "{\"a\":1,\"b\":2}", "3")]
    public async Task Call_ThatCanNotBeMade_TheModelIsTold(string tool, string arguments, string output)
    {
        await using var rig = await RigAsync();
        rig.Tools.Add(AIFunctionFactory.Create((int a, int b) => a + b, "add"));
        rig.Backend.Answer = ToolRounds.Of([[("c1", tool, arguments)]]);
        await rig.StartWorkerAsync();
        await rig.AddAsync("t", "go");

        Assert.Equal(output, (await rig.Handler.NextReplyAsync()).Text);
    }

    [Fact]
    public async Task Owner_DiesBetweenTwoCalls_TheNextMakesOnlyTheOneWithoutOutput()
    {
        await using var rig = await RigAsync();
        var made = new ConcurrentQueue<(string Id, bool IsRepeated)>();
        var blocked = new TaskCompletionSource();
        var isFirst = true;
        rig.Options.Tools.MaxParallelCalls = 1;
        rig.Tools.Add(AIFunctionFactory.Create(
            async (AIFunctionArguments arguments, CancellationToken cancellationToken) =>
            {
                var call = arguments.GetToolCall()!;
                made.Enqueue((call.CallId, call.IsRepeated));
                if (call.CallId == "c2" && isFirst)
                {
                    isFirst = false;
                    blocked.SetResult();
                    await Task.Delay(Timeout.InfiniteTimeSpan, cancellationToken);
                }

                return call.CallId;
            },
            "note"));
        rig.Backend.Answer = ToolRounds.Of([("c1", "note", "{}"), ("c2", "note", "{}")], [("c3", "note", "{}")]);
        var first = await rig.StartWorkerAsync(shutdown: TimeSpan.Zero);
        await rig.AddAsync("t", "go");
        await blocked.Task.WaitAsync(TestTimes.Patience);
        await first.StopAsync(CancellationToken.None);
        await rig.EndLeasesAsync();
        await rig.StartWorkerAsync();

        Assert.Equal("c1|c2|c3", (await rig.Handler.NextReplyAsync()).Text);
        Assert.Equal([("c1", false), ("c2", false), ("c2", true), ("c3", false)], made);
    }

    [Fact]
    public async Task Output_TooLongForTheJournal_IsHandedOnAndItsCallIsMadeAgainByTheNextOwner()
    {
        await using var rig = await RigAsync();
        var made = 0;
        var stop = new TaskCompletionSource();
        rig.Tools.Add(AIFunctionFactory.Create(
            () =>
            {
                made++;
                return new string('x', 70_000);
            },
            "book"));
        rig.Backend.Answer = async (run, cancellationToken) =>
        {
            var text = await ToolRounds.Of([[("c1", "book", "{}")]])(run, cancellationToken);
            if (made == 1)
            {
                stop.SetResult();
                await Task.Delay(Timeout.InfiniteTimeSpan, cancellationToken);
            }

            return $"{text.Length} {run.Journal.Rounds[0].Calls[0].State}";
        };
        var first = await rig.StartWorkerAsync(shutdown: TimeSpan.Zero);
        await rig.AddAsync("t", "go");
        await stop.Task.WaitAsync(TestTimes.Patience);
        await first.StopAsync(CancellationToken.None);
        await rig.EndLeasesAsync();
        await rig.StartWorkerAsync();

        Assert.Equal("70000 Started", (await rig.Handler.NextReplyAsync()).Text);
        Assert.Equal(2, made);
    }

    [Fact]
    public async Task Rounds_BeyondTheLimit_AreAnsweredWithAnErrorAndThenEndTheBatch()
    {
        await using var rig = await RigAsync();
        rig.Options.Tools.MaxRounds = 1;
        var made = 0;
        rig.Tools.Add(AIFunctionFactory.Create(() => ++made, "count"));
        rig.Backend.Answer = ToolRounds.Of([("c1", "count", "{}")], [("c2", "count", "{}")]);
        await rig.StartWorkerAsync();
        await rig.AddAsync("polite", "go");
        Assert.Equal("1|!Error: this conversation turn has called tools 1 times, the most it may. Answer with what you have, without calling tools.", (await rig.Handler.NextReplyAsync()).Text);

        rig.Backend.Answer = ToolRounds.Of([("c1", "count", "{}")], [("c2", "count", "{}")], [("c3", "count", "{}")]);
        await rig.AddAsync("stubborn", "go");
        var failure = await rig.Handler.NextFailureAsync();

        Assert.Equal(FailureKind.Permanent, failure.Kind);
        Assert.Contains("Tools:MaxRounds", failure.Error, StringComparison.Ordinal);
        Assert.Equal(2, made);
    }

    [Theory]
    [InlineData("with space")]
    [InlineData("")]
    public async Task Name_ThatNoModelTakes_StopsTheWorkerBeforeItBegins(string name)
    {
        await using var rig = await RigAsync();
        rig.Tools.Add(new NamedFunction(name));

        var e = await Assert.ThrowsAsync<InvalidOperationException>(() => rig.StartWorkerAsync());

        Assert.Contains($"'{name}'", e.Message, StringComparison.Ordinal);
    }

    private static async Task<WorkerRig> RigAsync() => new(await TestRedis.ConnectionStringAsync());

    private sealed class NamedFunction(string name) : AIFunction
    {
        public override string Name => name;

        protected override ValueTask<object?> InvokeCoreAsync(AIFunctionArguments arguments, CancellationToken cancellationToken) => default;
    }
}
