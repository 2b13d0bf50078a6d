using System.Text.Json;
using AssistantQueue.OpenAI.Content;
using AssistantQueue.OpenAI.Errors;

namespace AssistantQueue.OpenAI.Assistants;

/// <summary>The API's thread of one of ours: created when its first batch runs (a crash right after may leave an empty one behind), asked for its runs and messages.</summary>
internal sealed class AssistantThread(RunContext context, AssistantsApi api)
{
    private const int PageSize = 100;
    private const int MaxPages = 5;
    private bool _isForgotten;

    private ConversationState State => context.Run.Conversation;

    public string? Id => State[StateNames.Thread]
        ?? (!_isForgotten && context.ThreadId.StartsWith("thread_", StringComparison.Ordinal) ? context.ThreadId : null);

    /// <summary>The last run of ours that is known to have ended: what is older isn't looked for.</summary>
    public string? LastRun => context.Journal.Notes.TryGetValue(StateNames.LastRun, out var run) ? run : State[StateNames.LastRun];

    public async Task OpenAsync(CancellationToken cancellationToken)
    {
        if (Id is not null)
        {
            return;
        }

        var created = await api.CreateThreadAsync(RunMetadata.Owner(context.Run), cancellationToken);
        var id = created.Text("id") ?? throw ApiCallException.Garbage(200, "names no thread");
        State[StateNames.Thread] = id;
        await context.Run.SaveAsync(cancellationToken);
        Log.ConversationCreated(context.Logger, context.ThreadId, id);
    }

    public string Forget()
    {
        var id = Id ?? "";
        _isForgotten = true;
        State.Remove(StateNames.Thread);
        State.Remove(StateNames.LastRun);
        context.Journal.Notes.Remove(StateNames.LastRun);
        return id;
    }

    /// <summary>The newest run of this batch since the last one that ended, or null.</summary>
    public async Task<JsonElement?> FindRunAsync(CancellationToken cancellationToken)
    {
        await foreach (var run in NewestFirstAsync(api.ListRunsAsync, cancellationToken))
        {
            if (run.Text("id") == LastRun)
            {
                return null;
            }

            if (RunReading.IsOf(run, context.Run.BatchId))
            {
                return run;
            }
        }

        return null;
    }

    /// <summary>Cancels a run and waits until it has ended, however it does.</summary>
    public async Task<JsonElement> EndRunAsync(string runId, CancellationToken cancellationToken)
    {
        try
        {
            await api.CancelRunAsync(Id!, runId, cancellationToken);
        }
        catch (ApiCallException exception) when (exception.Error.Status == 400)
        {
            // it has ended, or is about to: the look tells
            Log.CancelRefused(context.Logger, context.ThreadId, runId, exception.Error.Code);
        }

        return await context.Poll.UntilOverAsync(context.ThreadId, token => api.GetRunAsync(Id!, runId, token), RunReading.IsEnded, cancellationToken);
    }

    /// <summary>What a run wrote, oldest first.</summary>
    public async Task<IReadOnlyList<JsonElement>> RepliesAsync(string runId, CancellationToken cancellationToken)
    {
        var replies = new List<JsonElement>();
        await foreach (var message in NewestFirstAsync(api.ListMessagesAsync, cancellationToken))
        {
            if (message.Text("role") == "assistant" && message.Text("run_id") == runId)
            {
                replies.Add(message);
            }
            else if (replies.Count > 0)
            {
                break;
            }
        }

        replies.Reverse();
        return replies;
    }

    private async IAsyncEnumerable<JsonElement> NewestFirstAsync(
        Func<string, int, string?, CancellationToken, Task<JsonElement>> list,
        [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        string? after = null;
        for (var pages = 0; pages < MaxPages; pages++)
        {
            var page = await context.Poll.OnceAsync(context.ThreadId, token => list(Id!, PageSize, after, token), cancellationToken);
            foreach (var entry in page.List("data"))
            {
                yield return entry;
            }

            after = page.Text("last_id");
            if (page.Get("has_more")?.ValueKind != JsonValueKind.True || after is null)
            {
                yield break;
            }
        }
    }
}
