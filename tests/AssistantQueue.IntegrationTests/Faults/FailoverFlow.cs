using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using AssistantQueue.IntegrationTests.Redis;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace AssistantQueue.IntegrationTests.Faults;

/// <summary>A queue with a worker, people who write in every thread until told to stop, and what was acknowledged and answered.</summary>
internal sealed class FailoverFlow : IAsyncDisposable
{
    // Typing pace: a hundred messages a second and thread would only fill the queue.
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(25);

    // Who loses the answer to a claim of deliveries waits for their leases' end, twice at worst.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);

    private readonly IHost _host;
    private readonly GatedEcho _backend = new();
    private readonly string[] _threads;
    private readonly ConcurrentDictionary<string, ConcurrentQueue<string>> _acknowledged = new();
    private readonly ConcurrentDictionary<string, ConcurrentQueue<string>> _answered = new();
    private readonly ConcurrentDictionary<string, bool> _batches = new();
    private readonly ConcurrentQueue<FailedBatch> _failures = new();
    private readonly ConcurrentQueue<Exception> _refusals = new();
    private readonly CancellationTokenSource _typing = new();
    private Task[] _people = [];
    private int _repeated;
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private FailoverFlow(int threads, Action<AssistantQueueOptions> configure)
    {
        _threads = [.. Enumerable.Range(0, threads).Select(i => $"c{i}")];
        foreach (var thread in _threads)
        {
            (_acknowledged[thread], _answered[thread]) = ([], []);
        }

        var builder = Host.CreateApplicationBuilder();
        builder.Logging.SetMinimumLevel(LogLevel.Warning);
        builder.Services.AddAssistantMessageQueue(options =>
            {
                options.QueuePrefix = TestRedis.NewPrefix();
                options.Concurrency = threads;
                options.MaxPendingMessages = 100_000;
                options.MaxAttempts = 1;
                configure(options);
                Options = options;
            })
            .UseBackend(_backend)
            .OnReply((reply, _) =>
            {
                if (!_batches.TryAdd(reply.BatchId, true))
                {
                    Interlocked.Increment(ref _repeated);
                    return Task.CompletedTask;
                }

                foreach (var id in reply.MessageIds)
                {
                    _answered.GetOrAdd(reply.ThreadId, _ => []).Enqueue(id);
                }

                Signal();
                return Task.CompletedTask;
            })
            .OnFailed((failure, _) =>
            {
                _failures.Enqueue(failure);
                Signal();
                return Task.CompletedTask;
            });
        _host = builder.Build();
        Queue = _host.Services.GetRequiredService<IAssistantMessageQueue>();
    }

    public AssistantQueueOptions Options { get; private set; } = null!;

    public IAssistantMessageQueue Queue { get; }

    public static async Task<FailoverFlow> StartAsync(int threads, Action<AssistantQueueOptions> configure)
    {
        var flow = new FailoverFlow(threads, configure);
        await flow._host.StartAsync();
        flow._people = [.. flow._threads.Select(thread => Task.Run(() => TypeAsync(flow, thread)))];
        return flow;
    }

    /// <summary>From now on runs begin and don't end; completes when every thread has one.</summary>
    public Task HoldRunsAsync()
    {
        _backend.Close();
        return UntilAsync(() => _backend.Held == _threads.Length, () => $"{_backend.Held} of {_threads.Length} threads have a run");
    }

    /// <summary>Lets the runs end.</summary>
    public void LetRunsEnd() => _backend.Open();

    /// <summary>Completes when so many more messages are acknowledged in every thread.</summary>
    public Task AcknowledgedAsync(int more)
    {
        var goals = _threads.ToDictionary(t => t, t => _acknowledged[t].Count + more);
        return UntilAsync(() => _threads.All(t => _acknowledged[t].Count >= goals[t]), () => $"acknowledged: {Counts(_acknowledged)}");
    }

