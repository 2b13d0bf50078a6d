using System.Text.Json.Nodes;

namespace AssistantQueue.Emulators;

/// <summary>Assistants can be read, not made: each id is one, with the tools of <see cref="OpenAIEmulatorOptions.AssistantTools"/>.</summary>
internal sealed class AssistantEndpoints(EmulatorCore core)
{
    public void MapTo(Routes routes) => routes.Add("GET", "assistants/{assistant_id}", "get_assistant", Get);

    /// <summary>The tools that a run has when its request doesn't replace them.</summary>
    public static JsonArray Tools(EmulatorCore core) => Wire.ArrayOf(core.Options.AssistantTools.Select(type => new JsonObject { ["type"] = type }));

    private Answer Get(Exchange exchange)
    {
        var id = exchange.Argument("assistant_id");
        if (core.Options.AssistantIds.Count > 0 && !core.Options.AssistantIds.Contains(id))
        {
            throw ApiException.NoAssistant(id);
        }

        return Answer.Json(new JsonObject
        {
            ["id"] = id,
            ["object"] = "assistant",
            ["created_at"] = core.Seconds,
            ["name"] = null,
            ["description"] = null,
            ["model"] = core.Options.Models.Count > 0 ? core.Options.Models[0] : "gpt-4o",
            ["instructions"] = null,
            ["tools"] = Tools(core),
            ["metadata"] = new JsonObject(),
        });
    }
}
