namespace AssistantQueue.Emulators;

/// <summary>Finds the app's name of the thread that a request is for.</summary>
internal static class ThreadKeys
{
    public const string Name = "thread_key";

    /// <summary>From the request's own metadata, else that of its thread, conversation or response, else what a run has told; null when nobody has.</summary>
    public static string? Of(EmulatorCore core, LedgerRequest request)
    {
        if (request.Metadata?.GetValueOrDefault(Name) is { } own)
        {
            return own;
        }

        lock (core.State.Gate)
        {
            var body = core.State.Threads.GetValueOrDefault(request.ConversationId ?? "")?.Body
                ?? core.State.Conversations.GetValueOrDefault(request.ConversationId ?? "")?.Body
                ?? core.State.Responses.GetValueOrDefault(request.RunId ?? "")?.Body;
            if (body.Metadata()?.GetValueOrDefault(Name) is { } told)
            {
                return told;
            }
        }

        return request.ConversationId is { } id ? core.Ledger.KeyOf(id) : null;
    }
}
