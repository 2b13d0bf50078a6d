using System.Text.Json;
using AssistantQueue.OpenAI.Content;
using AssistantQueue.OpenAI.Errors;

namespace AssistantQueue.OpenAI.Responses;

/// <summary>A thread whose history is the chain of its responses, for endpoints without conversations. The head moves with the reply only, so a response that nobody saw end is a branch that nobody follows; within a batch the response that asked for tools is gone on from.</summary>
internal sealed class ChainHistory(RunContext context) : History
{
    private string? Head => context.Calls.Asked?.RunId
        ?? (context.Journal.Notes.TryGetValue(StateNames.Head, out var head) ? head : context.Run.Conversation[StateNames.LastResponse]);

    public override bool CanBeLookedAt => false;

    public override Task OpenAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public override void WriteTo(Utf8JsonWriter json)
    {
        if (Head is { } head)
        {
            json.WriteString("previous_response_id", head);
        }
    }

    public override Task<string?> LastItemAsync(CancellationToken cancellationToken) => Task.FromResult(Head);

    public override Task<Tail> LookAsync(CancellationToken cancellationToken) => Task.FromResult(Tail.Nothing);

    // another batch's responses are on another branch
    public override Task CatchUpAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public override bool IsGone(ApiError error) => ErrorMap.IsGone(error, Head);

    public override string Forget()
    {
        var head = Head ?? "";
        context.Run.Conversation.Remove(StateNames.LastResponse);
        context.Journal.Notes.Remove(StateNames.Head);
        return head;
    }

    public override void KeepAsked(JournalRound asked)
    {
        if (asked.RunId is { } head)
        {
            context.Journal.Notes[StateNames.Head] = head;
        }
    }

    public override void Advance(JsonElement response) => context.Run.Conversation[StateNames.LastResponse] = response.Text("id");
}
