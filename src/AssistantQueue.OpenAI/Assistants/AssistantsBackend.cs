using System.Text.Json;
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
        if (context.Journal.LastRound is not { } round || thread.Id is not { } threadId)
        {
            return;
        }

        try
        {
            var id = round.RunId ?? (await thread.FindRunAsync(cancellationToken))?.Text("id")
                ?? throw context.Failure(BackendErrorKind.Transient, "The run isn't known yet, so it can't be cancelled; the next attempt looks for it.");
            var ended = await EndAsync(context, threadId, id, cancellationToken);
            context.Journal.PostedThrough = context.LastSequence;
            if (ended.Text("status") == "completed")
            {
                round.RunId = id;
                throw context.Failure(BackendErrorKind.Transient, $"Run {id} completed before it could be cancelled; the next attempt takes its reply.");
            }

            context.Journal.Notes[StateNames.LastRun] = id;
            Log.RunCancelled(context.Logger, context.ThreadId, id);
        }
        catch (ApiCallException exception) when (ErrorMap.IsGone(exception.Error, round.RunId) || ErrorMap.IsGone(exception.Error, threadId))
        {
            Log.RunGone(context.Logger, context.ThreadId, round.RunId ?? "");
        }
        catch (ApiCallException exception)
        {
            throw context.Failure(exception.Error, exception);
        }
    }

    private async Task<JsonElement> EndAsync(RunContext context, string threadId, string runId, CancellationToken cancellationToken)
    {
        try
        {
            await api.CancelRunAsync(threadId, runId, cancellationToken);
        }
        catch (ApiCallException exception) when (exception.Error.Status == 400)
        {
            // it has ended, or is about to: the look tells
            Log.CancelRefused(context.Logger, context.ThreadId, runId, exception.Error.Code);
        }

        return await context.Poll.UntilOverAsync(context.ThreadId, token => api.GetRunAsync(threadId, runId, token), RunReading.IsEnded, cancellationToken);
    }
}
