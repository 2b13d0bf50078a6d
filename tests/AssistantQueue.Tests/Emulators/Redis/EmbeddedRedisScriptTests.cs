using AssistantQueue.Emulators;
using StackExchange.Redis;

namespace AssistantQueue.Tests.Emulators.Redis;

/// <summary>What the queue's Lua relies on, on the embedded Redis, each with the answer that Redis gives.</summary>
public sealed class EmbeddedRedisScriptTests(EmbeddedRedisScriptTests.Server server) : IClassFixture<EmbeddedRedisScriptTests.Server>
{
    [Theory]
    [InlineData("redis.call('SET', '{p}:other', 'x') return redis.call('GET', '{p}:other')", "x")]
    [InlineData("return type(redis.call('GET', '{p}:none'))", "boolean")]
    [InlineData("return type(redis.call('HGET', '{p}:none', 'f'))", "boolean")]
    [InlineData("return type(redis.call('LINDEX', '{p}:none', 0))", "boolean")]
    [InlineData("return type(redis.call('ZSCORE', '{p}:none', 'm'))", "boolean")]
    [InlineData("redis.call('HSET', '{p}:h', 'a', 1, 'c', 3) local v = redis.call('HMGET', '{p}:h', 'a', 'b', 'c') return v[1] .. tostring(v[2]) .. v[3]", "1false3")]
    [InlineData("local t = redis.call('TIME') return tostring(#t[1] == 10 and tonumber(t[2]) < 1000000)", "true")]
    [InlineData("return string.format('%.0f', 1700000000123456 + 1)", "1700000000123457")]
    [InlineData("redis.call('HSET', '{p}:t', 'f', 'v') return redis.call('TYPE', '{p}:t').ok", "hash")]
    [InlineData("return redis.call('TYPE', '{p}:none').ok", "none")]
    [InlineData("redis.call('HSET', '{p}:w', 'f', 'v') return string.sub(redis.pcall('LPUSH', '{p}:w', 'x').err, 1, 9)", "WRONGTYPE")]
    [InlineData("local d = cjson.decode(cjson.encode({ a = { 1, 2 }, b = 'x' })) return string.format('%.0f', d.a[2]) .. d.b", "2x")]
    [InlineData("return tostring(cjson.decode('[null]')[1] == cjson.null)", "true")]
    [InlineData("redis.call('SET', '{p}:px', 'v', 'PX', 60000) return tostring(redis.call('PTTL', '{p}:px') > 59000)", "true")]
    [InlineData("redis.call('SET', '{p}:nx', 'v') return tostring(redis.call('SET', '{p}:nx', 'w', 'NX', 'PX', 1000))", "false")]
    [InlineData("redis.call('ZADD', '{p}:z', 1, 'a', 2, 'b', 3, 'c') return table.concat(redis.call('ZRANGEBYSCORE', '{p}:z', '-inf', '(3', 'LIMIT', 0, 1), ',')", "a")]
    [InlineData("redis.call('ZADD', '{p}:zr', 1, 'a', 2, 'b') return redis.call('ZRANGE', '{p}:zr', 0, 0, 'REV')[1] .. redis.call('ZREVRANGE', '{p}:zr', 0, 0)[1]", "bb")]
    [InlineData("redis.call('ZADD', '{p}:zg', 5, 'a') redis.call('ZADD', '{p}:zg', 'GT', 3, 'a') redis.call('ZADD', '{p}:zg', 'XX', 9, 'b') return redis.call('ZSCORE', '{p}:zg', 'a') .. redis.call('ZCARD', '{p}:zg')", "51")]
    [InlineData("redis.call('ZADD', '{p}:zb', 1795435026990, 'a') return redis.call('ZSCORE', '{p}:zb', 'a')", "1795435026990")]
    [InlineData("redis.call('RPUSH', '{p}:l', 'a', 'b', 'c') redis.call('LTRIM', '{p}:l', 1, -1) return redis.call('LINDEX', '{p}:l', 0) .. redis.call('LPOS', '{p}:l', 'c') .. redis.call('LLEN', '{p}:l')", "b12")]
    [InlineData("redis.call('RPUSH', '{p}:gone', 'a') redis.call('LTRIM', '{p}:gone', 1, -1) return tostring(redis.call('EXISTS', '{p}:gone'))", "0")]
    [InlineData("redis.call('HINCRBY', '{p}:i', 'n', 5) return tostring(redis.call('HINCRBY', '{p}:i', 'n', -2))", "3")]
    [InlineData("return tostring(redis.call('PUBLISH', '{p}:nobody', 'm'))", "0")]
    public async Task Script_WhatTheQueueUses_AnswersAsRedisDoes(string script, string expected)
    {
        var answer = await server.Database.ScriptEvaluateAsync(script, ["{p}:due", "{p}:guard"]);

        Assert.Equal(expected, (string?)answer);
    }

