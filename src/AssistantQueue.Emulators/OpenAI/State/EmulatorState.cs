using System.Text.Json.Nodes;

namespace AssistantQueue.Emulators;

/// <summary>All that the service remembers, behind one lock, and its trace in a file.</summary>
internal sealed class EmulatorState : IDisposable
{
    private readonly StateFile? file;

    public EmulatorState(string? directory)
    {
        if (directory is null)
        {
            return;
        }

        file = new StateFile(Path.Combine(directory, "openai-state.jsonl"));
        foreach (var line in file.ReadAll())
        {
            foreach (var change in line.AsArray())
            {
                var (kind, value) = change!.AsObject().Single();
                Apply(kind, value!.DeepClone().AsObject());
            }
        }

        file.Replace(Everything());
    }

    /// <summary>Gets the lock that every read and write of the entries needs.</summary>
    public Lock Gate { get; } = new();

    public Dictionary<string, ThreadEntry> Threads { get; } = [];

    public Dictionary<string, ConversationEntry> Conversations { get; } = [];

    public Dictionary<string, ResponseEntry> Responses { get; } = [];

    /// <summary>Writes changes that were made together as one line: after a kill all of them are there, or none.</summary>
    public void Save(params ReadOnlySpan<(string Kind, JsonNode Value)> changes) => file?.Append(Wire.Line(changes));

    /// <summary>How a run or response ended: null when there is none of that id, no status when it goes on.</summary>
    public (string? Status, bool Kept)? EndOf(string id)
    {
        lock (Gate)
        {
            if (Responses.GetValueOrDefault(id) is { } response)
            {
                return response.IsTerminal ? (response.Status, response.IsHistory) : (null, false);
            }

            return Threads.Values.SelectMany(t => t.Runs).FirstOrDefault(r => r.Id == id) is { } run
                ? run.IsTerminal ? (run.Status, true) : (null, true)
                : null;
        }
    }

    public void Dispose()
    {
        lock (Gate)
        {
            file?.Dispose();
        }
    }

    private void Apply(string kind, JsonObject value)
    {
        var id = value.Text("id") ?? "";
        switch (kind)
        {
            case "thread":
                Threads[id] = Carry(Threads.GetValueOrDefault(id), new ThreadEntry(value));
                break;
            case "thread_deleted":
                Threads.Remove(id);
                break;
            case "message":
                Put(Threads[value.Text("thread_id")!].Messages, value);
                break;
            case "message_deleted":
                Threads[value.Text("thread_id")!].Messages.RemoveAll(m => m.Text("id") == id);
                break;
            case "run":
                var runs = Threads[value.Text("thread_id")!].Runs;
                var entry = new RunEntry(value);
                var at = runs.FindIndex(r => r.Id == id);
                if (at < 0)
                {
                    runs.Add(entry);
                }
                else
                {
                    entry.Steps.AddRange(runs[at].Steps);
                    runs[at] = entry;
                }

                break;
            case "step":
                Put(Threads[value.Text("thread_id")!].Runs.Single(r => r.Id == value.Text("run_id")).Steps, value);
                break;
            case "conversation":
                var conversation = new ConversationEntry(value);
                conversation.Items.AddRange(Conversations.GetValueOrDefault(id)?.Items ?? []);
                Conversations[id] = conversation;
                break;
            case "conversation_deleted":
                Conversations.Remove(id);
                break;
            case "items":
                foreach (var item in value.List("items")!)
                {
                    Put(Conversations[value.Text("conversation")!].Items, item!.DeepClone().AsObject());
                }

                break;
            case "item_deleted":
                Conversations[value.Text("conversation")!].Items.RemoveAll(i => i.Text("id") == id);
                break;
            case "response":
                var response = new ResponseEntry(value);
                Responses[response.Id] = response;
                break;
            case "response_deleted":
                Responses.Remove(id);
                break;
        }
    }

    private static ThreadEntry Carry(ThreadEntry? before, ThreadEntry thread)
    {
        thread.Messages.AddRange(before?.Messages ?? []);
        thread.Runs.AddRange(before?.Runs ?? []);
        return thread;
    }

    private static void Put(List<JsonObject> list, JsonObject value)
    {
        var at = list.FindIndex(v => v.Text("id") == value.Text("id"));
        if (at < 0)
        {
            list.Add(value);
        }
        else
        {
            list[at] = value;
        }
    }

    private IEnumerable<byte[]> Everything()
    {
        foreach (var thread in Threads.Values)
        {
            yield return Wire.Line(
            [
                ("thread", thread.Body),
                .. thread.Messages.Select(m => ("message", (JsonNode)m)),
                .. thread.Runs.SelectMany(r => r.Steps.Select(s => ("step", (JsonNode)s)).Prepend(("run", r.Body))),
            ]);
        }

        foreach (var conversation in Conversations.Values)
        {
            yield return Wire.Line(
            [
                ("conversation", conversation.Body),
                ("items", new JsonObject { ["conversation"] = conversation.Id, ["items"] = Wire.Copies(conversation.Items) }),
            ]);
        }

        foreach (var response in Responses.Values)
        {
            yield return Wire.Line([("response", response.Document)]);
        }
    }
}
