using AssistantQueue.Store;
using StackExchange.Redis;

namespace AssistantQueue.Redis;

/// <summary>Runs a script and waits until replicas have what it wrote, on a connection of its own: <c>WAIT</c> holds up whatever is behind it.</summary>
/// <remarks>
/// <c>WAIT</c> speaks of the writes of its own connection, and a fresh connection's is answered at once whatever the replicas have. So the call is
/// <c>CLIENT ID, EVAL, WAIT, CLIENT ID</c>, and differing ids mean that nothing is known. <c>EVAL</c> and not <c>EVALSHA</c>, whose repetition after
/// <c>NOSCRIPT</c> would come behind the <c>WAIT</c>.
/// </remarks>
internal sealed class RedisReplicas(Func<RedisConnection>? connectApart, RedisKeys keys) : IAsyncDisposable, IDisposable
{
    private const int WaitMilliseconds = 1_000;

    private readonly Lock _lock = new();
    private RedisConnection? _connection;

    /// <summary>The way of a call with this durability; null for the ordinary one.</summary>
    public RedisCaller.Way? For(Durability durability) =>
        durability.ReplicaCount == 0 ? null : (script, partition, arguments, cancellationToken) =>
            CallAsync(durability.ReplicaCount, script, partition, arguments, cancellationToken);

    public ValueTask DisposeAsync() => _connection?.DisposeAsync() ?? ValueTask.CompletedTask;

    public void Dispose() => _connection?.Dispose();

    private async Task<RedisResult> CallAsync(int replicas, string script, int partition, RedisValue[] arguments, CancellationToken cancellationToken)
    {
        var connection = Connection();
        var multiplexer = await connection.GetAsync(cancellationToken);
        try
        {
            return await CallAsync(multiplexer, replicas, script, keys[partition].Declared, arguments);
        }
        catch (Exception e) when (e is RedisException or TimeoutException or StoreUnavailableException)
        {
            // A server whose replicas don't follow, or that is one itself by now, is perhaps no longer the primary.
            connection.DoubtPrimary();
            throw;
        }
    }

    private static async Task<RedisResult> CallAsync(IConnectionMultiplexer multiplexer, int replicas, string script, RedisKey[] declared, RedisValue[] arguments)
    {
        var server = Primary(multiplexer, declared[0]);
        var before = server.ExecuteAsync("CLIENT", "ID");
        // not: where the client is redirected to (its default)
        // but: the WAIT behind it would go on here, and this node's replicas have nothing to wait for. After MOVED the next call goes to the right node.
        var call = server.ExecuteAsync(
            "EVAL", [script, declared.Length, .. declared.Select(k => (object)k), .. arguments.Select(a => (object)a)], CommandFlags.NoRedirect);
        var wait = server.ExecuteAsync("WAIT", replicas, WaitMilliseconds);
        var after = server.ExecuteAsync("CLIENT", "ID");
        try
        {
            await Task.WhenAll(before, call, wait, after);
        }
        catch (Exception e) when (e is RedisException or TimeoutException)
        {
            // What became of the script counts. If it was done and only the waiting failed, say so: a primary that becomes a replica ends its WAITs with UNBLOCKED.
            await call;
            throw new StoreUnavailableException("Replicas could not be waited for to the end.", e) { MayHaveBeenDone = true };
        }

        if ((long)await before != (long)await after)
        {
            throw new StoreUnavailableException("The connection was cut while replicas were waited for.") { MayHaveBeenDone = true };
        }

        if ((long)await wait is var reached && reached < replicas)
        {
            throw new StoreUnavailableException($"{reached} of the {replicas} replicas that Durability asks for have the messages.") { MayHaveBeenDone = true };
        }

        return await call;
    }

    private static IServer Primary(IConnectionMultiplexer multiplexer, RedisKey key)
    {
        try
        {
            return multiplexer.GetServer(key, flags: CommandFlags.DemandMaster);
        }
        catch (InvalidOperationException e)
        {
            throw new StoreUnavailableException("No primary is connected (READONLY).", e);
        }
    }

    private RedisConnection Connection()
    {
        lock (_lock)
        {
            return _connection ??= connectApart?.Invoke()
                ?? throw new InvalidOperationException("This queue has no second connection, which Durability = Replicas(n) needs.");
        }
    }
}
