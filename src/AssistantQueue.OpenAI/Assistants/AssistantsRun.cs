using System.Text.Json;
using AssistantQueue.OpenAI.Client;
using AssistantQueue.OpenAI.Content;
using AssistantQueue.OpenAI.Errors;

namespace AssistantQueue.OpenAI.Assistants;

/// <summary>Takes one batch to its reply over the Assistants API: goes on where the journal ends, looks for its run before it posts again, posts once.</summary>
internal sealed class AssistantsRun(RunContext context, AssistantsApi api, AssistantTools tools)
{
    private readonly AssistantThread _thread = new(context, api);
    private bool _isTold;
    private bool _hasAsked;

    private RunJournal Journal => context.Journal;

    public async Task<RunCompleted> CompleteAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                await _thread.OpenAsync(cancellationToken);
                if (await StepAsync(cancellationToken) is { } reply)
                {
                    return reply;
                }
            }
            catch (ApiCallException exception) when (ErrorMap.IsGone(exception.Error, _thread.Id))
            {
                await BeginAnewAsync(exception, cancellationToken);
            }
            catch (ApiCallException exception)
            {
                throw context.Failure(exception.Error, exception);
            }
        }
    }

    // one way through: answer what was asked for, else follow what has an id, else look for what may have been posted, else post
    private async Task<RunCompleted?> StepAsync(CancellationToken cancellationToken)
    {
        if (Journal.LastRound is { Calls.Count: > 0, RunId: { } waiting } asked)
        {
            return await AnswerAsync(asked, waiting, cancellationToken) is { } last && RunReading.IsOver(last)
                ? await ConcludeAsync(Journal.LastRound!, last, cancellationToken)
                : null;
        }

        if (Journal.LastRound is { RunId: { } id } round)
        {
            if (await FollowAsync(id, cancellationToken) is { } ended)
            {
                return await ConcludeAsync(round, ended, cancellationToken);
            }

            Gone(id);
        }

        if (Journal.LastRound is { } unknown && await FindAsync(unknown, cancellationToken))
        {
            return null;
        }

        return await PostAsync(cancellationToken) is { } answer && RunReading.IsOver(answer)
            ? await ConcludeAsync(Journal.LastRound!, answer, cancellationToken)
            : null;
    }

    private void Gone(string id)
    {
        Log.RunGone(context.Logger, context.ThreadId, id);
        context.Calls.Settled();
        foreach (var round in Journal.Rounds)
        {
            round.RunId = null;
        }
    }

    private async Task<JsonElement?> FollowAsync(string id, CancellationToken cancellationToken)
    {
        if (_isTold)
        {
            // its answer has just said that it isn't over
            await Task.Delay(context.Options.PollInterval, context.Time, cancellationToken);
        }
        else
        {
            Log.RunAdopted(context.Logger, context.ThreadId, id);
            await TellAsync(id);
        }

        try
        {
            return await context.Poll.UntilOverAsync(context.ThreadId, token => api.GetRunAsync(_thread.Id!, id, token), RunReading.IsOver, cancellationToken);
        }
        catch (ApiCallException exception) when (ErrorMap.IsGone(exception.Error, id) && !ErrorMap.IsGone(exception.Error, _thread.Id))
        {
            return null;
        }
    }

    // a post of unknown outcome: its run carries the batch's id; outputs of unknown outcome: the run that they are for says whether it still waits
    private async Task<bool> FindAsync(JournalRound unknown, CancellationToken cancellationToken)
    {
        if (context.Calls.Asked is { RunId: { } waiting } asked)
        {
            if (await LookAsync(waiting, cancellationToken) is not { } run)
            {
                Gone(waiting);
            }
            else if (RunReading.WaitsFor(run, asked.Calls))
            {
                Journal.Rounds.Remove(unknown);
                _hasAsked = true;
            }
            else
            {
                Log.PostFound(context.Logger, context.ThreadId, context.Run.BatchId);
                await TakeIdAsync(unknown, waiting, cancellationToken);
            }

            return true;
        }

        Log.LookingForPost(context.Logger, context.ThreadId, context.Run.BatchId, context.Queue.UnknownOutcomeWait);
        for (var look = 0; ; look++)
        {
            if (await _thread.FindRunAsync(cancellationToken) is { } run && run.Text("id") is { } id)
            {
                Log.PostFound(context.Logger, context.ThreadId, context.Run.BatchId);
                await TakeIdAsync(unknown, id, cancellationToken);
                return true;
            }

            if (!await context.WaitForLookAsync(unknown, look, cancellationToken))
            {
                return false;
            }
        }
    }

    private async Task<JsonElement?> LookAsync(string id, CancellationToken cancellationToken)
    {
        try
        {
            return await context.Poll.OnceAsync(context.ThreadId, token => api.GetRunAsync(_thread.Id!, id, token), cancellationToken);
        }
        catch (ApiCallException exception) when (ErrorMap.IsGone(exception.Error, id) && !ErrorMap.IsGone(exception.Error, _thread.Id))
        {
            return null;
        }
    }

    // null: nothing is known beyond that the run goes on
    private async Task<JsonElement?> AnswerAsync(JournalRound asked, string id, CancellationToken cancellationToken)
    {
        // a run that an earlier owner left may have expired meanwhile: then no tool is called for it
        if (!_hasAsked && (await LookAsync(id, cancellationToken) is not { } now || !RunReading.WaitsFor(now, asked.Calls)))
        {
            Journal.Rounds.Add(new JournalRound { PostingAt = asked.PostingAt, RunId = id, Through = asked.Through });
            return null;
        }

        _hasAsked = true;
        var outputs = await OutputsAsync(id, cancellationToken);
        var body = RunRequest.WriteOutputs(outputs, context.Options.Stream);
        var round = await context.BeginRoundAsync(_thread.LastRun, cancellationToken);
        try
        {
            using var token = new PostToken(round, context.Time, cancellationToken);
            if (context.Options.Stream)
            {
                return await ReadStreamAsync(round, api.SubmitOutputsStreamAsync(_thread.Id!, id, body, token.Token), cancellationToken);
            }

            var run = await api.SubmitOutputsAsync(_thread.Id!, id, body, token.Token);
            await TakeIdAsync(round, id, cancellationToken);
            return run;
        }
        catch (ApiCallException exception) when (!exception.MayHaveBeenTaken && round.RunId is null)
        {
            context.Refused(round);
            if (exception.Error.Status != 400 || await LookAsync(id, cancellationToken) is not { } run || RunReading.WaitsFor(run, asked.Calls))
            {
                if (ErrorMap.Classify(exception.Error) == BackendErrorKind.Permanent)
                {
                    // nobody will answer it, and the thread would wait for ten minutes until it expires
                    await _thread.EndRunAsync(id, cancellationToken);
                    Ended(id);
                }

                throw;
            }

            // the run has the outputs already, or has ended without them: following it tells which
            Journal.Rounds.Add(round);
            await TakeIdAsync(round, id, cancellationToken);
            return null;
        }
    }

    private async Task<IReadOnlyList<ToolCallOutput>> OutputsAsync(string id, CancellationToken cancellationToken)
    {
        try
        {
            return await context.OutputsAsync(cancellationToken);
        }
        catch (AssistantBackendException)
        {
            // the model asked too often
            await _thread.EndRunAsync(id, cancellationToken);
            Ended(id);
            throw;
        }
    }

    private async Task<JsonElement?> PostAsync(CancellationToken cancellationToken)
    {
        context.CheckContents(OpenAIApi.Assistants);
        Journal.Model ??= context.Options.AssistantId;
        var own = await tools.OwnAsync(context, Journal.Model!, cancellationToken);
        var body = RunRequest.Write(context, own, context.Options.Stream);
        context.CountIfAgain(context.Run.UnpostedInputs.Count > 0, "assistants");
        var round = await context.BeginRoundAsync(_thread.LastRun, cancellationToken);
        try
        {
            using var token = new PostToken(round, context.Time, cancellationToken);
            if (context.Options.Stream)
            {
                return await ReadStreamAsync(round, api.CreateRunStreamAsync(_thread.Id!, body, token.Token), cancellationToken);
            }

            var run = await api.CreateRunAsync(_thread.Id!, body, token.Token);
            await TakeIdAsync(round, run.Text("id") ?? throw ApiCallException.Garbage(200, "names no run"), cancellationToken);
            return run;
        }
        catch (ApiCallException exception) when (!exception.MayHaveBeenTaken && round.RunId is null)
        {
            var active = ErrorMap.ActiveRun(exception.Error);
            var keepsBusy = active is null ? null : await ActiveAsync(active, cancellationToken);
            if (keepsBusy is { } mine && RunReading.IsOf(mine, context.Run.BatchId))
            {
                // our own post, whose answer was lost, is what keeps the thread busy
                await TakeIdAsync(round, active!, cancellationToken);
                return null;
            }

            context.Refused(round);
            if (keepsBusy is { } earlier && RunReading.WaitsForTools(earlier) && RunReading.IsOf(earlier, context.Run))
            {
                // whoever would have answered it died or gave up: while this batch runs no other one of the thread does
                Log.AbandonedRunEnded(context.Logger, context.ThreadId, active!);
                await _thread.EndRunAsync(active!, cancellationToken);
                return null;
            }

            throw;
        }
    }

    private async Task<JsonElement?> ActiveAsync(string runId, CancellationToken cancellationToken)
    {
        try
        {
            return await api.GetRunAsync(_thread.Id!, runId, cancellationToken);
        }
        catch (ApiCallException exception)
        {
            // whose it is isn't known: the thread is busy, and the next attempt asks again
            Log.LookFailed(context.Logger, context.ThreadId, exception.Error.Status, exception.Error.Code, 1);
            return null;
        }
    }

    private async Task TakeIdAsync(JournalRound round, string id, CancellationToken cancellationToken)
    {
        round.RunId = id;
        // the run was created together with its messages
        context.Taken(round);
        Journal.IsAdoptable = true;
        Log.RunPosted(context.Logger, context.ThreadId, id, context.Run.BatchId);
        // not: the run's token
        // but: none; the id is worth more than a quick stop, and the store has a timeout of its own
        await context.Run.SaveAsync(CancellationToken.None);
        await TellAsync(id);
        cancellationToken.ThrowIfCancellationRequested();
    }

    private async Task TellAsync(string id)
    {
        _isTold = true;
        await context.TellAsync(new RunStarted(id));
    }

    // null: the stream ended before the run; it is looked at by its id then
    private async Task<JsonElement?> ReadStreamAsync(JournalRound round, IAsyncEnumerable<StreamEvent> events, CancellationToken cancellationToken)
    {
        try
        {
            await foreach (var (type, data) in events)
            {
                if (data.Text("object") == "thread.run")
                {
                    if (round.RunId is null && data.Text("id") is { } id)
                    {
                        await TakeIdAsync(round, id, cancellationToken);
                    }

                    if (RunReading.IsOver(data))
                    {
                        return data;
                    }
                }
                else if (type == "thread.message.delta")
                {
                    await TellDeltaAsync(data);
                }
                else if (type == "error")
                {
                    // the stream had begun: before its first event nobody knows whether there is a run
                    throw new ApiCallException(ApiError.From(data.Get("error") ?? data), mayHaveBeenTaken: true);
                }
            }
        }
        catch (ApiCallException) when (round.RunId is not null)
        {
            // the connection broke, or the stream had an error: looking at the run tells what became of it
        }

        if (round.RunId is null)
        {
            throw ApiCallException.Garbage(200, "was a stream that ended before it began");
        }

        Log.StreamCut(context.Logger, context.ThreadId, round.RunId);
        return null;
    }

    private async Task TellDeltaAsync(JsonElement data)
    {
        foreach (var part in data.Get("delta")?.List("content") ?? [])
        {
            if (part.Get("text")?.Text("value") is { Length: > 0 } text)
            {
                await context.TellAsync(new RunTextDelta(text));
            }
        }
    }

    // null: the run waits for tools, and their outputs are to be handed in next
    private async Task<RunCompleted?> ConcludeAsync(JournalRound round, JsonElement run, CancellationToken cancellationToken)
    {
        var id = run.Text("id")!;
        if (RunReading.WaitsForTools(run))
        {
            var calls = RunReading.Calls(run);
            if (!context.HasAnyTool(calls))
            {
                var names = string.Join(", ", calls.Select(c => c.Name));
                Log.ToolsUnanswered(context.Logger, context.ThreadId, id, names);
                await _thread.EndRunAsync(id, cancellationToken);
                Ended(id);
                throw context.Failure(BackendErrorKind.Permanent, $"The assistant asked for tools that the queue doesn't have: {names}. The run was cancelled.");
            }

            _hasAsked = true;
            foreach (var call in calls)
            {
                round.Calls.Add(call);
            }

            return null;
        }

        if (RunReading.Error(run) is { } error)
        {
            Ended(id);
            throw context.Failure(error);
        }

        var reply = RunReading.Reply(run, await _thread.RepliesAsync(id, cancellationToken));
        Ended(id);
        context.Run.Conversation[StateNames.LastRun] = id;
        return reply;
    }

    private void Ended(string id)
    {
        context.Ended();
        Journal.Notes[StateNames.LastRun] = id;
    }

    private async Task BeginAnewAsync(ApiCallException cause, CancellationToken cancellationToken)
    {
        var mayHaveHadIt = Journal.PostedThrough > 0 || Journal.Rounds.Count > 0;
        context.Ended();
        if (context.Queue.WhenConversationGone == ConversationGoneAction.Fail)
        {
            throw context.Failure(BackendErrorKind.Permanent, cause.Error, cause);
        }

        Log.ConversationGone(context.Logger, context.ThreadId, _thread.Forget());
        Journal.PostedThrough = 0;
        if (mayHaveHadIt)
        {
            context.GivenUp(RunMetrics.ConversationGone);
        }

        await context.Run.SaveAsync(cancellationToken);
    }
}
