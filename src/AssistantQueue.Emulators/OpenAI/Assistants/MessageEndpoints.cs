using System.Text.Json.Nodes;

namespace AssistantQueue.Emulators;

/// <summary>Messages of a thread: create, list, get, modify, delete.</summary>
internal sealed class MessageEndpoints(EmulatorCore core)
{
    public void MapTo(Routes routes)
    {
        routes.Add("POST", "threads/{thread_id}/messages", "create_message", Create, AssistantsRules.CreateMessage);
        routes.Add("GET", "threads/{thread_id}/messages", "list_messages", List);
        routes.Add("GET", "threads/{thread_id}/messages/{message_id}", "get_message", e => With(e, (_, message) => message));
        routes.Add("POST", "threads/{thread_id}/messages/{message_id}", "modify_message", e => With(e, Modify), AssistantsRules.Modify);
        routes.Add("DELETE", "threads/{thread_id}/messages/{message_id}", "delete_message", e => With(e, Delete));
    }

    private Answer Create(Exchange exchange)
    {
        lock (core.State.Gate)
        {
            var thread = ThreadEndpoints.FindUnderLock(core, exchange);
            if (thread.Active is { } active)
            {
                throw ApiException.MessageWhileActive(thread.Id, active.Id);
            }

            var message = MessageObjects.FromUser(core, thread.Id, exchange.Body);
            thread.Messages.Add(message);
            core.State.Save(("message", message));
            core.Ledger.MessagesAccepted(MessageObjects.ForLedger([message], thread.Id, null));
            return Answer.Json(message);
        }
    }

    private Answer List(Exchange exchange)
    {
        lock (core.State.Gate)
        {
            var thread = ThreadEndpoints.FindUnderLock(core, exchange);
            var run = exchange.Query("run_id");
            return Answer.Json(Page.Of(exchange, run is null ? thread.Messages : [.. thread.Messages.Where(m => m.Text("run_id") == run)]));
        }
    }

    private Answer With(Exchange exchange, Func<Exchange, JsonObject, JsonObject> action)
    {
        lock (core.State.Gate)
        {
            var id = exchange.Argument("message_id");
            var message = ThreadEndpoints.FindUnderLock(core, exchange).Messages.Find(m => m.Text("id") == id) ?? throw ApiException.NoMessage(id);
            return Answer.Json(action(exchange, message));
        }
    }

    private JsonObject Modify(Exchange exchange, JsonObject message)
    {
        message["metadata"] = exchange.Body.Copy("metadata") ?? new JsonObject();
        core.State.Save(("message", message));
        return message;
    }

    private JsonObject Delete(Exchange exchange, JsonObject message)
    {
        var thread = ThreadEndpoints.FindUnderLock(core, exchange);
        thread.Messages.Remove(message);
        core.State.Save(("message_deleted", new JsonObject { ["id"] = message.Text("id"), ["thread_id"] = thread.Id }));
        return new JsonObject { ["id"] = message.Text("id"), ["object"] = "thread.message.deleted", ["deleted"] = true };
    }
}
