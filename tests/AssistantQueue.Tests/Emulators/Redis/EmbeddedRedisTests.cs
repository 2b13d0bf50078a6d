using AssistantQueue.Emulators;
using AssistantQueue.TestHost;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;
using StackExchange.Redis;

namespace AssistantQueue.Tests.Emulators.Redis;

/// <summary>The embedded Redis as a server: its folder, its port, its end.</summary>
public sealed class EmbeddedRedisTests : IDisposable
{
    private readonly string _directory = Path.Combine(Path.GetTempPath(), "embedded-redis-" + Guid.NewGuid().ToString("N"));

    [Fact]
    public async Task Start_TwoInOneProcess_KeepTheirDataApart()
    {
        await using var one = await EmbeddedRedis.StartAsync();
        await using var other = await EmbeddedRedis.StartAsync();
        await using var toOne = await ConnectionMultiplexer.ConnectAsync(one.ConnectionString);
        await using var toOther = await ConnectionMultiplexer.ConnectAsync(other.ConnectionString);

        await toOne.GetDatabase().StringSetAsync("k", "one");
        await toOther.GetDatabase().StringSetAsync("k", "other");

        Assert.Equal("one", await toOne.GetDatabase().StringGetAsync("k"));
        Assert.Equal("other", await toOther.GetDatabase().StringGetAsync("k"));
    }

    [Fact]
    public async Task Dispose_ThenStartOnTheSameFolder_EverythingIsThere()
    {
        await using (var before = await EmbeddedRedis.StartAsync(new() { DataDirectory = _directory }))
        {
            await using var redis = await ConnectionMultiplexer.ConnectAsync(before.ConnectionString);
            var database = redis.GetDatabase();
            await database.ListRightPushAsync("l", ["a", "b"]);
            await database.HashSetAsync("h", "f", "v");
            await database.SortedSetAddAsync("z", "m", 1795435026990);
            await database.StringSetAsync("s", "x", TimeSpan.FromHours(1));
        }

        await using var after = await EmbeddedRedis.StartAsync(new() { DataDirectory = _directory });
        await using var again = await ConnectionMultiplexer.ConnectAsync(after.ConnectionString);
        var found = again.GetDatabase();

        Assert.Equal(["a", "b"], (await found.ListRangeAsync("l")).Select(v => (string?)v));
        Assert.Equal("v", await found.HashGetAsync("h", "f"));
        Assert.Equal(1795435026990, await found.SortedSetScoreAsync("z", "m"));
        Assert.InRange((await found.KeyTimeToLiveAsync("s"))!.Value, TimeSpan.FromMinutes(50), TimeSpan.FromHours(1));
    }

    [Fact]
    public async Task Kill_WhileScriptsAreWriting_EveryAcknowledgedOneIsThereWholeAfterwards()
    {
        const string Script = "redis.call('RPUSH', '{p}:list', ARGV[1]) redis.call('HSET', '{p}:hash', ARGV[1], 1) redis.call('ZADD', KEYS[1], ARGV[1], ARGV[1]) redis.call('SET', '{p}:last', ARGV[1], 'PX', 3600000) return 1";
        var acknowledged = new List<int>();
        var next = 0;
        for (var round = 0; round < 3; round++)
        {
            await using var server = await TestHostProcess.StartAsync("redis", "--data", _directory);
            var connection = ConfigurationOptions.Parse(server.Ready);
            connection.BacklogPolicy = BacklogPolicy.FailFast;
            await using var redis = await ConnectionMultiplexer.ConnectAsync(connection);
            var enough = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            var goal = acknowledged.Count + 150;
            var writing = Task.Run(async () =>
            {
                while (true)
                {
                    // Each number once: what was in flight at a kill may be there whole, half or not at all.
                    var number = next++;
                    await redis.GetDatabase().ScriptEvaluateAsync(Script, ["{p}:due", "{p}:guard"], [number]);
                    acknowledged.Add(number);
                    if (acknowledged.Count == goal)
                    {
                        enough.SetResult();
                    }
                }
            });
            await Task.WhenAny(enough.Task, writing);
            await server.KillAsync();
            await Assert.ThrowsAnyAsync<RedisException>(() => writing);

            Assert.True(acknowledged.Count >= goal, "the server was killed too early to show anything");
            await AssertStoredAsync(acknowledged);
        }
    }

