using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using AssistantQueue.Diagnostics;
using AssistantQueue.Run;
using AssistantQueue.Store;
using AssistantQueue.Tests.Worker;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.Metrics.Testing;
using Microsoft.Extensions.Logging.Testing;
using Microsoft.Extensions.Time.Testing;

namespace AssistantQueue.Tests.Run;

/// <summary>The calls of one round, without a worker around them: each step of the test is one of theirs.</summary>
public sealed class RunToolsTests : IDisposable
{
    private readonly FakeTimeProvider _time = new();
    private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().AddScoped<Scoped>().BuildServiceProvider();
    private readonly QueueMetrics _metrics;
    private readonly ToolOptions _options = new();
    private readonly List<AIFunction> _functions = [];
    private readonly Dictionary<string, ToolDecision> _decisions = [];
    private readonly ConcurrentQueue<string> _told = new();
    private Func<BatchRun, Task> _save = _ => Task.CompletedTask;

    public RunToolsTests() => _metrics = new QueueMetrics("", _services.GetRequiredService<IMeterFactory>());

    public void Dispose()
    {
        _metrics.Dispose();
        _services.Dispose();
    }

    [Fact]
    public async Task Calls_MoreThanTheLimit_WaitUntilOneHasEnded()
    {
        _options.MaxParallelCalls = 2;
        var goOn = new TaskCompletionSource();
        _functions.Add(AIFunctionFactory.Create(
            async (int n) =>
            {
                await goOn.Task;
                return n * 10;
            },
            "tenfold"));

        var calling = CallAsync(Call("c1", "tenfold", "{\"n\":1}"), Call("c2", "tenfold", "{\"n\":2}"), Call("c3", "tenfold", "{\"n\":3}"));

        // All that can begin has begun when the call comes back: nothing before a tool waits for anything here.
        Assert.Equal(["called c1", "called c2"], _told);
        goOn.SetResult();
        Assert.Equal(["10", "20", "30"], (await calling).Select(o => o.Output));
        Assert.Contains("called c3", _told);
    }

    [Fact]
    public async Task Services_OfDI_AreOnesOwnForEachCallAndDisposedAfterIt()
    {
        var got = new ConcurrentDictionary<string, Scoped>();
        _functions.Add(AIFunctionFactory.Create(
            (AIFunctionArguments arguments) =>
            {
                var mine = arguments.Services!.GetRequiredService<Scoped>();
                Assert.Same(mine, arguments.Services!.GetRequiredService<Scoped>());
                got[arguments.GetToolCall()!.CallId] = mine;
                return mine.IsDisposed ? "disposed" : "open";
            },
            "look"));

        var outputs = await CallAsync(Call("c1", "look"), Call("c2", "look"));

        Assert.Equal(["open", "open"], outputs.Select(o => o.Output));
        Assert.NotSame(got["c1"], got["c2"]);
        Assert.All(got.Values, scoped => Assert.True(scoped.IsDisposed));
    }

    [Fact]
    public async Task Lease_LostByOneCall_StopsTheOthers()
    {
        var (began, stopped) = (new TaskCompletionSource(), new TaskCompletionSource());
        _functions.Add(AIFunctionFactory.Create(
            async () =>
            {
                await began.Task;
                return "done";
            },
            "quick"));
        _functions.Add(AIFunctionFactory.Create(
            async (CancellationToken cancellationToken) =>
            {
                await using var registration = cancellationToken.Register(() => stopped.TrySetResult());
                began.SetResult();
                await Task.Delay(Timeout.InfiniteTimeSpan, cancellationToken);
            },
            "slow"));
        var saves = 0;
        _save = run => ++saves == 1 ? Task.CompletedTask : throw new LeaseLostException(run.ThreadId, run.Fence);

        await Assert.ThrowsAsync<LeaseLostException>(() => CallAsync(Call("c1", "slow"), Call("c2", "quick")).WaitAsync(TestTimes.Patience));

        await stopped.Task.WaitAsync(TestTimes.Patience);
    }

    [Fact]
    public async Task Call_ThatIsRejected_IsToldAsFailed()
    {
        _functions.Add(NeedsApproval("refund"));
        _decisions["c1"] = new ToolDecision(IsApproved: false, "No.");

        var output = Assert.Single(await CallAsync(Call("c1", "refund")));

        Assert.Equal(("The call was rejected: No.", true), (output.Output, output.IsError));
        Assert.Equal(["answered c1 error"], _told);
    }

    [Fact]
    public async Task Call_ThatNobodyDecidesInTime_IsToldAsFailed()
    {
        _functions.Add(NeedsApproval("refund"));
        var call = Call("c1", "refund");
        await Assert.ThrowsAsync<ApprovalPendingException>(() => CallAsync(call));
        Assert.Empty(_told);
        _time.Advance(_options.ApprovalTimeout);

        Assert.True(Assert.Single(await CallAsync(call)).IsError);

        Assert.Equal(["answered c1 error"], _told);
    }

    [Fact]
    public async Task Call_OfAToolThatTheModelMadeUp_AddsNoNameToTheMetric()
    {
        using var collector = new MetricCollector<double>(_services.GetRequiredService<IMeterFactory>(), QueueMetrics.MeterName, "assistantqueue.tool.duration");
        _functions.Add(AIFunctionFactory.Create(() => 1, "known"));

        await CallAsync(Call("c1", "known"), Call("c2", "made_up_4711"));

        Assert.Equal(
            ["(unknown)", "known"],
            collector.GetMeasurementSnapshot().Select(m => (string)m.Tags["tool"]!).Order(StringComparer.Ordinal));
    }

    private static ApprovalRequiredAIFunction NeedsApproval(string name) => new(AIFunctionFactory.Create(() => "done", name));

    private static JournalToolCall Call(string id, string tool, string? arguments = null) => new() { CallId = id, Name = tool, Arguments = arguments };

    private Task<IReadOnlyList<ToolCallOutput>> CallAsync(params JournalToolCall[] calls)
    {
        var log = new FakeLogger();
        var caller = new ToolCaller(_services.GetRequiredService<IServiceScopeFactory>(), _time, log);
        var run = new BatchRun((r, _) => _save(r)) { ThreadId = "c1", BatchId = "b1", Fence = 7, Messages = [] };
        var round = new JournalRound { RunId = "r1", Calls = [.. calls] };
        run.Journal.Rounds.Add(round);
        var tools = new RunTools(new ToolSet("", _functions), caller, () => _options, _decisions, Tell, _metrics, _time, log);
        return tools.CallAsync(run, round, CancellationToken.None);
    }

    private ValueTask Tell(RunUpdate update)
    {
        _told.Enqueue(update switch
        {
            RunToolCalled called => $"called {called.CallId}",
            RunToolAnswered answered => $"answered {answered.CallId}{(answered.IsError ? " error" : "")}",
            _ => update.GetType().Name,
        });
        return ValueTask.CompletedTask;
    }

    private sealed class Scoped : IAsyncDisposable
    {
        public bool IsDisposed { get; private set; }

        public ValueTask DisposeAsync()
        {
            IsDisposed = true;
            return ValueTask.CompletedTask;
        }
    }
}
