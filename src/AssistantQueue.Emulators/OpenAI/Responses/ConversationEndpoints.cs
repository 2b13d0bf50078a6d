using System.Text.Json.Nodes;

namespace AssistantQueue.Emulators;

/// <summary>Conversations: create, get, update, delete.</summary>
internal sealed class ConversationEndpoints(EmulatorCore core)
{
    public void MapTo(Routes routes)
    {
        routes.Add("POST", "conversations", "create_conversation", Create, ResponsesRules.CreateConversation);
        routes.Add("GET", "conversations/{conversation_id}", "get_conversation", Get);
        routes.Add("POST", "conversations/{conversation_id}", "update_conversation", Update, ResponsesRules.UpdateConversation);
        routes.Add("DELETE", "conversations/{conversation_id}", "delete_conversation", Delete);
    }

    /// <summary>Finds a conversation, or answers 404. Needs the state's lock.</summary>
    public static ConversationEntry FindUnderLock(EmulatorCore core, string id) =>
        core.State.Conversations.GetValueOrDefault(id) ?? throw ApiException.NoConversation(id);

    private Answer Create(Exchange exchange)
    {
        lock (core.State.Gate)
        {
            var conversation = new ConversationEntry(new JsonObject
            {
                ["id"] = Wire.NewId("conv_"),
                ["object"] = "conversation",
                ["created_at"] = core.Seconds,
                ["metadata"] = exchange.Body.Copy("metadata") ?? new JsonObject(),
            });
            core.State.Conversations[conversation.Id] = conversation;
            core.State.Save(("conversation", conversation.Body));
            ConversationItemEndpoints.AddUnderLock(core, conversation, exchange.Body);
            return Answer.Json(conversation.Body);
        }
    }

    private Answer Get(Exchange exchange)
    {
        lock (core.State.Gate)
        {
            return Answer.Json(FindUnderLock(core, exchange.Argument("conversation_id")).Body);
        }
    }

    private Answer Update(Exchange exchange)
    {
        lock (core.State.Gate)
        {
            var conversation = FindUnderLock(core, exchange.Argument("conversation_id"));
            conversation.Body["metadata"] = exchange.Body.Copy("metadata") ?? new JsonObject();
            core.State.Save(("conversation", conversation.Body));
            return Answer.Json(conversation.Body);
        }
    }

    private Answer Delete(Exchange exchange)
    {
        lock (core.State.Gate)
        {
            var conversation = FindUnderLock(core, exchange.Argument("conversation_id"));
            core.State.Conversations.Remove(conversation.Id);
            core.State.Save(("conversation_deleted", new JsonObject { ["id"] = conversation.Id }));
            return Answer.Json(new JsonObject { ["id"] = conversation.Id, ["object"] = "conversation.deleted", ["deleted"] = true });
        }
    }
}
