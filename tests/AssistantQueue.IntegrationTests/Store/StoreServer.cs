using AssistantQueue.IntegrationTests.Redis;
using StackExchange.Redis;

namespace AssistantQueue.IntegrationTests.Store;

/// <summary>The servers that every script is tested on: the machine's Redis and the embedded Garnet, shared by all tests, which keep apart by their prefixes.</summary>
public sealed class StoreServer
{
    private readonly Func<Task<TestRedis.Shared>> _shared;

    private StoreServer(Func<Task<TestRedis.Shared>> shared) => _shared = shared;

    /// <summary>Redis from a container or this machine; the embedded one where there is neither.</summary>
    public static StoreServer Redis { get; } = new(() => TestRedis.GetApartAsync());

    public static StoreServer Garnet { get; } = new(() => TestRedis.GetApartAsync(RedisKind.Embedded));

    /// <summary>The connection that all tests share.</summary>
    public async Task<IConnectionMultiplexer> ConnectAsync() => (await _shared()).Multiplexer;

    /// <summary>A connection of a test's own.</summary>
    public async Task<IConnectionMultiplexer> ConnectAnewAsync() => await (await _shared()).Instance.ConnectAsync();
}
