using System.Text.Json.Nodes;

namespace AssistantQueue.Emulators;

/// <summary>Writes a response's events in the order in which the API sends them.</summary>
internal static class ResponseEvents
{
    /// <summary>Adds an event about the whole response.</summary>
    public static void Whole(EventLog events, string name, JsonObject body) => events.AddNumbered(name, new JsonObject { ["response"] = body.DeepClone() });

    /// <summary>Adds what comes before a message's text.</summary>
    public static void MessageBegins(EventLog events, JsonObject item, int index)
    {
        var begun = item.DeepClone().AsObject();
        begun["status"] = "in_progress";
        begun["content"] = new JsonArray();
        events.AddNumbered("response.output_item.added", new() { ["output_index"] = index, ["item"] = begun });
        events.AddNumbered("response.content_part.added", Of(item, index, new() { ["content_index"] = 0, ["part"] = ItemObjects.OutputText("") }));
    }

    public static void Delta(EventLog events, JsonObject item, int index, string piece) =>
        events.AddNumbered("response.output_text.delta", Of(item, index, new() { ["content_index"] = 0, ["delta"] = piece, ["logprobs"] = new JsonArray() }));

    /// <summary>Adds what comes after a message's text.</summary>
    public static void MessageEnds(EventLog events, JsonObject item, int index)
    {
        var text = LedgerLines.TextOf(item);
        foreach (var (annotation, at) in item["content"]![0].List("annotations")!.Select((a, i) => (a!, i)))
        {
            events.AddNumbered("response.output_text.annotation.added", Of(item, index, new() { ["content_index"] = 0, ["annotation_index"] = at, ["annotation"] = annotation.DeepClone() }));
        }

        events.AddNumbered("response.output_text.done", Of(item, index, new() { ["content_index"] = 0, ["text"] = text, ["logprobs"] = new JsonArray() }));
        events.AddNumbered("response.content_part.done", Of(item, index, new() { ["content_index"] = 0, ["part"] = item["content"]![0]!.DeepClone() }));
        events.AddNumbered("response.output_item.done", new() { ["output_index"] = index, ["item"] = item.DeepClone() });
    }

    public static void Call(EventLog events, JsonObject item, int index)
    {
        var begun = item.DeepClone().AsObject();
        begun["status"] = "in_progress";
        begun["arguments"] = "";
        var arguments = item.Text("arguments")!;
        events.AddNumbered("response.output_item.added", new() { ["output_index"] = index, ["item"] = begun });
        foreach (var piece in EchoModel.Pieces(arguments))
        {
            events.AddNumbered("response.function_call_arguments.delta", Of(item, index, new() { ["delta"] = piece }));
        }

        events.AddNumbered("response.function_call_arguments.done", Of(item, index, new() { ["name"] = item.Text("name"), ["arguments"] = arguments }));
        events.AddNumbered("response.output_item.done", new() { ["output_index"] = index, ["item"] = item.DeepClone() });
    }

    public static void End(EventLog events, JsonObject body)
    {
        // the published events know no cancelled response: such a stream just ends
        if (body.Text("status") is "completed" or "failed" or "incomplete")
        {
            Whole(events, "response." + body.Text("status"), body);
        }

        events.Complete();
    }

    /// <summary>The events of a response that ended in an earlier process: the model is deterministic, so they are those that were sent then.</summary>
    public static EventLog Replay(JsonObject body)
    {
        var events = new EventLog();
        var begun = body.DeepClone().AsObject();
        begun["status"] = "queued";
        begun["output"] = new JsonArray();
        begun["completed_at"] = null;
        begun["error"] = null;
        begun["incomplete_details"] = null;
        begun.Remove("usage");
        Whole(events, "response.created", begun);
        Whole(events, "response.queued", begun);
        begun["status"] = "in_progress";
        Whole(events, "response.in_progress", begun);
        var index = 0;
        foreach (var item in body.List("output")!.Select(i => i!.AsObject()))
        {
            if (item.Text("type") == "function_call")
            {
                Call(events, item, index++);
                continue;
            }

            MessageBegins(events, item, index);
            foreach (var piece in EchoModel.Pieces(LedgerLines.TextOf(item)))
            {
                Delta(events, item, index, piece);
            }

            MessageEnds(events, item, index++);
        }

        End(events, body);
        return events;
    }

    private static JsonObject Of(JsonObject item, int index, JsonObject data)
    {
        data["item_id"] = item.Text("id");
        data["output_index"] = index;
        return data;
    }
}
