using AssistantQueue.IntegrationTests.Redis;

namespace AssistantQueue.IntegrationTests.Faults;

/// <summary>Redis goes away while messages flow and comes back: everything acknowledged is answered in order, unless Redis itself forgot it.</summary>
/// <remarks>A reply whose delivery could not be recorded before its lease ended is given to the handlers again, with the same batch id.</remarks>
public sealed class RedisAwayTests
{
    private const int Threads = 4;

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
