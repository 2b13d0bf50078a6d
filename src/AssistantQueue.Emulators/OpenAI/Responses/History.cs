using System.Text.Json.Nodes;

namespace AssistantQueue.Emulators;

/// <summary>What a new response stands on: the conversation's items or those of its chain; and whether its input fits. All need the state's lock.</summary>
internal static class History
{
    public static List<JsonObject> Of(EmulatorState state, ConversationEntry? conversation, string? previousId)
    {
        if (conversation is not null)
        {
            return [.. conversation.Items];
        }

        var chain = new Stack<ResponseEntry>();
        for (var id = previousId; id is not null && state.Responses.GetValueOrDefault(id) is { } response; id = response.PreviousId)
        {
            chain.Push(response);
        }

        return [.. chain.Where(r => r.IsHistory).SelectMany(r => r.Input.Concat(r.Output))];
    }

    /// <summary>The first response of a chain.</summary>
    public static string RootOf(EmulatorState state, string id)
    {
        while (state.Responses.GetValueOrDefault(id)?.PreviousId is { } previous)
        {
            id = previous;
        }

        return id;
    }

    /// <summary>Each call has one output, each output its call, and no item comes twice.</summary>
    public static void Check(IReadOnlyList<JsonObject> history, IReadOnlyList<JsonObject> input)
    {
        var ids = history.Select(i => i.Text("id")).ToHashSet();
        foreach (var item in input)
        {
            if (!ids.Add(item.Text("id")))
            {
                throw ApiException.DuplicateItem(item.Text("id")!);
            }
        }

        JsonObject[] all = [.. history, .. input];
        var outputs = all.Where(i => i.Text("type") == "function_call_output").Select(i => i.Text("call_id")).ToHashSet();
        var calls = all.Where(i => i.Text("type") == "function_call").Select(i => i.Text("call_id")!).ToArray();
        if (calls.FirstOrDefault(c => !outputs.Contains(c)) is { } unanswered)
        {
            throw ApiException.NoToolOutput(unanswered);
        }

        if (outputs.FirstOrDefault(o => !calls.Contains(o)) is { } unasked)
        {
            throw ApiException.NoToolCall(unasked);
        }
    }
}
