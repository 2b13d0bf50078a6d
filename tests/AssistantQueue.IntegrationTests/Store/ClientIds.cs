using System.Reflection;
using AssistantQueue.IntegrationTests.Faults;
using StackExchange.Redis;

namespace AssistantQueue.IntegrationTests.Store;

/// <summary>Changes what a server answers to the second <c>CLIENT ID</c> of each two, as if the connection had been cut and was another one between them.</summary>
internal sealed class ClientIds
{
    private int _asked;

    /// <summary>Gets how often both were asked for.</summary>
    public int Pairs => _asked / 2;

    /// <summary>Which pairs are to differ; the first is number 1.</summary>
    public required Func<int, bool> Differ { get; init; }

    /// <summary>A multiplexer whose servers answer so.</summary>
    public IConnectionMultiplexer On(IConnectionMultiplexer inner)
    {
        var proxy = DispatchProxy.Create<IConnectionMultiplexer, ScriptProxy.Forwarder>();
        ((ScriptProxy.Forwarder)(object)proxy).Begin(inner, (method, _, call) =>
            method.Name == nameof(IConnectionMultiplexer.GetServer) ? On((IServer)call()!) : call());
        return proxy;
    }

    private IServer On(IServer inner)
    {
        var proxy = DispatchProxy.Create<IServer, ScriptProxy.Forwarder>();
        ((ScriptProxy.Forwarder)(object)proxy).Begin(inner, (method, arguments, call) =>
            method.Name != nameof(IServer.ExecuteAsync) || !arguments.Contains("CLIENT") || ++_asked % 2 != 0 || !Differ(Pairs)
                ? call()
                : OtherAsync((Task<RedisResult>)call()!));
        return proxy;
    }

    private static async Task<RedisResult> OtherAsync(Task<RedisResult> id) => RedisResult.Create((RedisValue)((long)await id + 1));
}
