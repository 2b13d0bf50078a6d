using AssistantQueue.OpenAI.Content;
using AssistantQueue.OpenAI.Errors;

namespace AssistantQueue.OpenAI.Responses;

/// <summary>Runs batches over the Responses API.</summary>
internal sealed class ResponsesBackend(ResponsesApi api, bool hasConversations) : IOpenAIRunner
{
    public string Name => "responses";

    public Task<RunCompleted> RunAsync(RunContext context, CancellationToken cancellationToken)
    {
        var useConversations = context.Options.UseConversations ?? hasConversations;
        return new ResponsesRun(context, api, useConversations ? new ConversationHistory(context, api) : new ChainHistory(context))
            .CompleteAsync(cancellationToken);
    }

    public async Task CancelAsync(RunContext context, CancellationToken cancellationToken)
    {
        // only a background response can be cancelled; a stream ends when its connection is closed
        if (context.Journal is not { IsAdoptable: true, LastRound.RunId: { } id })
        {
            return;
        }

        try
        {
            await api.CancelAsync(id, cancellationToken);
            await context.Poll.UntilOverAsync(context.ThreadId, token => api.GetAsync(id, token), ResponseReading.IsOver, cancellationToken);
            Log.RunCancelled(context.Logger, context.ThreadId, id);
        }
        catch (ApiCallException exception) when (exception.Error.Status is 400 or 404 or 409)
        {
            // it has ended by itself, or is gone: both is what was wanted
            Log.CancelFailed(context.Logger, context.ThreadId, id, exception.Error.Status, exception.Error.Code);
        }
        catch (ApiCallException exception)
        {
            throw context.Failure(exception.Error, exception);
        }
    }
}
