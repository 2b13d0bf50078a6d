using System.Reflection;
using AssistantQueue.Diagnostics;
using AssistantQueue.Leases;
using AssistantQueue.Outcomes;
using AssistantQueue.Run;
using AssistantQueue.Store;
using AssistantQueue.Tests.Worker;
using AssistantQueue.Waiting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace AssistantQueue.Tests.Run;

/// <summary>An interruption on a clock that is moved by hand: it takes as long as the API needs, and its time is bounded by the run's and the lease's.</summary>
public sealed class InterruptTests : IDisposable
{
    private readonly FakeTimeProvider _time = new();
    private readonly TestBackend _backend = new();
    private readonly AssistantQueueOptions _options = new() { RunTimeout = TimeSpan.FromMinutes(5) };
    private readonly StopStages _stop = new();
    private readonly QueueMetrics _metrics = new("");
    private readonly ServiceProvider _services = new ServiceCollection().BuildServiceProvider();
    private readonly TaskCompletionSource _posted = NewSignal();
    private readonly TaskCompletionSource _cancelling = NewSignal();
    private readonly TaskCompletionSource _ended = NewSignal();
    private readonly HeldLease _held;

    public InterruptTests()
    {
        _held = new HeldLease(new Lease("t", 0, "w", 7, "b", _time.GetTimestamp()), _time, () => TimeSpan.FromHours(1));
        _backend.Answer = async (run, token) =>
        {
            await PostAsync(run);
            await Task.Delay(Timeout.InfiniteTimeSpan, token);
            return "never";
        };
        _backend.Cancel = async (_, token) =>
        {
            _cancelling.TrySetResult();
            await _ended.Task.WaitAsync(token);
        };
    }

    private static TimeSpan Minute { get; } = TimeSpan.FromMinutes(1);

    [Fact]
    public async Task Interrupt_RunIsCancellingForAMinute_IsWaitedForAndIsNoFailure()
    {
        var running = await InterruptAsync();
        await _cancelling.Task.WaitAsync(TestTimes.Patience);
        _time.Advance(Minute);
        _ended.SetResult();

        var interrupted = Assert.IsType<RunInterrupted>(await running);
        Assert.Equal((1, false, 0), (interrupted.Run.Journal.Interruptions, interrupted.Run.Journal.IsInterrupting, interrupted.Run.Journal.Rounds.Count));
    }

    [Fact]
    public async Task Interrupt_RunIsCancellingBeyondItsTime_FailsAndTheNextAttemptGoesOnWithIt()
    {
        var running = await InterruptAsync();
        await _cancelling.Task.WaitAsync(TestTimes.Patience);
        _time.Advance(_options.RunTimeout);

        var failed = Assert.IsType<RunFailed>(await running);
        Assert.True(failed.KeepsRounds);
        Assert.Contains("RunTimeout", failed.Error.Message, StringComparison.Ordinal);
        Assert.Equal((true, "run_1"), (failed.Run.Journal.IsInterrupting, failed.Run.Journal.LastRound?.RunId));
    }

    [Fact]
    public async Task Interrupt_HostStopsWhileTheRunIsCancelling_LeavesItToTheNextOwner()
    {
        var running = await InterruptAsync();
        await _cancelling.Task.WaitAsync(TestTimes.Patience);
        await _stop.StopAsync();

        // The stored journal stays: it says that the run is being interrupted.
        Assert.Null(Assert.IsType<RunStopped>(await running).Journal);
    }

    [Fact]
    public async Task Interrupt_LeaseEndsWhileTheRunIsCancelling_LeavesItAlone()
    {
        var running = await InterruptAsync();
        await _cancelling.Task.WaitAsync(TestTimes.Patience);
        _held.Lost();

        Assert.IsType<RunLeaseEnded>(await running);
    }

