using WebChat;

namespace AssistantQueue.Tests.Samples;

/// <summary>WebChat shows where its Redis is, to whoever asks: never a user or a password.</summary>
public sealed class RedisAddressTests
{
    [Theory]
    [InlineData("localhost:6379", "localhost:6379")]
    [InlineData("one:7000, two:7001,password=hush,ssl=true,user=app", "one:7000, two:7001")]
    [InlineData("app:hush@one:7000,two:7001", "one:7000, two:7001")]
    [InlineData("redis://one", "one")]
    [InlineData("redis://[::1]:6379/0", "[::1]:6379")]
    [InlineData(" REDISS://app:hush@one:7000/3?connectTimeout=100", "one:7000")]
    [InlineData("redis://app:hush@one:7000,two:7001", "one:7000, two:7001")]
    [InlineData("redis://app:hush,hush@one:7000,two:7001/2", "one:7000, two:7001")]
    [InlineData("redis://app:hush/hush@one:7000", "one:7000")]
    [InlineData("redis://app:hush@hush@one:7000", "one:7000")]
    [InlineData("redis://:hush%40@one", "one")]
    [InlineData("redis://one:7000?password=hush", "one:7000")]
    [InlineData("redis://one:7000?password=hush@hush", "as configured")]
    [InlineData("redis://app:hush?hush@one:7000", "as configured")]
    [InlineData("redis://app:hush#hush@one:7000", "one:7000")]
    public void Of_ConnectionString_IsItsHosts(string connectionString, string shown) => Assert.Equal(shown, RedisAddress.Of(connectionString));
}
