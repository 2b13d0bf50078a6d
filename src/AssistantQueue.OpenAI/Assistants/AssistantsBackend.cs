using AssistantQueue.OpenAI.Content;
using AssistantQueue.OpenAI.Errors;

namespace AssistantQueue.OpenAI.Assistants;

/// <summary>Runs batches over the Assistants API.</summary>
internal sealed class AssistantsBackend(AssistantsApi api) : IOpenAIRunner
{
    private readonly AssistantTools _tools = new(api);

    public string Name => "assistants";

    public Task<RunCompleted> RunAsync(RunContext context, CancellationToken cancellationToken) =>
        new AssistantsRun(context, api, _tools).CompleteAsync(cancellationToken);

    public async Task CancelAsync(RunContext context, CancellationToken cancellationToken)
    {
        var thread = new AssistantThread(context, api);
        if (context.Journal.LastRound is not { } round || thread.Id is not { } threadId)
        {
            return;
        }

        try
        {
            var id = context.RunId ?? (await thread.FindRunAsync(cancellationToken))?.Text("id")
                ?? throw context.Failure(BackendErrorKind.Transient, "The run isn't known yet, so it can't be cancelled; the next attempt looks for it.");
            var ended = await thread.EndRunAsync(id, cancellationToken);
            // the run was created together with its messages
            context.Taken(round);
            if (ended.Text("status") is "completed" or "incomplete")
            {
                round.RunId = id;
                throw context.Failure(BackendErrorKind.Transient, $"Run {id} completed before it could be cancelled; the next attempt takes its reply.");
            }

            context.Journal.Notes[StateNames.LastRun] = id;
            Log.RunCancelled(context.Logger, context.ThreadId, id);
        }
        catch (ApiCallException exception) when (ErrorMap.IsGone(exception.Error, context.RunId) || ErrorMap.IsGone(exception.Error, threadId))
        {
            Log.RunGone(context.Logger, context.ThreadId, context.RunId ?? "");
        }
        catch (ApiCallException exception)
        {
            throw context.Failure(exception.Error, exception);
        }
    }
}
