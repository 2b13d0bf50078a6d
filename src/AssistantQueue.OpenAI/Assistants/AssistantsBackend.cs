using AssistantQueue.OpenAI.Content;
using AssistantQueue.OpenAI.Errors;

namespace AssistantQueue.OpenAI.Assistants;

/// <summary>Runs batches over the Assistants API.</summary>
internal sealed class AssistantsBackend(AssistantsApi api) : IOpenAIRunner
{
    public string Name => "assistants";

    public Task<RunCompleted> RunAsync(RunContext context, CancellationToken cancellationToken) =>
        new AssistantsRun(context, api).CompleteAsync(cancellationToken);

    public async Task CancelAsync(RunContext context, CancellationToken cancellationToken)
    {
        var thread = new AssistantThread(context, api);
        if (context.Journal.LastRound is null || thread.Id is null)
        {
            return;
        }

        string? id = null;
        try
        {
            id = context.Journal.LastRound.RunId ?? (await thread.FindRunAsync(cancellationToken))?.Text("id");
            if (id is null)
            {
                return;
            }

            await api.CancelRunAsync(thread.Id, id, cancellationToken);
            await context.Poll.UntilOverAsync(context.ThreadId, token => api.GetRunAsync(thread.Id, id, token), RunReading.IsOver, cancellationToken);
            context.Journal.PostedThrough = context.LastSequence;
            context.Journal.Notes[StateNames.LastRun] = id;
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