    [Fact]
    public async Task Interrupt_BackendStopsAfterAMinute_IsWaitedForAndIsNoFailure()
    {
        var (told, stops) = (NewSignal(), NewSignal());
        _backend.Answer = async (run, token) =>
        {
            await PostAsync(run);
            await Task.Delay(Timeout.InfiniteTimeSpan, token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            told.SetResult();
            await stops.Task;
            token.ThrowIfCancellationRequested();
            return "never";
        };
        _ended.SetResult();
        var running = await InterruptAsync();
        await told.Task.WaitAsync(TestTimes.Patience);
        _time.Advance(Minute);
        stops.SetResult();

        Assert.IsType<RunInterrupted>(await running);
    }

    [Fact]
    public async Task Interrupt_BackendDoesNotStopAndAnswers_TakesTheReply()
    {
        var answers = NewSignal();
        _backend.Answer = async (run, _) =>
        {
            await PostAsync(run);
            await answers.Task;
            return "there";
        };
        var running = await InterruptAsync();
        _time.Advance(Minute);
        answers.SetResult();

        Assert.Equal("there", Assert.IsType<RunReplied>(await running).Reply.Text);
    }

    [Theory]
    [InlineData("cancelled", true)]
    [InlineData(null, false)]
    public async Task Interrupt_AnswerToTheCancellationIsLost_HowTheRunEndedCounts(string? code, bool isInterrupted)
    {
        var runs = 0;
        var post = _backend.Answer;
        _backend.Answer = (run, token) =>
        {
            if (++runs == 1)
            {
                return post(run, token);
            }

            run.Journal.Rounds.Clear();
            throw new AssistantBackendException(BackendErrorKind.Transient, "It ended without a reply.") { Code = code };
        };
        _backend.Cancel = (_, _) => throw new AssistantBackendException(BackendErrorKind.Transient, "The answer was lost.");

        var outcome = await await InterruptAsync();

        Assert.Equal((2, isInterrupted), (runs, outcome is RunInterrupted));
    }

    public void Dispose()
    {
        _stop.Dispose();
        _metrics.Dispose();
        _services.Dispose();
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Begins the run and lets a newer message interrupt it once it has an id.</summary>
    private async Task<Task<RunOutcome>> InterruptAsync()
    {
        var caller = new ToolCaller(_services.GetRequiredService<IServiceScopeFactory>(), _time, NullLogger.Instance);
        var step = new RunStep(
            "", DispatchProxy.Create<IQueueStore, JournalOnly>(), _backend, new ToolSet("", []), caller, () => _options, _stop, new LiveReplies(), _metrics, _time, NullLogger.Instance);
        var running = Task.Run(() => step.RunAsync(Batch(_held.Lease), _held));
        await _posted.Task.WaitAsync(TestTimes.Patience);
        _held.Wants(RunWish.Interrupt);
        return running;
    }

    private async Task PostAsync(BatchRun run)
    {
        run.Journal.Rounds.Add(new JournalRound { RunId = "run_1" });
        run.Journal.IsAdoptable = true;
        await run.SaveAsync(CancellationToken.None);
        _posted.TrySetResult();
    }

    private static ClaimedBatch Batch(Lease lease) => new()
    {
        Lease = lease,
        FirstSequence = 1,
        LastSequence = 1,
        FailedAttempts = 0,
        AttemptedThrough = 0,
        Deaths = 0,
        IsTakeover = false,
        Entries = [new StoredEntry(1, DateTimeOffset.UnixEpoch, """{"id":"m1","text":"hi"}""")],
        Conversation = new Dictionary<string, string>(),
        Errors = [],
    };

    /// <summary>A store in which nothing but the journal is written.</summary>
#pragma warning disable CA1852 // The runtime derives the proxy from it.
    internal class JournalOnly : DispatchProxy
#pragma warning restore CA1852
    {
        protected override object? Invoke(MethodInfo? targetMethod, object?[]? args) => targetMethod!.Name == nameof(IQueueStore.WriteJournalAsync)
            ? Task.FromResult(true)
            : throw new NotSupportedException($"A run that is interrupted doesn't call {targetMethod.Name}.");
    }
}
