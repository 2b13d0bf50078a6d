using System.Text.Json;
using AssistantQueue.OpenAI.Content;
using AssistantQueue.OpenAI.Errors;

namespace AssistantQueue.OpenAI.Responses;

/// <summary>Runs batches over the Responses API.</summary>
internal sealed class ResponsesBackend(ResponsesApi api, bool hasConversations) : IOpenAIRunner
{
    public string Name => "responses";

    public Task<RunCompleted> RunAsync(RunContext context, CancellationToken cancellationToken) =>
        new ResponsesRun(context, api, HistoryOf(context)).CompleteAsync(cancellationToken);

    public async Task CancelAsync(RunContext context, CancellationToken cancellationToken)
    {
        if (context.Journal.LastRound is not { } round)
        {
            return;
        }

        if (round.Calls.Count > 0)
        {
            throw context.Failure(BackendErrorKind.Transient, "Tools are being called and nothing runs at the API; the next attempt goes on with their outputs.");
        }

        if (!context.Journal.IsAdoptable || round.RunId is not { } id)
        {
            throw context.Failure(BackendErrorKind.Transient, "Only a background response whose id is known can be cancelled; the next attempt looks what became of it.");
        }

        try
        {
            var ended = await EndAsync(context, id, cancellationToken);
            if (ended.Text("status") is "completed" or "incomplete")
            {
                throw context.Failure(BackendErrorKind.Transient, $"Response {id} completed before it could be cancelled; the next attempt takes its reply.");
            }

            Log.RunCancelled(context.Logger, context.ThreadId, id);
            await GiveUpAsync(context, round, cancellationToken);
        }
        catch (ApiCallException exception) when (ErrorMap.IsGone(exception.Error, id))
        {
            Log.RunGone(context.Logger, context.ThreadId, id);
            await GiveUpAsync(context, round, cancellationToken);
        }
        catch (ApiCallException exception)
        {
            throw context.Failure(exception.Error, exception);
        }
    }

    // the next attempt posts what the API doesn't have, and nothing else: neither the messages nor the outputs that a cancelled response leaves
    private async Task GiveUpAsync(RunContext context, JournalRound round, CancellationToken cancellationToken)
    {
        var history = HistoryOf(context);
        if ((await history.LookAsync(cancellationToken)).HasInputs)
        {
            context.Taken(round);
            context.Calls.Settled();
        }
        else
        {
            context.GivenUp(RunMetrics.Cancelled);
            if (context.Calls.Asked is not { } asked)
            {
                return;
            }

            history.KeepAsked(asked);
            context.Calls.OweAsked();
        }
    }

    // cancelling what has ended changes nothing
    private async Task<JsonElement> EndAsync(RunContext context, string id, CancellationToken cancellationToken)
    {
        var answer = await api.CancelAsync(id, cancellationToken);
        return ResponseReading.IsOver(answer)
            ? answer
            : await context.Poll.UntilOverAsync(context.ThreadId, token => api.GetAsync(id, token), ResponseReading.IsOver, cancellationToken);
    }

    private History HistoryOf(RunContext context) =>
        context.Options.UseConversations ?? hasConversations ? new ConversationHistory(context, api) : new ChainHistory(context);
}
