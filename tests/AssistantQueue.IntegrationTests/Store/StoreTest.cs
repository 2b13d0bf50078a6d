using AssistantQueue.Redis;
using AssistantQueue.Store;
using Microsoft.Extensions.Logging.Abstractions;
using StackExchange.Redis;

namespace AssistantQueue.IntegrationTests.Store;

/// <summary>One test's queue on a server: a prefix of its own, the store, raw writing and reading, and what a call changed.</summary>
public abstract class StoreTest(StoreServer server) : IAsyncLifetime
{
    private protected static readonly TimeSpan Second = TimeSpan.FromSeconds(1);
    private static int s_messages;
    private int _broken;

    protected string P { get; } = $"{{t{Guid.NewGuid():N}:0}}";

    protected AssistantQueueOptions Options { get; } = new();

    protected static CancellationToken Ct => CancellationToken.None;

    protected IConnectionMultiplexer Connection { get; private set; } = null!;

    protected IDatabase Database => Connection.GetDatabase();

    protected StoreServer Server => server;

    private protected RedisQueueStore Store { get; private set; } = null!;

    private protected Seed Seed { get; private set; } = null!;

    private protected Read Read { get; private set; } = null!;

    private protected ScriptCalls Calls { get; private set; } = null!;

    /// <summary>How often the connection broke during the test.</summary>
    protected int Broken => Volatile.Read(ref _broken);

    public virtual async Task InitializeAsync()
    {
        Connection = await server.ConnectAsync();
        Connection.ConnectionFailed += CountBreak;
        Options.QueuePrefix = P[1..^3];
        Store = NewStore(Options, Connection);
        (Seed, Read, Calls) = (new(Database, P), new(Database, P), new(Database, P));
        // Before its first call the store doesn't know how long Redis has been reachable.
        await Store.GetStatusAsync(Ct);
    }

    public virtual async Task DisposeAsync()
    {
        await Invariants.CheckAsync(Connection, P, IsConsistent);
        await Snapshot.ForgetAsync(Connection, P);
        Connection.ConnectionFailed -= CountBreak;
        await Store.DisposeAsync();
    }

    /// <summary>Whether the counters must agree with the lists at the end; false where a test wrote over keys.</summary>
    protected bool IsConsistent { get; set; } = true;

    private protected static RedisQueueStore NewStore(AssistantQueueOptions options, IConnectionMultiplexer connection) =>
        new(RedisConnection.Given("", () => connection, TimeSpan.FromSeconds(30), TimeProvider.System, NullLogger.Instance), () => options, TimeProvider.System);

    private protected static NewMessage Message(string text, string? id = null, TimeSpan? delay = null, bool flush = false) =>
        new(id ?? "auto-" + Interlocked.Increment(ref s_messages), id is not null, text, text.Length, delay, flush);

    private protected Task<EnqueueOutcome> EnqueueAsync(string thread, params NewMessage[] messages) =>
        Store.EnqueueAsync(new EnqueueUnit(thread, messages), Ct);

    private protected Task<ClaimOutcome> ClaimAsync(string worker = "w1", int max = 10, bool suspects = false, string? token = null, int? free = null) =>
        Store.ClaimAsync(new ClaimRequest(0, worker, token ?? Guid.NewGuid().ToString("N"), max, free ?? max, suspects), Ct);

    private protected async Task<ClaimedBatch> ClaimOneAsync(string worker = "w1", bool suspects = false) =>
        Assert.Single((await ClaimAsync(worker, 1, suspects)).Batches);

    private protected static string[] Texts(ClaimedBatch batch) => [.. batch.Entries.Select(e => e.Body)];

    /// <summary>The texts of stored lines; of one whose header can't be read the line itself.</summary>
    private protected static string[] TextsOf(IEnumerable<string> lines) => [.. lines.Select(line => line.Split(' ', 4) is [_, _, _, var text] ? text : line)];

    private protected Task<FinishAnswer> CompleteAsync(Lease lease, string reply = "reply", bool keep = false, bool deliver = true, params KeyValuePair<string, string?>[] conversation) =>
        Store.CompleteAsync(lease, new CompleteWrite(reply, conversation, deliver, keep), Ct);

    private protected Task<FinishAnswer> RetryAsync(Lease lease, bool posted = false, TimeSpan delay = default) =>
        Store.RetryAsync(lease, new RetryWrite(delay, "error", "journal", posted), Ct);

    private protected Task<FinishAnswer> ReleaseAsync(Lease lease, bool posted = false, TimeSpan delay = default, bool hold = false, string? journal = null) =>
        Store.ReleaseAsync(lease, new ReleaseWrite(delay, journal, posted, hold ? ReleaseHold.NewerVersion : ReleaseHold.None), Ct);

    private protected Task<FinishAnswer> FailAsync(Lease lease, long? last = null, bool deliver = true, string failure = "failure") =>
        Store.FailAsync(lease, new FailWrite(failure, FailureKind.AttemptsExhausted, [], deliver, last), Ct);

    /// <summary>What the call changed, every key of the queue considered.</summary>
    protected async Task<string[]> ChangesOfAsync(Func<Task> call)
    {
        var before = await Snapshot.TakeAsync(Connection, P);
        await call();
        return (await Snapshot.TakeAsync(Connection, P)).ChangesSince(before);
    }

    /// <summary>Lets a thread's time come, or a lease end, by moving its score; Redis' clock can't be moved.</summary>
    protected async Task PassAsync(params string[] sets)
    {
        foreach (var set in sets)
        {
            foreach (var member in await Read.MembersAsync(set))
            {
                await Seed.ScoreAsync(set, member, Seed.Now - 1_000);
            }
        }
    }

    /// <summary>Asserts that a time in unix ms lies so far after a call that began at <paramref name="before"/> and has ended.</summary>
    protected static void AssertIn(TimeSpan expected, long before, long? actual)
    {
        Assert.NotNull(actual);
        var ms = (long)expected.TotalMilliseconds;
        Assert.InRange(actual.Value, before + ms - 1, Seed.Now + ms + 1);
    }

    private void CountBreak(object? sender, ConnectionFailedEventArgs e) => Interlocked.Increment(ref _broken);
}
