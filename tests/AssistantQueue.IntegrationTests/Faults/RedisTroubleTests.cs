using AssistantQueue.IntegrationTests.Redis;
using StackExchange.Redis;

namespace AssistantQueue.IntegrationTests.Faults;

/// <summary>Redis is there and refuses: enqueue says why and that nothing was stored, what is said again is stored once, and the worker goes on.</summary>
public sealed class RedisTroubleTests
{
    private const int Threads = 4;

    [RedisServerFact]
    public async Task MemoryFull_EnqueueIsRefusedByName_RunsUnderWayEndAndAreDelivered()
    {
        await using var redis = await StartAsync();
        await using var admin = await redis.ConnectAsync();
        await using var flow = await StartFlowAsync(redis);
        await flow.HoldRunsAsync();

        await Server(admin).ConfigSetAsync("maxmemory", "1");
        await flow.RefusedAsync("maxmemory");
        flow.LetRunsEnd();
        await flow.AllAnsweredAsync();

        await Server(admin).ConfigSetAsync("maxmemory", "0");
        await flow.AnsweredAsync(5);
        await flow.EndAsync();
    }

    [RedisServerFact]
    public async Task ReadOnly_EnqueueIsRefusedByName_EverythingGoesOnAfterwards()
    {
        await using var redis = await StartAsync();
        await using var admin = await redis.ConnectAsync();
        await using var flow = await StartFlowAsync(redis);
        await flow.HoldRunsAsync();

        // A replica of nobody: it keeps its data and takes no writes.
        await Server(admin).ExecuteAsync("REPLICAOF", "127.0.0.1", FreePort.Find());
        await flow.RefusedAsync("READONLY");
        flow.LetRunsEnd();
        await Server(admin).ExecuteAsync("REPLICAOF", "NO", "ONE");

        await flow.AnsweredAsync(5);
        await flow.EndAsync();
    }

    [RedisServerFact]
    public async Task Loading_EnqueueIsRefusedByName_EverythingGoesOnAfterwards()
    {
        // Some seconds for some hundred keys; it looks at its sockets after each kilobyte.
        await using var redis = await StartAsync("--save", "3600 1", "--key-load-delay", "20000", "--loading-process-events-interval-bytes", "1024");
        await using var admin = await redis.ConnectAsync();
        await using var flow = await StartFlowAsync(redis);
        await flow.HoldRunsAsync();
        await Task.WhenAll(Enumerable.Range(0, 300).Select(i => admin.GetDatabase().StringSetAsync($"filler{i}", new string('x', 400))));

        await redis.StopAsync();
        var ready = redis.StartAgainAsync();
        await flow.RefusedAsync("loading");
        Assert.False(ready.IsCompleted);
        flow.LetRunsEnd();
        await ready;

        await flow.AnsweredAsync(5);
        await flow.EndAsync();
    }

    [RedisServerFact]
    public async Task Busy_EnqueueIsRefusedByName_EverythingGoesOnAfterwards()
    {
        await using var redis = await StartAsync("--lua-time-limit", "100");
        await using var admin = await redis.ConnectAsync();
        await using var other = await redis.ConnectAsync();
        await using var flow = await StartFlowAsync(redis);
        await flow.HoldRunsAsync();

        var endless = Server(other).ExecuteAsync("EVAL", "while true do end", 0);
        await flow.RefusedAsync("BUSY");
        flow.LetRunsEnd();
        await Server(admin).ExecuteAsync("SCRIPT", "KILL");
        await Assert.ThrowsAsync<RedisServerException>(() => endless);

        await flow.AnsweredAsync(5);
        await flow.EndAsync();
    }

    [RedisServerFact]
    public async Task ScriptsForgotten_InTheMiddle_NobodyNotices()
    {
        await using var redis = await StartAsync();
        await using var admin = await redis.ConnectAsync();
        // Nothing is refused here, however slow the machine.
        await using var flow = await StartFlowAsync(redis, connectTimeout: TimeSpan.FromSeconds(30));

        for (var i = 0; i < 10; i++)
        {
            await Server(admin).ScriptFlushAsync();
            await flow.MoreAnswersAsync();
        }

        await flow.EndAsync();
        Assert.Empty(flow.Refusals);
    }

