using AssistantQueue.Diagnostics;
using AssistantQueue.Leases;
using AssistantQueue.Store;
using AssistantQueue.Tests.Worker;
using AssistantQueue.Waiting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;
using Microsoft.Extensions.Time.Testing;

namespace AssistantQueue.Tests.Leases;

/// <summary>The four answers of a renewal: renewed, lost, unknown, unknown for too long.</summary>
public sealed class LeaseRenewerTests : IDisposable
{
    private readonly FakeTimeProvider _time = new();
    private readonly FakeLogger _log = new();
    private readonly QueueMetrics _metrics = new("");
    private readonly DueTimer _timer;
    private readonly AnsweringStore _store = new();
    private readonly List<TimeSpan?> _told = [];
    private readonly LeaseRenewer _renewer;

    public LeaseRenewerTests()
    {
        _timer = new DueTimer(_time, "test");
        _renewer = new LeaseRenewer(0, "w1", _store, () => new AssistantQueueOptions(), _timer, _time, _metrics, _log, (_, outcome) => _told.Add(outcome.NextLook));
    }

    public void Dispose()
    {
        _renewer.Dispose();
        _timer.Dispose();
        _metrics.Dispose();
    }

    [Fact]
    public void Round_Renewed_ProvesTheLeaseAndComesBackAfterAThird()
    {
        var held = Hold("c1");
        _time.Advance(TimeSpan.FromSeconds(10));

        Assert.Equal(TimeSpan.FromSeconds(10), _renewer.Round());
        Assert.Equal(TimeSpan.FromSeconds(28), held.Remaining);
    }

    [Fact]
    public void Round_AllLeases_TravelInOneCallWithTheirLastProof()
    {
        Hold("c1");
        Hold("c2");
        _renewer.Drop(Hold("c3"));

        _renewer.Round();

        Assert.Equal([["c1", "c2"]], _store.Asked);
    }

    [Fact]
    public void Round_OneLost_EndsThatOneOnly()
    {
        var lost = Hold("c1");
        var kept = Hold("c2");
        _store.Answer = leases => [.. leases.Select(l => l.ThreadId == "c1" ? RenewAnswer.Lost : RenewAnswer.Renewed)];

        _renewer.Round();

        Assert.True(lost.Ended.IsCancellationRequested);
        Assert.False(kept.Ended.IsCancellationRequested);
        _renewer.Round();
        Assert.Equal(["c2"], _store.Asked[^1]);
    }

    [Fact]
    public void Round_LostWhileItsFinishIsUnderWay_LeavesTheAnswerToTheFinish()
    {
        var held = Hold("c1");
        held.IsFinishing = true;
        _store.Answer = leases => [RenewAnswer.Lost];

        _renewer.Round();

        Assert.False(held.Ended.IsCancellationRequested);
    }

    [Fact]
    public void Round_Unknown_AsksAgainSoonAndGoesOnUntilTheLeasesOwnClockIsOver()
    {
        var held = Hold("c1");
        _store.Answer = leases => [RenewAnswer.Unknown];

        Assert.True(_renewer.Round() <= TimeSpan.FromSeconds(1));
        _time.Advance(TimeSpan.FromSeconds(27.9));
        Assert.False(held.Ended.IsCancellationRequested);
        _time.Advance(TimeSpan.FromSeconds(0.2));

        Assert.True(held.Ended.IsCancellationRequested);
        Assert.False(held.IsLost);
    }

    [Fact]
    public void Round_Answered_TellsWhatIsDueNext()
    {
        _store.Next = TimeSpan.FromSeconds(7);
        _renewer.Round();
        _store.Next = null;
        _renewer.Round();
        _store.Answer = _ => [RenewAnswer.Unknown];
        _renewer.Round();

        Assert.Equal([TimeSpan.FromSeconds(7), null], _told);
    }

    [Fact]
    public void Drop_NothingMayBeDoneUnderTheLeaseAnyMore()
    {
        var held = Hold("c1");

        _renewer.Drop(held);

        Assert.False(held.IsProven);
    }

    [Fact]
    public void Round_StoreThrowsWhateverItIs_CountsAsUnknownAndSaysSoOnceAMinute()
    {
        Hold("c1");
        _store.Answer = _ => throw new InvalidOperationException("a bug");

        for (var i = 0; i < 20; i++)
        {
            _renewer.Round();
            _time.Advance(TimeSpan.FromSeconds(1));
        }

        Assert.Single(_log.Collector.GetSnapshot(), r => r.Level == LogLevel.Error);
    }

    [Fact]
    public void Round_RunThatCanNotBeTold_IsSaidAndTheOthersAreRenewed()
    {
        var broken = Hold("c1");
        var held = Hold("c2");
        broken.OnWish(() => throw new ObjectDisposedException("the run's"));
        _store.Wish = RunWish.Interrupt;
        _time.Advance(TimeSpan.FromSeconds(10));

        Assert.Equal(TimeSpan.FromSeconds(10), _renewer.Round());

        Assert.Equal((TimeSpan.FromSeconds(28), TimeSpan.FromSeconds(28)), (broken.Remaining, held.Remaining));
        Assert.Equal(RunWish.Interrupt, held.Wish);
        Assert.Equal(211, Assert.Single(_log.Collector.GetSnapshot()).Id.Id);
    }

    private HeldLease Hold(string thread) => _renewer.Hold(new Lease(thread, 0, "w1", 7, "b1", _time.GetTimestamp()));

    /// <summary>Only renews.</summary>
    private sealed class AnsweringStore : TroubledStore
    {
        public AnsweringStore()
            : base(null!)
        {
        }

        public List<List<string>> Asked { get; } = [];

        public TimeSpan? Next { get; set; }

        public Func<IReadOnlyList<Lease>, IReadOnlyList<RenewAnswer>> Answer { get; set; } =
            leases => [.. leases.Select(_ => RenewAnswer.Renewed)];

        /// <summary>What newer messages want of each run.</summary>
        public RunWish Wish { get; set; }

        public override RenewOutcome Renew(int partition, string workerId, IReadOnlyList<Lease> leases)
        {
            Asked.Add([.. leases.Select(l => l.ThreadId)]);
            var answers = Answer(leases);
            return new RenewOutcome(!answers.Contains(RenewAnswer.Unknown), [.. answers.Select(answer => new Renewal(answer, Wish))], TimeSpan.FromSeconds(30), Next);
        }
    }
}
