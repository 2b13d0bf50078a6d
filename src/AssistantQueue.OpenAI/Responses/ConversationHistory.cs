using System.Text.Json;
using AssistantQueue.OpenAI.Content;
using AssistantQueue.OpenAI.Errors;

namespace AssistantQueue.OpenAI.Responses;

/// <summary>A thread whose history is a conversation at the API. Created when the thread's first batch runs; a crash right after may leave an empty one behind, which harms nobody.</summary>
internal sealed class ConversationHistory(RunContext context, ResponsesApi api) : History
{
    private const int PageSize = 100;

    // a batch has at most some hundred messages; a tail longer than this is somebody else's work
    private const int MaxPages = 5;

    private bool _isNew;
    private bool _isForgotten;

    public override bool CanBeLookedAt => true;

    private ConversationState State => context.Run.Conversation;

    private string? Id => State[StateNames.Conversation]
        ?? (!_isForgotten && context.ThreadId.StartsWith("conv_", StringComparison.Ordinal) ? context.ThreadId : null);

    public override async Task OpenAsync(CancellationToken cancellationToken)
    {
        if (Id is not null)
        {
            return;
        }

        var created = await CreateAsync(cancellationToken);
        var id = created.Text("id") ?? throw ApiCallException.Garbage(200, "names no conversation");
        State[StateNames.Conversation] = id;
        _isNew = true;
        await context.Run.SaveAsync(cancellationToken);
        Log.ConversationCreated(context.Logger, context.ThreadId, id);
    }

    public override void WriteTo(Utf8JsonWriter json) => json.WriteString("conversation", Id);

    public override async Task<string?> LastItemAsync(CancellationToken cancellationToken)
    {
        if (!context.Journal.Notes.TryGetValue(StateNames.Before, out var before))
        {
            // what our last reply left is the end of the conversation, unless somebody else writes to it too
            before = _isNew ? "" : State[StateNames.LastItem] ?? await NewestItemAsync(cancellationToken) ?? "";
            context.Journal.Notes[StateNames.Before] = before;
            // valid until the next post only: if that one is given up, what it left must not be taken for the next batch's
            State.Remove(StateNames.LastItem);
        }

        return before.Length == 0 ? null : before;
    }

    public override async Task<Tail> LookAsync(CancellationToken cancellationToken)
    {
        // a post of unknown outcome without its place: what was written down is lost, and an operator retries
        if (!context.Journal.Notes.TryGetValue(StateNames.Before, out var before) && !context.Journal.IsOutcomeUnknown)
        {
            return Tail.Nothing;
        }

        var items = new List<JsonElement>();
        var isComplete = false;
        string? after = null;
        for (var pages = 0; pages < MaxPages && !isComplete; pages++)
        {
            var page = await PageAsync(PageSize, after, cancellationToken);
            foreach (var item in page.List("data"))
            {
                if (before is not null && item.Text("id") == before)
                {
                    isComplete = true;
                    break;
                }

                items.Add(item);
            }

            after = page.Text("last_id");
            if (page.Get("has_more")?.ValueKind != JsonValueKind.True || after is null)
            {
                isComplete |= before is "";
                break;
            }
        }

        items.Reverse();
        return ConversationTail.Find(items, isComplete, context.Run.UnpostedInputs, context.Calls.Ids, context.Journal.Model);
    }

    public override bool IsGone(ApiError error) => ErrorMap.IsGone(error, Id);

    public override string Forget()
    {
        var id = Id ?? "";
        _isForgotten = true;
        _isNew = false;
        State.Remove(StateNames.Conversation);
        State.Remove(StateNames.LastItem);
        context.Journal.Notes.Remove(StateNames.Before);
        return id;
    }

    public override void Advance(JsonElement response)
    {
        if (response.List("output").LastOrDefault() is { ValueKind: JsonValueKind.Object } last && last.Text("id") is { } id)
        {
            State[StateNames.LastItem] = id;
        }
        else
        {
            State.Remove(StateNames.LastItem);
        }
    }

    public override void KeepAsked(JournalRound asked)
    {
        // the conversation itself has the calls
    }

    private async Task<JsonElement> CreateAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await api.CreateConversationAsync(RunMetadata.Owner(context.Run), cancellationToken);
        }
        catch (ApiCallException exception) when (exception.Error is { Status: 404, Code: not "model_not_found" })
        {
            throw context.Failure(
                BackendErrorKind.BackendUnavailable,
                exception.Error with { Message = $"{exception.Error.Message} If the endpoint has responses but no conversations, set {context.SettingsPath}:UseConversations to false." },
                exception);
        }
    }

    private async Task<string?> NewestItemAsync(CancellationToken cancellationToken)
    {
        var page = await PageAsync(1, null, cancellationToken);
        return page.List("data").Select(item => item.Text("id")).FirstOrDefault();
    }

    private Task<JsonElement> PageAsync(int limit, string? after, CancellationToken cancellationToken) =>
        context.Poll.OnceAsync(context.ThreadId, token => api.ListItemsAsync(Id!, limit, after, token), cancellationToken);
}
