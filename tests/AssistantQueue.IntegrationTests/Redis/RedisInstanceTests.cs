using StackExchange.Redis;

namespace AssistantQueue.IntegrationTests.Redis;

/// <summary>What fault tests do to a Redis does happen, for each kind that this machine has.</summary>
public sealed class RedisInstanceTests
{
    public static async Task<RedisKind[]> KindsAsync() => await TestRedis.KindAsync() switch
    {
        RedisKind.Embedded => [RedisKind.Embedded],
        RedisKind.Container when ProcessRedis.IsInstalled => [RedisKind.Container, RedisKind.Process, RedisKind.Embedded],
        var kind => [kind, RedisKind.Embedded],
    };

    [Fact]
    public async Task Shared_TwoCallers_GetTheSame()
    {
        var one = await TestRedis.GetAsync();
        var other = await TestRedis.GetAsync();

        Assert.Same(one, other);
        Assert.True(await one.Database.PingAsync() > TimeSpan.Zero);
    }

    [Fact]
    public async Task Kill_InstanceThatKeepsData_HasItAtTheSameAddressAfterwards()
    {
        foreach (var kind in await KindsAsync())
        {
            await using var redis = await RedisInstance.StartDedicatedAsync(new() { Kind = kind, KeepsData = true });
            var address = redis.ConnectionString;
            await using (var connection = await redis.ConnectAsync())
            {
                await connection.GetDatabase().StringSetAsync("k", "kept");
            }

            await redis.KillAsync();
            await redis.StartAgainAsync();

            Assert.Equal(address, redis.ConnectionString);
            await using var again = await redis.ConnectAsync();
            Assert.Equal("kept", await again.GetDatabase().StringGetAsync("k"));
        }
    }

    [Fact]
    public async Task Stop_InstanceThatKeepsNothing_IsEmptyAfterwards()
    {
        foreach (var kind in await KindsAsync())
        {
            await using var redis = await RedisInstance.StartDedicatedAsync(new() { Kind = kind });
            await using (var connection = await redis.ConnectAsync())
            {
                await connection.GetDatabase().StringSetAsync("k", "gone");
            }

            await redis.StopAsync();
            await redis.StartAgainAsync();

            await using var again = await redis.ConnectAsync();
            Assert.True((await again.GetDatabase().StringGetAsync("k")).IsNull);
        }
    }

    [Fact]
    public async Task Pause_CallUnderWay_IsAnsweredAfterResume()
    {
        foreach (var kind in await KindsAsync())
        {
            await using var redis = await RedisInstance.StartDedicatedAsync(new() { Kind = kind });
            await using var connection = await redis.ConnectAsync();
            await connection.GetDatabase().PingAsync();

            await redis.PauseAsync();
            var call = connection.GetDatabase().StringSetAsync("k", "v");
            // Asked behind the call and given up: whoever answers nobody hasn't answered the call either.
            await using (var impatient = await redis.ConnectAsync(TimeSpan.FromMilliseconds(500)))
            {
                Assert.False(impatient.IsConnected);
            }

            Assert.False(call.IsCompleted);
            await redis.ResumeAsync();

            Assert.True(await call);
        }
    }

    [RedisServerFact]
    public async Task StartDedicated_WithArguments_RedisObeysThem()
    {
        foreach (var kind in (await KindsAsync()).Append(RedisKind.Process).Except([RedisKind.Embedded]))
        {
            await using var redis = await RedisInstance.StartDedicatedAsync(new() { Kind = kind, Arguments = ["--maxmemory", "5mb"] });
            await using var connection = await redis.ConnectAsync();

            var setting = (RedisResult[])(await connection.GetDatabase().ExecuteAsync("CONFIG", "GET", "maxmemory"))!;

            Assert.Equal("5242880", (string?)setting[1]);
        }
    }
}
