using System.Text.Json;

namespace AssistantQueue.Emulators;

/// <summary>The emulator's memory of everything it was sent; nothing is ever taken out. Thread-safe.</summary>
/// <remarks>With a data directory each entry is in <c>openai-ledger.jsonl</c> before the request is answered, so that the ledger outlives a kill.</remarks>
public sealed class OpenAILedger : IDisposable
{
    private readonly Lock gate = new();
    private readonly StateFile? file;
    private readonly TimeProvider time;
    private readonly List<LedgerRequest> requests = [];
    private readonly List<LedgerRun> runs = [];
    private readonly List<LedgerMessage> messages = [];
    private readonly Dictionary<long, int> requestAt = [];
    private readonly Dictionary<string, int> runAt = [];
    private readonly Dictionary<string, string> keys = [];
    private TaskCompletionSource changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long last;

    internal OpenAILedger(string? directory, TimeProvider time)
    {
        this.time = time;
        if (directory is null)
        {
            return;
        }

        file = new StateFile(Path.Combine(directory, "openai-ledger.jsonl"));
        foreach (var line in file.ReadAll())
        {
            Apply(line.Deserialize(LedgerJson.Default.LedgerEntry) ?? throw new JsonException("An empty line in the ledger."));
        }
    }

    /// <summary>Takes a copy of everything up to now.</summary>
    /// <returns>The copy, with the thread keys resolved.</returns>
    public LedgerSnapshot Snapshot()
    {
        lock (gate)
        {
            return new LedgerSnapshot
            {
                LastSequence = last,
                Requests = [.. requests],
                Runs = [.. runs.Select(r => r with { ThreadKey = KeyUnderLock(r.ThreadKey) })],
                Messages = [.. messages.Select(m => m with
                {
                    ThreadKey = KeyUnderLock(m.ThreadKey),
                    Kept = m.RunId is null || (runAt.TryGetValue(m.RunId, out var at) && runs[at].Kept),
                })],
            };
        }
    }

    /// <summary>Waits until the ledger is as a test wants it, looking after each change (in a long ledger: 40 times a second).</summary>
    /// <param name="condition">What to wait for.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <returns>The first copy that fulfils the condition.</returns>
    /// <exception cref="OperationCanceledException">It was cancelled before.</exception>
    public async Task<LedgerSnapshot> WaitForAsync(Func<LedgerSnapshot, bool> condition, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(condition);
        while (true)
        {
            Task wait;
            lock (gate)
            {
                wait = changed.Task;
            }

            if (Snapshot() is var now && condition(now))
            {
                return now;
            }

            await wait.WaitAsync(cancellationToken).ConfigureAwait(false);
            if (now.LastSequence > 1000)
            {
                // a long ledger takes milliseconds to copy and grows by thousands of entries a second: look less often than at each
                await Task.Delay(TimeSpan.FromMilliseconds(25), time, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (gate)
        {
            file?.Dispose();
        }
    }

    /// <summary>The app's name for a thread or conversation; null until a run has told it.</summary>
    internal string? KeyOf(string id)
    {
        lock (gate)
        {
            return keys.GetValueOrDefault(id);
        }
    }

    internal long Arrived(LedgerRequest request) => Write(sequence => new() { Request = request with { Sequence = sequence } });

    internal void Answered(long sequence, DateTimeOffset at, int? status, string? error, string? fault, string? runId) => Write(_ =>
        new() { Request = requests[requestAt[sequence]] with { AnsweredAt = at, Status = status, Error = error, Fault = fault, RunId = runId } });

    internal void RunAccepted(LedgerRun run, IEnumerable<LedgerMessage> newMessages)
    {
        Write(sequence => new() { Run = run with { Sequence = sequence } });
        MessagesAccepted(newMessages);
    }

    internal void MessagesAccepted(IEnumerable<LedgerMessage> newMessages)
    {
        foreach (var message in newMessages)
        {
            Write(sequence => new() { Message = message with { Sequence = sequence } });
        }
    }

    internal void RunStarted(string id, DateTimeOffset at) => Change(id, (run, _) => run with { StartedAt = at, Status = "in_progress" });

    internal void RunIs(string id, string status) => Change(id, (run, _) => run with { Status = status });

    internal void OutputsGiven(string id, IReadOnlyDictionary<string, string> outputs) => Change(id, (run, _) => run with
    {
        ToolOutputs = new Dictionary<string, string>((run.ToolOutputs ?? new Dictionary<string, string>()).Concat(outputs)),
    });

    internal void InputKept(string id) => Change(id, (run, _) => run with { Kept = true });

    internal void RunEnded(string id, DateTimeOffset at, string status, bool kept) =>
        Change(id, (run, sequence) => run with { EndedAt = at, EndSequence = sequence, Status = status, Kept = kept });

    /// <summary>Ends the runs that a killed process left open here: with their status in the service's memory, or as lost when that knows nothing of them.</summary>
    /// <param name="known">The service's memory: null for an unknown run; a run that goes on has no status.</param>
    /// <param name="now">The time of the new start.</param>
    internal void CloseLost(Func<string, (string? Status, bool Kept)?> known, DateTimeOffset now)
    {
        foreach (var run in Snapshot().Open)
        {
            switch (known(run.Id))
            {
                case null:
                    // the ledger is written first, so the service may not have got to it; what a response showed at once stays shown
                    RunEnded(run.Id, now, "lost", run.Api == "responses" && run.Kept);
                    break;
                case ({ } status, var kept):
                    RunEnded(run.Id, now, status, kept);
                    break;
            }
        }
    }

    private void Change(string id, Func<LedgerRun, long, LedgerRun> change) => Write(sequence =>
        // not there: somebody deleted the ledger's file and kept the state's
        new() { Run = runAt.TryGetValue(id, out var at) ? change(runs[at], sequence) : null });

    private long Write(Func<long, LedgerEntry> make)
    {
        TaskCompletionSource before;
        long sequence;
        lock (gate)
        {
            sequence = last + 1;
            var entry = make(sequence);
            file?.Append([.. JsonSerializer.SerializeToUtf8Bytes(entry, LedgerJson.Default.LedgerEntry), (byte)'\n']);
            Apply(entry);
            last = sequence;
            before = changed;
            changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        before.SetResult();
        return sequence;
    }

    private void Apply(LedgerEntry entry)
    {
        if (entry.Request is { } request)
        {
            last = Math.Max(last, request.Sequence);
            Put(requests, requestAt, request.Sequence, request);
        }
        else if (entry.Run is { } run)
        {
            last = Math.Max(last, Math.Max(run.Sequence, run.EndSequence ?? 0));
            Put(runs, runAt, run.Id, run);
            if (run.Metadata?.GetValueOrDefault(ThreadKeys.Name) is { } key)
            {
                keys[run.ThreadKey] = key;
            }
        }
        else if (entry.Message is { } message)
        {
            last = Math.Max(last, message.Sequence);
            messages.Add(message);
        }
    }

    /// <summary>The app's name for a thread, conversation or first response, once any run has told it.</summary>
    private string KeyUnderLock(string id) => keys.GetValueOrDefault(id, id);

    private static void Put<TKey, T>(List<T> list, Dictionary<TKey, int> index, TKey key, T value)
        where TKey : notnull
    {
        if (index.TryGetValue(key, out var at))
        {
            list[at] = value;
        }
        else
        {
            index[key] = list.Count;
            list.Add(value);
        }
    }
}
