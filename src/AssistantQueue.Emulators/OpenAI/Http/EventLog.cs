using System.Text.Json.Nodes;

namespace AssistantQueue.Emulators;

/// <summary>The events of one run or response in order; any number of readers follow it from any position. Thread-safe.</summary>
internal sealed class EventLog
{
    private readonly Lock gate = new();
    private readonly List<SentEvent> events = [];
    private TaskCompletionSource changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private bool complete;

    public int Count
    {
        get
        {
            lock (gate)
            {
                return events.Count;
            }
        }
    }

    public void Add(string name, JsonNode data) => Change(() => events.Add(new(name, Wire.Utf8(data))));

    /// <summary>Adds an event that carries its own position as <c>sequence_number</c>.</summary>
    public void AddNumbered(string name, JsonObject data) => Change(() =>
    {
        data["type"] = name;
        data["sequence_number"] = events.Count;
        events.Add(new(name, Wire.Utf8(data)));
    });

    public void Complete() => Change(() => complete = true);

    /// <summary>Reads the event at a position, waiting for it; null when there will be none.</summary>
    public async Task<SentEvent?> ReadAsync(int position, CancellationToken cancellationToken)
    {
        while (true)
        {
            Task wait;
            lock (gate)
            {
                if (position < events.Count)
                {
                    return events[position];
                }

                if (complete)
                {
                    return null;
                }

                wait = changed.Task;
            }

            await wait.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    private void Change(Action change)
    {
        TaskCompletionSource before;
        lock (gate)
        {
            change();
            before = changed;
            changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        before.SetResult();
    }
}

/// <summary>One server-sent event: its name and its data as UTF-8 JSON.</summary>
internal sealed record SentEvent(string Name, byte[] Data);
