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

    private IDictionary<string, string> Notes => context.Journal.Notes;

    // without the mark: noted by an older version
    private bool IsOvertaken =>
        Notes.ContainsKey(StateNames.Before) && State[StateNames.BeforeOf] is { } last && last != (Notes.TryGetValue(StateNames.BeforeOf, out var own) ? own : null);

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
        if (!Notes.TryGetValue(StateNames.Before, out var before))
        {
            // what our last reply left is the end of the conversation, unless somebody else writes to it too
            before = _isNew ? "" : State[StateNames.LastItem] ?? await NewestItemAsync(cancellationToken) ?? "";
            Notes[StateNames.Before] = before;
            Notes[StateNames.BeforeOf] = State[StateNames.BeforeOf] = $"{context.Run.BatchId}/{context.Run.Fence}";
            // valid until the next post only: if that one is given up, what it left must not be taken for the next batch's
            State.Remove(StateNames.LastItem);
        }

        return before.Length == 0 ? null : before;
    }

    public override async Task<Tail> LookAsync(CancellationToken cancellationToken)
    {
        var inputs = context.Run.UnpostedInputs;
        var outputs = context.Calls.Open;
        // a post of unknown outcome without its place: what was written down is lost, and an operator retries
        var isNowhere = !Notes.TryGetValue(StateNames.Before, out var before) && !context.Journal.IsOutcomeUnknown;
        if (isNowhere || (IsOvertaken && inputs.Count + outputs.Count == 0))
        {
            // with nothing to recognize, the end of the conversation would be taken for the answer, and it is another batch's
            return Tail.Nothing;
        }

        var (items, isComplete, _) = await ItemsSinceAsync(before, cancellationToken);
        var isUnknown = context.Journal.LastRound is { RunId: null, Calls.Count: 0 };
        return ConversationTail.Find(items, isComplete, inputs, outputs, isUnknown, context.Journal.Model);
    }

    public override async Task CatchUpAsync(CancellationToken cancellationToken)
    {
        if (!IsOvertaken)
        {
            return;
        }

        if (context.Calls.Open.Count > 0)
        {
            var (items, _, isWhole) = await ItemsSinceAsync(Notes[StateNames.Before], cancellationToken);
            var answered = ConversationTail.Answered(items);
            // no post is taken while a call is open: behind so many items none of ours still is
            context.Calls.Answered(id => !isWhole || answered.Contains(id));
        }

        // the next post notes it anew
        Notes.Remove(StateNames.Before);
        Notes.Remove(StateNames.BeforeOf);
    }

    public override bool IsGone(ApiError error) => ErrorMap.IsGone(error, Id);

    public override string Forget()
    {
        var id = Id ?? "";
        _isForgotten = true;
        _isNew = false;
        State.Remove(StateNames.Conversation);
        State.Remove(StateNames.LastItem);
        State.Remove(StateNames.BeforeOf);
        Notes.Remove(StateNames.Before);
        Notes.Remove(StateNames.BeforeOf);
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

    /// <param name="before">The last item before them; empty when there was none, null when it isn't known.</param>
    /// <param name="cancellationToken">Ends the asking.</param>
    /// <returns>The items, oldest first; whether they begin right behind <paramref name="before"/>; whether there are no older ones that it could have.</returns>
    private async Task<(IReadOnlyList<JsonElement> Items, bool IsComplete, bool IsWhole)> ItemsSinceAsync(string? before, CancellationToken cancellationToken)
    {
        var items = new List<JsonElement>();
        var (isComplete, isWhole) = (false, false);
        string? after = null;
        for (var pages = 0; pages < MaxPages && !isWhole; pages++)
        {
            var page = await PageAsync(PageSize, after, cancellationToken);
            foreach (var item in page.List("data"))
            {
                if (before is not null && item.Text("id") == before)
                {
                    (isComplete, isWhole) = (true, true);
                    break;
                }

                items.Add(item);
            }

            after = page.Text("last_id");
            if (!isWhole && (page.Get("has_more")?.ValueKind != JsonValueKind.True || after is null))
            {
                (isComplete, isWhole) = (before is "", true);
            }
        }

        items.Reverse();
        return (items, isComplete, isWhole);
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
