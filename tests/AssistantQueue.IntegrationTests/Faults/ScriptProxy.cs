using System.Reflection;
using System.Runtime.ExceptionServices;
using AssistantQueue.Redis;
using StackExchange.Redis;

namespace AssistantQueue.IntegrationTests.Faults;

/// <summary>A multiplexer whose databases hand each run of one of the store's scripts to the test.</summary>
internal static class ScriptProxy
{
    // Every script that the store has: what is added there is found here.
    private static readonly Dictionary<string, string> Names = typeof(RedisScript)
        .GetProperties(BindingFlags.Public | BindingFlags.Static)
        .ToDictionary(script => (string)script.GetValue(null)!, script => script.Name);

    /// <summary>What the test does around a run of a script.</summary>
    /// <param name="script">The script's name.</param>
    /// <param name="arguments">The call's arguments, the script's text first; what is changed there is sent.</param>
    /// <param name="call">Makes the call.</param>
    /// <returns>The call's answer, or its task.</returns>
    public delegate object? Around(string script, object?[] arguments, Func<object?> call);

    /// <summary>Gets the names of all scripts.</summary>
    public static IEnumerable<string> Scripts => Names.Values;

    public static IConnectionMultiplexer On(IConnectionMultiplexer inner, Around around)
    {
        var proxy = DispatchProxy.Create<IConnectionMultiplexer, Forwarder>();
        ((Forwarder)(object)proxy).Begin(inner, (method, _, call) =>
            method.Name == nameof(IConnectionMultiplexer.GetDatabase) ? On((IDatabase)call()!, around) : call());
        return proxy;
    }

    private static IDatabase On(IDatabase inner, Around around)
    {
        var proxy = DispatchProxy.Create<IDatabase, Forwarder>();
        ((Forwarder)(object)proxy).Begin(inner, (method, arguments, call) =>
            method.Name.StartsWith(nameof(IDatabase.ScriptEvaluate), StringComparison.Ordinal) && arguments[0] is string text && Names.TryGetValue(text, out var script)
                ? around(script, arguments, call)
                : call());
        return proxy;
    }

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