    /// <summary>Completes when so many more messages are answered in every thread.</summary>
    public Task AnsweredAsync(int more)
    {
        var goals = _threads.ToDictionary(t => t, t => _answered[t].Count + more);
        return UntilAsync(() => _threads.All(t => _answered[t].Count >= goals[t]), () => $"answered: {Counts(_answered)}");
    }

    /// <summary>Completes when everything that is acknowledged is answered, too.</summary>
    public Task AllAnsweredAsync() =>
        UntilAsync(() => _threads.All(t => _acknowledged[t].ToHashSet().IsSubsetOf(_answered[t])), () => $"acknowledged: {Counts(_acknowledged)}; answered: {Counts(_answered)}");

    /// <summary>Completes when a person was told that nothing was stored, with these words.</summary>
    public Task RefusedAsync(string words) => UntilAsync(
        () => _refusals.OfType<QueueUnavailableException>().Any(e => e.Message.Contains(words, StringComparison.OrdinalIgnoreCase) && e.Message.Contains("Nothing was stored", StringComparison.Ordinal)),
        () => $"refused: {string.Join("; ", _refusals.Select(e => e.Message).Distinct())}");

    /// <summary>Completes when a hundred more messages are answered, whichever their threads.</summary>
    public Task MoreAnswersAsync()
    {
        var goal = _answered.Values.Sum(a => a.Count) + 100;
        return UntilAsync(() => _answered.Values.Sum(a => a.Count) >= goal, () => $"answered: {Counts(_answered)}");
    }

    /// <summary>What people were told instead of an acknowledgement.</summary>
    public IReadOnlyList<Exception> Refusals => [.. _refusals];

    /// <summary>What was answered in a thread, also in one that is not the people's.</summary>
    public IReadOnlyList<string> AnsweredIn(string thread) => [.. _answered.GetOrAdd(thread, _ => [])];

    /// <summary>How many messages are acknowledged in each thread.</summary>
    public IReadOnlyDictionary<string, int> Acknowledged => _threads.ToDictionary(t => t, t => _acknowledged[t].Count);

    /// <summary>Nobody writes any more; every message that was acknowledged is answered, once, in its thread's order, and by one run at a time. What may be lost has an order of its own.</summary>
    /// <param name="mayBeLost">Between which counts of acknowledged messages Redis may have lost some; null when it may not.</param>
    /// <param name="mayBeRepeated">Whether the handlers may be given a reply again, with its batch id: when a lease may have ended.</param>
    /// <returns>How many are lost.</returns>
    public async Task<int> EndAsync((IReadOnlyDictionary<string, int> From, IReadOnlyDictionary<string, int> To)? mayBeLost = null, bool mayBeRepeated = false)
    {
        await _typing.CancelAsync();
        await Task.WhenAll(_people).WaitAsync(Patience);
        var expected = _threads.ToDictionary(t => t, t => _acknowledged[t].Where((_, i) => mayBeLost is not { } m || i < m.From[t] || i >= m.To[t]).ToList());
        await UntilAsync(
            () => _threads.All(t => expected[t].ToHashSet().IsSubsetOf(_answered[t])),
            () => $"acknowledged: {Counts(_acknowledged)}; answered: {Counts(_answered)}");
        Assert.Empty(_failures);
        foreach (var thread in _threads)
        {
            // What could be lost and was not keeps its order too, but among itself: a reply that a Redis without its data can't store
            // is handed over at once, beside those to the messages that came after.
            var answered = _answered[thread].ToHashSet();
            var isSafe = expected[thread].ToHashSet();
            foreach (var safe in (bool[])[true, false])
            {
                Assert.Equal(_acknowledged[thread].Where(id => answered.Contains(id) && isSafe.Contains(id) == safe), _answered[thread].Where(id => isSafe.Contains(id) == safe));
            }
        }

        Assert.Equal(0, _backend.Overlaps);
        Assert.True(mayBeRepeated || _repeated == 0, $"{_repeated} replies were given again.");
        await _host.StopAsync();
        return _threads.Sum(t => _acknowledged[t].Count - _answered[t].Count);
    }

