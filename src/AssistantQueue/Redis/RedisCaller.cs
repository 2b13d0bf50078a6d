using System.Globalization;
using AssistantQueue.Store;
using StackExchange.Redis;

namespace AssistantQueue.Redis;

/// <summary>Runs scripts on a partition and says in the store's words what went wrong.</summary>
internal sealed class RedisCaller(RedisConnection connection, RedisKeys keys, string prefix)
{
    // "Key has MOVED" is what the client makes of a redirection that it doesn't follow: the second of a call, or that of a call with NoRedirect.
    private static readonly string[] PassingWords =
        ["LOADING", "READONLY", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "MOVED", "Key has MOVED", "ASK", "BUSY", "NOSCRIPT", "NOREPLICAS", "MISCONF"];

    // not: on a replica when no primary is known (the client's default)
    // but: there a script that finds nothing to write answers from what the replica has, and a finish would be told that its thread is somebody else's.
    private const CommandFlags OnPrimary = CommandFlags.DemandMaster;

    private readonly string _partitions = keys.Count.ToString(CultureInfo.InvariantCulture);

    /// <summary>A way to run a script other than on the queue's connection.</summary>
    internal delegate Task<RedisResult> Way(string script, int partition, RedisValue[] arguments, CancellationToken cancellationToken);

    /// <summary>Runs a script once.</summary>
    /// <exception cref="StoreUnavailableException">No answer, or a refusal.</exception>
    public Task<RedisResult> CallAsync(string script, int partition, RedisValue[] arguments, CancellationToken cancellationToken) =>
        CallAsync(script, partition, arguments, way: null, cancellationToken);

    /// <summary>Runs a script once that only reads: the token ends the waiting for its answer, too.</summary>
    /// <exception cref="StoreUnavailableException">No answer, or a refusal.</exception>
    public Task<RedisResult> ReadAsync(string script, int partition, RedisValue[] arguments, CancellationToken cancellationToken) =>
        CallAsync(script, partition, arguments, cancellationToken).WaitAsync(cancellationToken);

    /// <summary>Runs a script once, on another way than the queue's connection.</summary>
    /// <exception cref="StoreUnavailableException">No answer, or a refusal.</exception>
    public async Task<RedisResult> CallAsync(string script, int partition, RedisValue[] arguments, Way? way, CancellationToken cancellationToken)
    {
        var multiplexer = way is null ? await connection.GetAsync(cancellationToken) : null;
        try
        {
            arguments[0] = _partitions;
            return CheckLayout(multiplexer is null
                ? await way!(script, partition, arguments, cancellationToken)
                : await multiplexer.GetDatabase().ScriptEvaluateAsync(script, keys[partition].Declared, arguments, OnPrimary));
        }
        catch (Exception e) when (e is RedisException or TimeoutException or ObjectDisposedException)
        {
            throw Translate(e);
        }
    }

    /// <summary>Runs a script once, on the calling thread.</summary>
    /// <exception cref="StoreUnavailableException">No answer, or a refusal.</exception>
    public RedisResult Call(string script, int partition, RedisValue[] arguments)
    {
        if (connection.Current is not { IsConnected: true } multiplexer)
        {
            throw new StoreUnavailableException("Redis is not connected.");
        }

        try
        {
            arguments[0] = _partitions;
            return CheckLayout(multiplexer.GetDatabase().ScriptEvaluate(script, keys[partition].Declared, arguments, OnPrimary));
        }
        catch (Exception e) when (e is RedisException or TimeoutException or ObjectDisposedException)
        {
            throw Translate(e);
        }
    }

    private RedisResult CheckLayout(RedisResult result)
    {
        if (result.Resp2Type == ResultType.BulkString && (string?)result is { } text && text.StartsWith("LAYOUT ", StringComparison.Ordinal))
        {
            throw new InvalidOperationException(
                $"The queue '{prefix}' was created with {text["LAYOUT ".Length..]} partitions in this Redis, and this host is set to {_partitions} (Partitions). Set the same number, or another QueuePrefix.");
        }

        return result;
    }

    private StoreUnavailableException Translate(Exception e)
    {
        // Redis answers these before a script begins, or rolls on to no write: nothing was done.
        if (e is RedisServerException refusal)
        {
            if (IsPassing(refusal.Message))
            {
                connection.DoubtPrimary();
                return new StoreUnavailableException($"Redis can't take calls now: {refusal.Message}", e);
            }

            return new StoreUnavailableException($"Redis refused the call: {refusal.Message}", e) { IsRefusal = true };
        }

        // The client's words for ASK where it doesn't follow, and for a node that it isn't connected to. Whoever answered so has done nothing.
        if (e is RedisConnectionException { FailureType: ConnectionFailureType.UnableToConnect } && e.Message.StartsWith("Endpoint ", StringComparison.Ordinal))
        {
            connection.DoubtPrimary();
            return new StoreUnavailableException("Redis can't take calls now: the slot is moving to another node of the Cluster, or that node isn't connected (ASK, MOVED).", e);
        }

        var status = e switch
        {
            RedisConnectionException lost => lost.CommandStatus,
            RedisTimeoutException late => late.Commandstatus,
            _ => CommandStatus.Unknown,
        };
        connection.DoubtPrimary();
        var sent = status is not (CommandStatus.WaitingToBeSent or CommandStatus.WaitingInBacklog);
        if (sent && e is RedisTimeoutException)
        {
            connection.ReportUnanswered();
        }

        // A server that answers READONLY is known for a replica soon, and the client sends it nothing more.
        var isReadOnly = e is RedisConnectionException { FailureType: ConnectionFailureType.UnableToResolvePhysicalConnection } && connection.Current is { IsConnected: true };
        var message = isReadOnly
            ? "Redis can't take calls now: no primary is connected, what is connected is a replica (READONLY)."
            : $"Redis did not answer: {FirstLine(e.Message)}";
        return new StoreUnavailableException(message, e) { MayHaveBeenDone = sent };
    }

    // The words of a start, a failover, a moving slot or a disk that is full. Redis 6 wraps what a script's first write was refused with: "ERR Error running script (…): … -READONLY …".
    private static bool IsPassing(string message) =>
        PassingWords.Any(word => message.StartsWith(word, StringComparison.Ordinal)
            || (message.StartsWith("ERR Error running script", StringComparison.Ordinal) && message.Contains($": -{word} ", StringComparison.Ordinal)));

    // The client adds its whole state behind the first sentence.
    private static string FirstLine(string message) => message.Split(['\n', '\r', ','], 2)[0];
}
