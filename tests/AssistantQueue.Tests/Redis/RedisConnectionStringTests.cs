using AssistantQueue.Redis;
using StackExchange.Redis;

namespace AssistantQueue.Tests.Redis;

public sealed class RedisConnectionStringTests
{
    [Theory]
    [InlineData("localhost", "localhost:6379", null, null, null, false)]
    [InlineData("redis-1:7000,redis-2:7001,password=s3cret,user=app,ssl=true,defaultDatabase=4", "redis-1:7000 redis-2:7001", "app", "s3cret", 4, true)]
    [InlineData("redis://localhost", "localhost:6379", null, null, null, false)]
    [InlineData("redis://localhost:7000/3", "localhost:7000", null, null, 3, false)]
    [InlineData("redis://:p%40ss%2C%2F%3A@redis.example:7000", "redis.example:7000", null, "p@ss,/:", null, false)]
    [InlineData("rediss://app:secret@redis.example:7000/0", "redis.example:7000", "app", "secret", 0, true)]
    [InlineData("rediss://redis.example", "redis.example:6380", null, null, null, true)]
    [InlineData("redis://one:7000,two:7001/1", "one:7000 two:7001", null, null, 1, false)]
    [InlineData("redis://app:a:b@one:7000", "one:7000", "app", "a:b", null, false)]
    [InlineData("REDIS://one:7000?ssl=true", "one:7000", null, null, null, true)]
    public void Parse_Valid_GivesTheSameOptions(string text, string servers, string? user, string? password, int? database, bool tls)
    {
        var options = RedisConnectionString.Parse(text);
        options.SetDefaultPorts();

        Assert.Equal(servers, string.Join(' ', options.EndPoints.Select(e => e.ToString()!.Replace("Unspecified/", "", StringComparison.Ordinal))));
        Assert.Equal((user, password, database, tls), (options.User, options.Password, options.DefaultDatabase, options.Ssl));
    }

    [Fact]
    public void Parse_UrlWithOptions_TakesThem()
    {
        var options = RedisConnectionString.Parse("redis://localhost?connectTimeout=1234&name=my%20app");

        Assert.Equal((1234, "my app"), (options.ConnectTimeout, options.ClientName));
    }

    [Theory]
    [InlineData("localhost,colour=blue", "colour")]
    [InlineData("localhost:99999", "99999")]
    [InlineData("localhost,connectTimeout=soon", "soon")]
    [InlineData("redis://", "names no host")]
    [InlineData("redis://:secret@", "names no host")]
    [InlineData("redis://host/first", "database 'first' is not a number")]
    [InlineData("redishttp://host", "redis:// or rediss://")]
    [InlineData("password=secret", "no server")]
    public void Parse_Invalid_SaysWhy(string text, string reason)
    {
        var e = Assert.Throws<FormatException>(() => RedisConnectionString.Parse(text));

        Assert.Contains(reason, e.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", e.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("Parameter", e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("localhost,password=secret,ssl=true", "localhost,password=***,ssl=true")]
    [InlineData("localhost, sentinelPassword = secret", "localhost, sentinelPassword =***")]
    [InlineData("redis://app:secret@one:7000/1", "redis://app:***@one:7000/1")]
    [InlineData("redis://:sec/ret@x@one", "redis://:***@one")]
    [InlineData("redis://one?password=secret&ssl=true", "redis://one?password=***&ssl=true")]
    [InlineData("localhost:6379", "localhost:6379")]
    public void Redact_AnyText_HidesPasswords(string text, string shown) =>
        Assert.Equal(shown, RedisConnectionString.Redact(text));
}