    [Fact]
    public async Task Script_ErrorTable_ReachesTheCallerAsItIs()
    {
        var error = await Assert.ThrowsAsync<RedisServerException>(() => server.Database.ScriptEvaluateAsync("return { err = 'LAYOUT frozen' }", ["{p}:due", "{p}:guard"]));

        Assert.Equal("LAYOUT frozen", error.Message);
    }

    [Fact]
    public async Task Script_PublishesWhileItRuns_SubscriberHearsIt()
    {
        var heard = new TaskCompletionSource<string?>(TaskCreationOptions.RunContinuationsAsynchronously);
        await server.Multiplexer.GetSubscriber().SubscribeAsync(RedisChannel.Literal("{p}:wake"), (_, message) => heard.TrySetResult(message));

        await server.Database.ScriptEvaluateAsync("return redis.call('PUBLISH', '{p}:wake', ARGV[1])", ["{p}:due", "{p}:guard"], ["now"]);

        Assert.Equal("now", await heard.Task.WaitAsync(TimeSpan.FromSeconds(30)));
    }

    [Fact]
    public async Task Scripts_OfManyConnections_DoNotRunIntoEachOther()
    {
        const string Script = "local n = tonumber(redis.call('GET', '{p}:n') or '0') for i = 1, 20 do redis.call('RPUSH', '{p}:steps', i) end redis.call('DEL', '{p}:steps') redis.call('SET', '{p}:n', n + 1) return n";
        await Task.WhenAll(Enumerable.Range(0, 4).Select(async _ =>
        {
            await using var own = await ConnectionMultiplexer.ConnectAsync(server.Redis.ConnectionString);
            for (var i = 0; i < 250; i++)
            {
                await own.GetDatabase().ScriptEvaluateAsync(Script, ["{p}:due", "{p}:guard"]);
            }
        }));

        Assert.Equal(1_000, (long)await server.Database.StringGetAsync("{p}:n"));
    }

    [Fact]
    public async Task Scripts_ReadWhatOthersWrite_NeverSeeHalfOfIt()
    {
        const string Write = "for i = 1, 20 do redis.call('RPUSH', '{q}:l', i) redis.call('HSET', '{q}:h', i, i) end redis.call('LTRIM', '{q}:l', 20, -1) redis.call('DEL', '{q}:h') return 1";
        const string Look = "return redis.call('LLEN', '{q}:l') .. ':' .. #redis.call('LRANGE', '{q}:l', 0, -1) .. ':' .. #redis.call('HGETALL', '{q}:h')";
        var seen = new System.Collections.Concurrent.ConcurrentDictionary<string, int>();
        await Task.WhenAll(Enumerable.Range(0, 4).Select(async n =>
        {
            await using var own = await ConnectionMultiplexer.ConnectAsync(server.Redis.ConnectionString);
            for (var i = 0; i < 200; i++)
            {
                var answer = await own.GetDatabase().ScriptEvaluateAsync(n % 2 == 0 ? Write : Look, ["{q}:due", "{q}:guard"]);
                _ = n % 2 == 0 ? 0 : seen.AddOrUpdate((string)answer!, 1, (_, count) => count + 1);
            }
        }));

        Assert.All(seen.Keys, state => Assert.Contains(state, (string[])["0:0:0", "20:20:0"]));
    }

    /// <summary>One server for all of them: they use keys of their own.</summary>
    public sealed class Server : IAsyncLifetime
    {
        public EmbeddedRedis Redis { get; private set; } = null!;

        public ConnectionMultiplexer Multiplexer { get; private set; } = null!;

        public IDatabase Database => Multiplexer.GetDatabase();

        public async Task InitializeAsync()
        {
            Redis = await EmbeddedRedis.StartAsync();
            Multiplexer = await ConnectionMultiplexer.ConnectAsync(Redis.ConnectionString);
        }

        public async Task DisposeAsync()
        {
            await Multiplexer.DisposeAsync();
            await Redis.DisposeAsync();
        }
    }
}
