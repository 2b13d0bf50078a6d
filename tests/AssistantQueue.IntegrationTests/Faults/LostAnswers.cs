using System.Collections.Concurrent;
using StackExchange.Redis;

namespace AssistantQueue.IntegrationTests.Faults;

/// <summary>Counts the scripts that are run, and loses the answer of one: it was applied, and the connection broke before anybody read what it said. Thread-safe.</summary>
/// <param name="lost">The script and which of its runs; null loses none.</param>
internal sealed class LostAnswers((string Script, int Number)? lost)
{
    private readonly ConcurrentDictionary<string, int> _runs = new();
    private TaskCompletionSource _run = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _lost;

    /// <summary>Completes when the next script is run.</summary>
    public Task NextRun => Volatile.Read(ref _run).Task;

    /// <summary>Gets how often each script was run.</summary>
    public IReadOnlyDictionary<string, int> Runs => _runs;

    /// <summary>Gets a value indicating whether the answer was lost.</summary>
    public bool IsLost => Volatile.Read(ref _lost) > 0;

    /// <summary>A multiplexer whose databases lose the answer.</summary>
    public IConnectionMultiplexer On(IConnectionMultiplexer inner) => ScriptProxy.On(inner, Evaluate);

    private object? Evaluate(string script, object?[] arguments, Func<object?> call)
    {
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
}
