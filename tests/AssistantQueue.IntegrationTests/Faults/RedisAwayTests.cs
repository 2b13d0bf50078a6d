using AssistantQueue.IntegrationTests.Redis;

namespace AssistantQueue.IntegrationTests.Faults;

/// <summary>Redis goes away while messages flow and comes back: everything acknowledged is answered in order, unless Redis itself forgot it.</summary>
/// <remarks>A reply whose delivery could not be recorded before its lease ended is given to the handlers again, with the same batch id.</remarks>
public sealed class RedisAwayTests
{
    private const int Threads = 4;

    [Theory]
    [InlineData(5)]
    [InlineData(60)]
    public async Task StandsStill_ForSoManySeconds_EveryMessageIsAnsweredInOrder(int seconds)
    {
        // No more than these are on their way together; the others wait behind them.
        const int Callers = 200, AtMostOnTheirWay = 128;
        await using var redis = await StartAsync(keepsData: false);
        await using var flow = await StartFlowAsync(redis.ConnectionString);
        AssistantMessage Message(int i) => new() { ThreadId = "others", MessageId = $"m{i}", Text = "hi", Delay = TimeSpan.Zero };

        await redis.PauseAsync();
        var calls = Enumerable.Range(0, Callers).Select(i => flow.Queue.EnqueueAsync(Message(i))).ToList();
        // The fault itself; nothing is waited for.
        await Task.Delay(TimeSpan.FromSeconds(seconds));
        var waiting = calls.ToList();
        while (waiting.Count > AtMostOnTheirWay)
        {
            waiting.Remove(await Task.WhenAny(waiting).WaitAsync(TimeSpan.FromSeconds(60)));
        }

        await redis.ResumeAsync();

        await flow.AnsweredAsync(5);
        var told = await Task.WhenAll(calls.Select(ToldAsync));
        for (var i = 0; i < Callers; i++)
        {
            var again = await flow.Queue.EnqueueAsync(Message(i));
            switch (told[i])
            {
                case null:
                    Assert.True(again.IsDuplicate, $"m{i} was acknowledged and is not there.");
                    break;
                case QueueUnavailableException refused:
                    Assert.Contains("Nothing was stored", refused.Message, StringComparison.Ordinal);
                    Assert.False(again.IsDuplicate, $"m{i} was stored although its caller was told that it wasn't.");
                    break;
                default:
                    Assert.Contains("Enqueueing again with the same MessageId is safe", Assert.IsType<EnqueueOutcomeUnknownException>(told[i]).Message, StringComparison.Ordinal);
                    break;
            }
        }

        Assert.InRange(told.Count(e => e is QueueUnavailableException), Callers - AtMostOnTheirWay, Callers);
        Assert.All(flow.Refusals, e => Assert.True(e is QueueUnavailableException or EnqueueOutcomeUnknownException, e.ToString()));
        await flow.EndAsync(mayBeRepeated: true);
    }

    [Fact]
    public async Task Restarts_WithItsData_EveryMessageIsAnsweredInOrder()
    {
        await using var redis = await StartAsync(keepsData: true);
        await using var flow = await StartFlowAsync(redis.ConnectionString);

        await redis.KillAsync();
        await redis.StartAgainAsync();
        await flow.AnsweredAsync(5);
        await redis.StopAsync();
        await redis.StartAgainAsync();

        await flow.AnsweredAsync(5);
        await flow.EndAsync(mayBeRepeated: true);
    }

    [Fact]
    public async Task Restarts_WithoutItsData_EveryMessageFromThenOnIsAnsweredInOrder()
    {
        await using var redis = await StartAsync(keepsData: false);
        await using var flow = await StartFlowAsync(redis.ConnectionString);
        var nothing = flow.Acknowledged.ToDictionary(t => t.Key, _ => 0);

        await redis.KillAsync();
        var forgotten = flow.Acknowledged;
        await redis.StartAgainAsync();

        await flow.AnsweredAsync(5);
        await flow.EndAsync(mayBeLost: (nothing, forgotten), mayBeRepeated: true);
    }

    [Fact]
    public async Task ConnectionsCut_AgainAndAgain_EveryMessageIsAnsweredInOrder()
    {
        await using var redis = await StartAsync(keepsData: false);
        await using var proxy = new TcpProxy(redis.ConnectionString);
        await using var flow = await StartFlowAsync(proxy.Address, TimeSpan.FromSeconds(5));

        for (var i = 0; i < 20; i++)
        {
            proxy.Reset();
            await flow.AnsweredAsync(1);
        }

        await flow.EndAsync(mayBeRepeated: true);
    }

    private static async Task<Exception?> ToldAsync(Task call)
    {
        await call.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return call.Exception?.InnerException;
    }

    private static Task<RedisInstance> StartAsync(bool keepsData) => RedisInstance.StartDedicatedAsync(new RedisInstanceOptions { KeepsData = keepsData });

    private static async Task<FailoverFlow> StartFlowAsync(string redis, TimeSpan? lockDuration = null)
    {
        var flow = await FailoverFlow.StartAsync(Threads, options =>
        {
            options.RedisConnectionString = redis;
            options.LockDuration = lockDuration ?? options.LockDuration;
        });
        await flow.AnsweredAsync(5);
        return flow;
    }
}
