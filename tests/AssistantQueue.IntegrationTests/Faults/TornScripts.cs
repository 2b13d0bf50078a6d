using System.Globalization;
using StackExchange.Redis;

namespace AssistantQueue.IntegrationTests.Faults;

/// <summary>
/// Ends a script in the middle of its writes, and its owner with it: so it may look after a crash of a Redis that logs a script command by command.
/// An owner that isn't to die so notes every such point instead.
/// </summary>
internal static class TornScripts
{
    // Whatever isn't known to read is taken for a write.
    private const string Head = """
        local limit, made, real = {limit}, 0, redis
        local reads = {}
        for name in string.gmatch('EXISTS GET HEXISTS HGET HGETALL HMGET LINDEX LLEN LRANGE PUBLISH TIME ZCARD ZCOUNT ZRANGE ZRANGEBYSCORE ZREVRANGEBYSCORE ZSCORE', '%u+') do reads[name] = true end
        local function limited(run)
          return function(command, ...)
            if not reads[command] then
              if made == limit then error('torn') end
              made = made + 1
            end
            return run(command, ...)
          end
        end
        local redis = setmetatable({ call = limited(real.call), pcall = limited(real.pcall) }, { __index = real })
        local function script()

        """;

    private const string Foot = """

        end
        local answer = script()
        real.call('SET', '{key}', made)
        return answer
        """;

    /// <summary>A multiplexer on which every script ends after so many writes, with an error that says so.</summary>
    public static IConnectionMultiplexer After(IConnectionMultiplexer inner, int writes) => ScriptProxy.On(inner, (_, arguments, call) =>
    {
        arguments[0] = Limited(arguments[0]!, writes, "made");
        return call();
    });

    /// <summary>A multiplexer on which the first run of a script ends after so many writes, and the connection with it; who lives calls again.</summary>
    public static IConnectionMultiplexer Once(IConnectionMultiplexer inner, int writes, Action torn)
    {
        var isOver = 0;
        return ScriptProxy.On(inner, (_, arguments, call) =>
        {
            if (Interlocked.Exchange(ref isOver, 1) == 1)
            {
                return call();
            }

            arguments[0] = Limited(arguments[0]!, writes, "made");
            return call() is Task<RedisResult> task ? BreakAsync(task) : throw new NotSupportedException("Nobody calls on his own thread here.");
        });

        async Task<RedisResult> BreakAsync(Task<RedisResult> run)
        {
            try
            {
                return await run;
            }
            catch (RedisServerException e) when (IsTearing(e))
            {
                torn();
                throw new RedisConnectionException(ConnectionFailureType.SocketClosed, CommandFlags.None, "Redis went down.", innerException: null, CommandStatus.Sent);
            }
        }
    }

    /// <summary>Whether an error says that a script was torn.</summary>
    public static bool IsTearing(Exception e) => e.Message.Contains(": torn", StringComparison.Ordinal);

    /// <summary>A multiplexer on which the owner's scripts are torn.</summary>
    public static IConnectionMultiplexer On(IConnectionMultiplexer inner, Owner owner, CrashPoint? diesAt) =>
        ScriptProxy.On(inner, (script, arguments, call) => new Run(inner.GetDatabase(), owner, script, owner.Begin(script), diesAt).Call(arguments, call));

    private static string Limited(object script, int writes, string key) =>
        Head.Replace("{limit}", writes.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal) + script + Foot.Replace("{key}", key, StringComparison.Ordinal);

    /// <summary>One run of a script.</summary>
    private sealed class Run(IDatabase database, Owner owner, string script, int number, CrashPoint? diesAt)
    {
        private readonly string _made = "made:" + Guid.NewGuid().ToString("N");

        private bool IsTorn => diesAt is { Moment: CrashMoment.Torn } && (diesAt.Call, diesAt.Number) == (script, number);

        public object? Call(object?[] arguments, Func<object?> call)
        {
            if (diesAt is not null && !IsTorn)
            {
                return call();
            }

            arguments[0] = Limited(arguments[0]!, diesAt?.Writes ?? int.MaxValue, _made);
            try
            {
                var answer = call();
                if (answer is Task<RedisResult> task)
                {
                    return EndAsync(task);
                }

                Note();
                return answer;
            }
            catch (RedisServerException e) when (IsTearing(e))
            {
                owner.Pass(script, number, CrashMoment.Torn, diesAt!.Writes);
                throw;
            }
        }

        private async Task<RedisResult> EndAsync(Task<RedisResult> run)
        {
            try
            {
                var answer = await run;
                Note();
                return answer;
            }
            catch (RedisServerException e) when (IsTearing(e))
            {
                await owner.PassAsync(script, number, CrashMoment.Torn, diesAt!.Writes);
                throw;
            }
        }

        // After the last write it is whole.
        private void Note()
        {
            var made = (int)database.StringGetDelete(_made);
            for (var writes = 1; diesAt is null && writes < made; writes++)
            {
                owner.Pass(script, number, CrashMoment.Torn, writes);
            }
        }
    }
}
