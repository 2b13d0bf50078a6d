using System.Reflection;
using System.Runtime.ExceptionServices;
using AssistantQueue.Store;

namespace AssistantQueue.IntegrationTests.Faults;

/// <summary>A store that passes its owner's crash points before and after each call, whatever calls there are. A dead owner's calls are not made, and what was under way when it died never returns.</summary>
#pragma warning disable CA1852 // The runtime derives the proxy from it.
internal class StoreKiller : DispatchProxy
#pragma warning restore CA1852
{
    private static readonly MethodInfo WithResult = typeof(StoreKiller).GetMethod(nameof(CallWithResultAsync), BindingFlags.NonPublic | BindingFlags.Instance)!;

    private IQueueStore _inner = null!;
    private Owner _owner = null!;

    public static IQueueStore Around(IQueueStore inner, Owner owner)
    {
        var proxy = Create<IQueueStore, StoreKiller>();
        var killer = (StoreKiller)(object)proxy;
        (killer._inner, killer._owner) = (inner, owner);
        return proxy;
    }

    protected override object? Invoke(MethodInfo? targetMethod, object?[]? args)
    {
        var (method, arguments) = (targetMethod!, args ?? []);
        if (method.IsSpecialName || method.Name is nameof(IQueueStore.PartitionOf) or nameof(IAsyncDisposable.DisposeAsync))
        {
            // Calls nobody.
            return Forward(method, arguments);
        }

        if (method.Name == nameof(IQueueStore.SubscribeToRunSignalsAsync))
        {
            var tell = (Action<RunSignal>)arguments[1]!;
            arguments[1] = (RunSignal signal) =>
            {
                tell(signal);
                if (signal.Wish != RunWish.None)
                {
                    _owner.Wish();
                }
            };
        }

        var number = _owner.Begin(method.Name);
        if (method.ReturnType == typeof(Task))
        {
            return CallAsync(method, arguments, number);
        }

        if (method.ReturnType.IsGenericType && method.ReturnType.GetGenericTypeDefinition() == typeof(Task<>))
        {
            return WithResult.MakeGenericMethod(method.ReturnType.GenericTypeArguments).Invoke(this, [method, arguments, number]);
        }

        return method.ReturnType == typeof(RenewOutcome)
            ? Call(method, arguments, number)
            : throw new NotSupportedException($"The store's {method.Name} returns {method.ReturnType.Name}, around which nobody can be killed yet.");
    }

    private object? Call(MethodInfo method, object?[] arguments, int number)
    {
        _owner.Pass(method.Name, number, CrashMoment.Before);
        var answer = Forward(method, arguments);
        _owner.Pass(method.Name, number, CrashMoment.After);
        return answer;
    }

    private async Task CallAsync(MethodInfo method, object?[] arguments, int number)
    {
        await _owner.PassAsync(method.Name, number, CrashMoment.Before);
        await (Task)Forward(method, arguments)!;
        await _owner.PassAsync(method.Name, number, CrashMoment.After);
    }

    private async Task<T> CallWithResultAsync<T>(MethodInfo method, object?[] arguments, int number)
    {
        await _owner.PassAsync(method.Name, number, CrashMoment.Before);
        var answer = await (Task<T>)Forward(method, arguments)!;
        await _owner.PassAsync(method.Name, number, CrashMoment.After);
        return answer;
    }

    private object? Forward(MethodInfo method, object?[] arguments)
    {
        try
        {
            return method.Invoke(_inner, arguments);
        }
        catch (TargetInvocationException e)
        {
            ExceptionDispatchInfo.Throw(e.InnerException!);
            throw;
        }
    }
}
