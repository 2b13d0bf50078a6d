using System.Text.Json.Nodes;

namespace AssistantQueue.Emulators;

/// <summary>Items of a conversation: create (20 at most), list, get, delete; none while a response holds the conversation's lock.</summary>
internal sealed class ConversationItemEndpoints(EmulatorCore core)
{
    public void MapTo(Routes routes)
    {
        routes.Add("POST", "conversations/{conversation_id}/items", "create_items", Create, ResponsesRules.CreateItems);
        routes.Add("GET", "conversations/{conversation_id}/items", "list_items", List);
        routes.Add("GET", "conversations/{conversation_id}/items/{item_id}", "get_item", Get);
        routes.Add("DELETE", "conversations/{conversation_id}/items/{item_id}", "delete_item", Delete);
    }

    /// <summary>Adds the <c>items</c> of a body to a conversation. Needs the state's lock.</summary>
    public static List<JsonObject> AddUnderLock(EmulatorCore core, ConversationEntry conversation, JsonObject body)
    {
        var items = ItemObjects.FromInput(body["items"], id => conversation.Items.Find(i => i.Text("id") == id));
        if (items.FirstOrDefault(i => conversation.Items.Exists(o => o.Text("id") == i.Text("id"))) is { } twice)
        {
            throw ApiException.DuplicateItem(twice.Text("id")!);
        }

        SaveUnderLock(core, conversation, items);
        core.Ledger.MessagesAccepted(items.Where(ItemObjects.IsUser).Select(i => new LedgerMessage
        {
            Sequence = 0,
            Text = LedgerLines.TextOf(i),
            ThreadKey = conversation.Id,
            ConversationId = conversation.Id,
        }));
        return items;
    }

    /// <summary>Puts items at the end of a conversation. Needs the state's lock.</summary>
    public static void SaveUnderLock(EmulatorCore core, ConversationEntry conversation, IReadOnlyCollection<JsonObject> items)
    {
        if (items.Count > 0)
        {
            conversation.Items.AddRange(items);
            core.State.Save(("items", new JsonObject { ["conversation"] = conversation.Id, ["items"] = Wire.Copies(items) }));
        }
    }

    private Answer Create(Exchange exchange)
    {
        lock (core.State.Gate)
        {
            var items = AddUnderLock(core, UnlockedUnderLock(exchange), exchange.Body);
            return Answer.Json(new JsonObject
            {
                ["object"] = "list",
                ["data"] = Wire.Copies(items),
                ["first_id"] = items.Count > 0 ? items[0].Text("id") : "",
                ["last_id"] = items.Count > 0 ? items[^1].Text("id") : "",
                ["has_more"] = false,
            });
        }
    }

    private Answer List(Exchange exchange)
    {
        lock (core.State.Gate)
        {
            return Answer.Json(Page.Of(exchange, ConversationEndpoints.FindUnderLock(core, exchange.Argument("conversation_id")).Items));
        }
    }

    private Answer Get(Exchange exchange)
    {
        lock (core.State.Gate)
        {
            return Answer.Json(ItemUnderLock(ConversationEndpoints.FindUnderLock(core, exchange.Argument("conversation_id")), exchange));
        }
    }

    private Answer Delete(Exchange exchange)
    {
        lock (core.State.Gate)
        {
            var conversation = UnlockedUnderLock(exchange);
            var item = ItemUnderLock(conversation, exchange);
            conversation.Items.Remove(item);
            core.State.Save(("item_deleted", new JsonObject { ["id"] = item.Text("id"), ["conversation"] = conversation.Id }));
            return Answer.Json(conversation.Body);
        }
    }

    private ConversationEntry UnlockedUnderLock(Exchange exchange)
    {
        var conversation = ConversationEndpoints.FindUnderLock(core, exchange.Argument("conversation_id"));
        return conversation.Active is null ? conversation : throw ApiException.ConversationLocked();
    }

    private static JsonObject ItemUnderLock(ConversationEntry conversation, Exchange exchange)
    {
        var id = exchange.Argument("item_id");
        return conversation.Items.Find(i => i.Text("id") == id) ?? throw ApiException.NoItem(id);
    }
}