    [RedisServerFact]
    public async Task ClientBufferFull_AnAnswerThatDoesNotFitCutsTheConnection_NothingIsLostAndItComesWhenItFits()
    {
        await using var redis = await StartAsync();
        await using var admin = await redis.ConnectAsync();
        await using var flow = await StartFlowAsync(redis, TimeSpan.FromSeconds(5));

        // Redis cuts a connection whose answers are longer than this; the claim of the long message is one.
        var connected = await ConnectedAsync(admin);
        await Server(admin).ConfigSetAsync("client-output-buffer-limit", "normal 65536 0 0");
        var receipt = await SaidUntilStoredAsync(flow.Queue, new AssistantMessage { ThreadId = "long", MessageId = "long", Text = new string('x', 190_000), Delay = TimeSpan.Zero });
        await Servers.AgreeAsync(async () => !connected.IsSubsetOf(await ConnectedAsync(admin)), "a connection is cut");
        await flow.AcknowledgedAsync(5);
        Assert.Empty(flow.AnsweredIn("long"));
        await Server(admin).ConfigSetAsync("client-output-buffer-limit", "normal 0 0 0");

        Assert.Equal(["long"], (await flow.Queue.WaitForReplyAsync(receipt).WaitAsync(TimeSpan.FromSeconds(60))).MessageIds);
        await flow.AnsweredAsync(5);
        await flow.EndAsync(mayBeRepeated: true);
    }

    [RedisServerFact]
    public async Task StandsStill_ManyCallers_NoneWaitsForTheOthersAndWhatIsSaidAgainIsStoredOnce()
    {
        const int Callers = 2_000, AtMostOnTheirWay = 128;
        await using var redis = await StartAsync();
        await using var flow = await StartFlowAsync(redis);
        AssistantMessage Message(int i) => new() { ThreadId = $"t{i % 100}", MessageId = $"m{i}", Text = "hi" };

        await redis.PauseAsync();
        var calls = Enumerable.Range(0, Callers).Select(i => flow.Queue.EnqueueAsync(Message(i))).ToList();
        var waiting = calls.ToList();
        while (waiting.Count > AtMostOnTheirWay)
        {
            waiting.Remove(await Task.WhenAny(waiting).WaitAsync(TimeSpan.FromSeconds(60)));
        }

        foreach (var call in calls.Except(waiting))
        {
            Assert.Contains("ConnectTimeout", (await Assert.ThrowsAsync<QueueUnavailableException>(() => call)).Message, StringComparison.Ordinal);
        }

        await redis.ResumeAsync();
        await Task.WhenAll(waiting.Select(Task (call) => call.ContinueWith(_ => { }, TaskScheduler.Default)));
        var again = await Task.WhenAll(Enumerable.Range(0, Callers).Select(i => SaidUntilStoredAsync(flow.Queue, Message(i))));
        Assert.Equal(Callers, again.Select(r => (r.ThreadId, r.Sequence)).Distinct().Count());
        Assert.Equal(waiting.Count(c => c.IsCompletedSuccessfully), again.Count(r => r.IsDuplicate));
        await flow.AnsweredAsync(5);
        await flow.EndAsync();
    }

    private static async Task<HashSet<long>> ConnectedAsync(ConnectionMultiplexer admin) => [.. (await Server(admin).ClientListAsync()).Select(c => c.Id)];

    private static async Task<MessageReceipt> SaidUntilStoredAsync(IAssistantMessageQueue queue, AssistantMessage message)
    {
        while (true)
        {
            try
            {
                return await queue.EnqueueAsync(message);
            }
            catch (Exception e) when (e is QueueUnavailableException or EnqueueOutcomeUnknownException)
            {
                // Said again with the same id.
            }
        }
    }

    private static Task<RedisInstance> StartAsync(params string[] arguments) =>
        RedisInstance.StartDedicatedAsync(new RedisInstanceOptions { Kind = RedisKind.Process, Arguments = arguments });

    private static async Task<FailoverFlow> StartFlowAsync(RedisInstance redis, TimeSpan? lockDuration = null, TimeSpan? connectTimeout = null)
    {
        var flow = await FailoverFlow.StartAsync(Threads, options =>
        {
            options.RedisConnectionString = redis.ConnectionString;
            options.ConnectTimeout = connectTimeout ?? TimeSpan.FromSeconds(1);
            options.LockDuration = lockDuration ?? options.LockDuration;
        });
        await flow.AnsweredAsync(5);
        return flow;
    }

    private static IServer Server(ConnectionMultiplexer connection) => connection.GetServers()[0];
}
