using System.Collections.Concurrent;
using System.Reflection;
using System.Runtime.ExceptionServices;
using AssistantQueue.Redis;
using StackExchange.Redis;

namespace AssistantQueue.IntegrationTests.Faults;

/// <summary>Counts the scripts that are run, and loses the answer of one: it was applied, and the connection broke before anybody read what it said. Thread-safe.</summary>
/// <param name="lost">The script and which of its runs; null loses none.</param>
internal sealed class LostAnswers((string Script, int Number)? lost)
{
    // Every script that the store has: what is added there is found here.
    private static readonly Dictionary<string, string> Names = typeof(RedisScript)
        .GetProperties(BindingFlags.Public | BindingFlags.Static)
        .ToDictionary(script => (string)script.GetValue(null)!, script => script.Name);

    private readonly ConcurrentDictionary<string, int> _runs = new();
    private TaskCompletionSource _run = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _lost;

    /// <summary>Completes when the next script is run.</summary>
    public Task NextRun => Volatile.Read(ref _run).Task;

    /// <summary>Gets the names of all scripts.</summary>
    public static IEnumerable<string> Scripts => Names.Values;

    /// <summary>Gets how often each script was run.</summary>
    public IReadOnlyDictionary<string, int> Runs => _runs;

    /// <summary>Gets a value indicating whether the answer was lost.</summary>
    public bool IsLost => Volatile.Read(ref _lost) > 0;

    /// <summary>A multiplexer whose databases lose the answer.</summary>
    public IConnectionMultiplexer On(IConnectionMultiplexer inner)
    {
        var proxy = DispatchProxy.Create<IConnectionMultiplexer, Forwarder>();
        ((Forwarder)(object)proxy).Begin(inner, (method, _, call) =>
            method.Name == nameof(IConnectionMultiplexer.GetDatabase) ? Losing((IDatabase)call()!) : call());
        return proxy;
    }

    private IDatabase Losing(IDatabase inner)
    {
        var proxy = DispatchProxy.Create<IDatabase, Forwarder>();
        ((Forwarder)(object)proxy).Begin(inner, Evaluate);
        return proxy;
    }

    private object? Evaluate(MethodInfo method, object?[] arguments, Func<object?> call)
    {
        if (!method.Name.StartsWith(nameof(IDatabase.ScriptEvaluate), StringComparison.Ordinal) || arguments[0] is not string text || !Names.TryGetValue(text, out var script))
        {
            return call();
        }

        var number = _runs.AddOrUpdate(script, 1, (_, n) => n + 1);
        var isLost = lost == (script, number);
        var answer = call();
        Interlocked.Exchange(ref _run, new(TaskCreationOptions.RunContinuationsAsynchronously)).TrySetResult();
        if (!isLost)
        {
            return answer;
        }

        Interlocked.Increment(ref _lost);
        return answer is Task<RedisResult> task ? LoseAsync(task) : throw Broken();
    }

    private static async Task<RedisResult> LoseAsync(Task<RedisResult> applied)
    {
        await applied;
        throw Broken();
    }

    private static RedisConnectionException Broken() =>
        new(ConnectionFailureType.SocketClosed, CommandFlags.None, "The test has cut the connection.", innerException: null, CommandStatus.Sent);

    /// <summary>Passes calls on.</summary>
#pragma warning disable CA1852 // The runtime derives the proxies from it.
    internal class Forwarder : DispatchProxy
#pragma warning restore CA1852
    {
        private object _inner = null!;
        private Func<MethodInfo, object?[], Func<object?>, object?> _around = null!;

        public void Begin(object inner, Func<MethodInfo, object?[], Func<object?>, object?> around) => (_inner, _around) = (inner, around);

        protected override object? Invoke(MethodInfo? targetMethod, object?[]? args) =>
            _around(targetMethod!, args ?? [], () =>
            {
                try
                {
                    return targetMethod!.Invoke(_inner, args);
                }
                catch (TargetInvocationException e)
                {
                    ExceptionDispatchInfo.Throw(e.InnerException!);
                    throw;
                }
            });
    }
}