    public async ValueTask DisposeAsync()
    {
        await _typing.CancelAsync();
        _backend.Open();
        _host.Dispose();
        _typing.Dispose();
    }

    // One after the other; what Redis didn't acknowledge is said again with its id.
    private static async Task TypeAsync(FailoverFlow flow, string thread)
    {
        for (var n = 0; !flow._typing.IsCancellationRequested; n++)
        {
            var id = $"{thread}-{n}";
            while (true)
            {
                try
                {
                    await flow.Queue.EnqueueAsync(new AssistantMessage { ThreadId = thread, MessageId = id, Text = id, Delay = TimeSpan.Zero });
                    break;
                }
                catch (Exception e) when (e is QueueUnavailableException or EnqueueOutcomeUnknownException)
                {
                    // Not acknowledged: the promise isn't given yet.
                    flow._refusals.Enqueue(e);
                    flow.Signal();
                }
            }

            flow._acknowledged[thread].Enqueue(id);
            flow.Signal();
            // How fast somebody types; nothing is waited for.
            await Task.Delay(Pace);
        }
    }

    private async Task UntilAsync(Func<bool> condition, Func<string> state)
    {
        using var patience = new CancellationTokenSource(Patience);
        while (true)
        {
            var changed = Task.WhenAny([Volatile.Read(ref _changed).Task, _backend.Changed, .. _people.Where(p => !p.IsCompleted)]);
            if (condition())
            {
                return;
            }

            // A person who gave up because of something that nobody promised.
            await (_people.FirstOrDefault(p => p.IsFaulted) ?? Task.CompletedTask);

            try
            {
                await changed.WaitAsync(patience.Token);
            }
            catch (OperationCanceledException)
            {
                Assert.Fail($"Not within {Patience.TotalSeconds} s: {state()}; failures: {string.Join("; ", _failures.Select(f => f.Error))}");
            }
        }
    }

    private void Signal() => Interlocked.Exchange(ref _changed, new(TaskCreationOptions.RunContinuationsAsynchronously)).TrySetResult();

    private static string Counts(ConcurrentDictionary<string, ConcurrentQueue<string>> messages) =>
        string.Join(' ', messages.OrderBy(m => m.Key, StringComparer.Ordinal).Select(m => $"{m.Key}={m.Value.Count}"));

    /// <summary>Answers at once, or when the gate opens; counts runs of one thread beside each other. Nobody could adopt its runs.</summary>
    private sealed class GatedEcho : IAssistantBackend
    {
        private readonly ConcurrentDictionary<string, int> _running = new();
        private TaskCompletionSource _gate = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int _held;
        private int _overlaps;

        public GatedEcho() => _gate.SetResult();

        public int Held => Volatile.Read(ref _held);

        public int Overlaps => Volatile.Read(ref _overlaps);

        public Task Changed => Volatile.Read(ref _changed).Task;

        public void Close() => Volatile.Write(ref _gate, new(TaskCreationOptions.RunContinuationsAsynchronously));

        public void Open() => Volatile.Read(ref _gate).TrySetResult();

        public async IAsyncEnumerable<RunUpdate> RunAsync(BatchRun run, [EnumeratorCancellation] CancellationToken cancellationToken)
        {
            if (_running.AddOrUpdate(run.ThreadId, 1, (_, n) => n + 1) > 1)
            {
                Interlocked.Increment(ref _overlaps);
            }

            try
            {
                var gate = Volatile.Read(ref _gate).Task;
                if (!gate.IsCompleted)
                {
                    Interlocked.Increment(ref _held);
                    Interlocked.Exchange(ref _changed, new(TaskCreationOptions.RunContinuationsAsynchronously)).TrySetResult();
                    try
                    {
                        await gate.WaitAsync(cancellationToken);
                    }
                    finally
                    {
                        Interlocked.Decrement(ref _held);
                    }
                }
            }
            finally
            {
                _running.AddOrUpdate(run.ThreadId, 0, (_, n) => n - 1);
            }

            yield return new RunCompleted { Text = "yes" };
        }
    }
}
