using AssistantQueue.Leases;
using AssistantQueue.Run;
using AssistantQueue.Store;
using AssistantQueue.Tests.Worker;
using AssistantQueue.Waiting;
using Microsoft.Extensions.Time.Testing;

namespace AssistantQueue.Tests.Run;

/// <summary>The journal's writer says when its run is to be left, also when somebody says so late.</summary>
public sealed class JournalWriterTests : IDisposable
{
    private readonly FakeTimeProvider _time = new();
    private readonly StopStages _stop = new();
    private readonly HeldLease _held;
    private readonly JournalWriter _writer;
    private readonly BatchRun _run;

    public JournalWriterTests()
    {
        _held = new HeldLease(new Lease("c1", 0, "w1", 7, "b1", _time.GetTimestamp()), _time, () => TimeSpan.FromSeconds(30));
        _writer = new JournalWriter(_held, new WritingStore(), _stop, new RunJournal(), mayInterrupt: true, _time, _ => { }, () => { });
        _run = new BatchRun(_writer.SaveAsync) { ThreadId = "c1", BatchId = "b1", Fence = 7, Messages = [] };
        _run.Journal.IsAdoptable = true;
        _run.Journal.Rounds.Add(new JournalRound { RunId = "run_1" });
    }

    public void Dispose()
    {
        _writer.Dispose();
        _stop.Dispose();
    }

    [Fact]
    public async Task Save_RunThatCanBeCancelledAndANewerMessageWantsIt_IsInterrupted()
    {
        _held.Wants(RunWish.Interrupt);
        Assert.False(_writer.Interrupted.IsCancellationRequested);

        await _run.SaveAsync(default);

        Assert.True(_writer.Interrupted.IsCancellationRequested);
    }

    [Fact]
    public async Task Save_OfARunThatWasLeft_StillWorks()
    {
        _writer.Dispose();
        _held.Wants(RunWish.Interrupt);
        await _stop.StopAsync();

        await _run.SaveAsync(default);

        Assert.True(_writer.Interrupted.IsCancellationRequested);
        Assert.True(_writer.GivenBack.IsCancellationRequested);
    }

    private sealed class WritingStore() : TroubledStore(null!)
    {
        public override Task<bool> WriteJournalAsync(Lease lease, JournalWrite write, CancellationToken cancellationToken) => Task.FromResult(true);
    }
}
