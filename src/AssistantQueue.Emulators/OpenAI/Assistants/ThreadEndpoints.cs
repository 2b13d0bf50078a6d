using System.Text.Json.Nodes;

namespace AssistantQueue.Emulators;

/// <summary>Threads: create, get, modify, delete.</summary>
internal sealed class ThreadEndpoints(EmulatorCore core)
{
    public void MapTo(Routes routes)
    {
        routes.Add("POST", "threads", "create_thread", Create, AssistantsRules.CreateThread);
        routes.Add("GET", "threads/{thread_id}", "get_thread", Get);
        routes.Add("POST", "threads/{thread_id}", "modify_thread", Modify, AssistantsRules.ModifyThread);
        routes.Add("DELETE", "threads/{thread_id}", "delete_thread", Delete);
    }

    /// <summary>Finds the thread in the path, or answers 404. Needs the state's lock.</summary>
    public static ThreadEntry FindUnderLock(EmulatorCore core, Exchange exchange)
    {
        var id = exchange.Argument("thread_id");
        return core.State.Threads.GetValueOrDefault(id) ?? throw ApiException.NoThread(id);
    }

    /// <summary>Makes and saves a thread with its first messages. Needs the state's lock.</summary>
    public static ThreadEntry AddUnderLock(EmulatorCore core, JsonObject spec)
    {
        var thread = new ThreadEntry(new JsonObject
        {
            ["id"] = Wire.NewId("thread_"),
            ["object"] = "thread",
            ["created_at"] = core.Seconds,
            ["metadata"] = spec.Copy("metadata") ?? new JsonObject(),
            ["tool_resources"] = spec.Copy("tool_resources") ?? new JsonObject(),
        });
        core.State.Threads[thread.Id] = thread;
        thread.Messages.AddRange((spec.List("messages") ?? []).Select(m => MessageObjects.FromUser(core, thread.Id, m!.AsObject())));
        core.State.Save([("thread", thread.Body), .. thread.Messages.Select(m => ("message", (JsonNode)m))]);
        return thread;
    }

    private Answer Create(Exchange exchange)
    {
        lock (core.State.Gate)
        {
            var thread = AddUnderLock(core, exchange.Body);
            core.Ledger.MessagesAccepted(MessageObjects.ForLedger(thread.Messages, thread.Id, null));
            return Answer.Json(thread.Body);
        }
    }

    private Answer Get(Exchange exchange)
    {
        lock (core.State.Gate)
        {
            return Answer.Json(FindUnderLock(core, exchange).Body);
        }
    }

    private Answer Modify(Exchange exchange)
    {
        lock (core.State.Gate)
        {
            var thread = FindUnderLock(core, exchange);
            foreach (var (name, value) in exchange.Body)
            {
                thread.Body[name] = value?.DeepClone() ?? new JsonObject();
            }

            core.State.Save(("thread", thread.Body));
            return Answer.Json(thread.Body);
        }
    }

    private Answer Delete(Exchange exchange)
    {
        lock (core.State.Gate)
        {
            var thread = FindUnderLock(core, exchange);
            thread.Active?.Work?.Interrupt("cancel");
            core.State.Threads.Remove(thread.Id);
            core.State.Save(("thread_deleted", new JsonObject { ["id"] = thread.Id }));
            return Answer.Json(new JsonObject { ["id"] = thread.Id, ["object"] = "thread.deleted", ["deleted"] = true });
        }
    }
}