    [Fact]
    public async Task Start_FolderOfARunningOne_IsRefusedWithItsName()
    {
        await using var running = await TestHostProcess.StartAsync("redis", "--data", _directory);

        var refusal = await Assert.ThrowsAsync<IOException>(() => EmbeddedRedis.StartAsync(new() { DataDirectory = _directory }));

        Assert.Contains(_directory, refusal.Message, StringComparison.Ordinal);
        Assert.Contains("in use by another embedded Redis", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_AfterAKill_TheFolderIsFree()
    {
        await using (var killed = await TestHostProcess.StartAsync("redis", "--data", _directory))
        {
            await killed.KillAsync();
        }

        await using var next = await EmbeddedRedis.StartAsync(new() { DataDirectory = _directory });

        Assert.Equal(_directory, next.DataDirectory);
    }

    [Fact]
    public async Task Start_PortOfSomebodyElse_IsRefusedWithTheSettingsName()
    {
        await using var running = await EmbeddedRedis.StartAsync();

        var refusal = await Assert.ThrowsAsync<IOException>(() => EmbeddedRedis.StartAsync(new() { Port = running.Port, DataDirectory = _directory }));

        Assert.Contains($"127.0.0.1:{running.Port}", refusal.Message, StringComparison.Ordinal);
        Assert.Contains("AssistantQueue:Emulators:Redis:Port", refusal.Message, StringComparison.Ordinal);
        // The refused one has let go of its folder.
        await using var next = await EmbeddedRedis.StartAsync(new() { DataDirectory = _directory });
    }

    [Fact]
    public async Task Dispose_WithClientsConnected_FreesThePort()
    {
        var redis = await EmbeddedRedis.StartAsync();
        await using var client = await ConnectionMultiplexer.ConnectAsync(redis.ConnectionString);

        await redis.DisposeAsync();
        await redis.DisposeAsync();

        await using var next = await EmbeddedRedis.StartAsync(new() { Port = redis.Port });
        Assert.Equal(redis.ConnectionString, next.ConnectionString);
    }

    [Fact]
    public async Task Start_WithALogger_SaysOneLineAtInformation()
    {
        var logs = new FakeLogCollector();
        using var factory = LoggerFactory.Create(logging => logging.SetMinimumLevel(LogLevel.Trace).AddProvider(new FakeLoggerProvider(logs)));

        await using var redis = await EmbeddedRedis.StartAsync(new() { DataDirectory = _directory }, factory);

        var line = Assert.Single(logs.GetSnapshot(), record => record.Level >= LogLevel.Information);
        Assert.Contains(redis.ConnectionString, line.Message, StringComparison.Ordinal);
        Assert.Contains(_directory, line.Message, StringComparison.Ordinal);
    }

    public void Dispose()
    {
        if (Directory.Exists(_directory))
        {
            Directory.Delete(_directory, recursive: true);
        }
    }

    private async Task AssertStoredAsync(List<int> numbers)
    {
        await using var server = await EmbeddedRedis.StartAsync(new() { DataDirectory = _directory });
        await using var redis = await ConnectionMultiplexer.ConnectAsync(server.ConnectionString);
        var database = redis.GetDatabase();

        Assert.Equal(numbers, (await database.ListRangeAsync("{p}:list")).Select(v => (int)v).Where(numbers.ToHashSet().Contains));
        Assert.Empty(numbers.Except((await database.HashKeysAsync("{p}:hash")).Select(v => (int)v)));
        Assert.Empty(numbers.Except((await database.SortedSetRangeByRankAsync("{p}:due")).Select(v => (int)v)));
        Assert.True((int)await database.StringGetAsync("{p}:last") >= numbers[^1]);
    }
}
