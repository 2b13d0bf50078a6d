using System.Text.Json;
using AssistantQueue.OpenAI.Client;
using AssistantQueue.OpenAI.Content;
using AssistantQueue.OpenAI.Errors;
using AssistantQueue.OpenAI.Polling;
using Microsoft.Extensions.AI;

namespace AssistantQueue.OpenAI.Responses;

/// <summary>Takes one batch to its reply over the Responses API: goes on where the journal ends, looks before it posts again, posts once.</summary>
internal sealed class ResponsesRun(RunContext context, ResponsesApi api, History history)
{
    private const int MaxRepairs = 20;
    private const int MaxResumes = 3;
    // the background's store may lag behind the answer to a post
    private const int MaxLooksForGone = 5;
    private readonly SaidBefore _said = new(context.Journal);
    private bool _hasPosted;
    private bool _hasToldText;
    private ApiError? _streamError;

    private RunJournal Journal => context.Journal;

    // the last post, while its outcome isn't known
    private JournalRound? Unknown => Journal.LastRound is { RunId: null, Calls.Count: 0 } last ? last : null;

    public async Task<RunCompleted> CompleteAsync(CancellationToken cancellationToken)
    {
        if (_said.Text is { Length: > 0 } said)
        {
            // a run that goes on elsewhere is told from its beginning
            await context.TellAsync(new RunTextDelta(said + "\n\n"));
        }

        while (true)
        {
            try
            {
                await history.OpenAsync(cancellationToken);
                if (await StepAsync(cancellationToken) is { } reply)
                {
                    return reply;
                }
            }
            catch (ApiCallException exception) when (history.IsGone(exception.Error))
            {
                await BeginAnewAsync(exception, cancellationToken);
            }
            catch (ApiCallException exception)
            {
                throw context.Failure(exception.Error, exception);
            }
        }
    }

    // one way through: follow what has an id, else look for what may have been posted, else post, with the outputs of the tools that were asked for
    private async Task<RunCompleted?> StepAsync(CancellationToken cancellationToken)
    {
        if (Journal.LastRound is { RunId: { } id, Calls.Count: 0 } round)
        {
            if (await FollowAsync(id, cancellationToken) is { } ended)
            {
                return await ConcludeAsync(round, ended, cancellationToken);
            }

            Log.RunGone(context.Logger, context.ThreadId, id);
            // a response that was not made in the background ends with its connection, or it goes on unseen
            round.RunId = null;
            if (_streamError is not null)
            {
                throw context.Failure(_streamError);
            }

            if (_hasPosted)
            {
                throw context.Failure(BackendErrorKind.Transient, $"Response {id} was lost together with its connection.");
            }
        }

        if (Unknown is null)
        {
            await history.CatchUpAsync(cancellationToken);
        }

        if (await FindAsync(cancellationToken) is { } found)
        {
            return found.Reply is { } last ? _said.PutBefore(last) : null;
        }

        await history.CatchUpAsync(cancellationToken);
        return await PostAsync(cancellationToken) is { } answer && ResponseReading.IsOver(answer)
            ? await ConcludeAsync(Journal.LastRound!, answer, cancellationToken)
            : null;
    }

    private async Task<JsonElement?> FollowAsync(string id, CancellationToken cancellationToken)
    {
        if (_hasPosted)
        {
            // its answer has just said that it isn't over
            await Task.Delay(context.Options.PollInterval, context.Time, cancellationToken);
        }
        else
        {
            Log.RunAdopted(context.Logger, context.ThreadId, id);
            await context.TellAsync(new RunStarted(id));
        }

        for (var looks = 1; ; looks++)
        {
            try
            {
                return await context.Poll.UntilOverAsync(context.ThreadId, token => api.GetAsync(id, token), ResponseReading.IsOver, cancellationToken);
            }
            catch (ApiCallException exception) when (ErrorMap.IsGone(exception.Error, id))
            {
                // not: gone at the first 404
                // but: a moment after its post a response may not be found yet, and a second one would be posted beside it
                if (!context.Options.Background || looks == MaxLooksForGone)
                {
                    return null;
                }

                await Task.Delay(PollPauses.Next(looks, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(5), Random.Shared.NextDouble()), context.Time, cancellationToken);
            }
        }
    }

    // an earlier attempt may have left the post in the conversation; a post of unknown outcome may still be at work
    private async Task<Tail?> FindAsync(CancellationToken cancellationToken)
    {
        var unknown = Unknown;
        if (!history.CanBeLookedAt || (_hasPosted && unknown is null))
        {
            return null;
        }

        for (var look = 0; ; look++)
        {
            var tail = await history.LookAsync(cancellationToken);
            if (tail.Reply is not null)
            {
                Log.PostFound(context.Logger, context.ThreadId, context.Run.BatchId);
                context.Ended();
                return tail;
            }

            if (tail.HasInputs)
            {
                Log.PostFound(context.Logger, context.ThreadId, context.Run.BatchId);
                Settle(unknown);
            }

            if (tail.Calls.Count > 0)
            {
                var round = unknown ?? new JournalRound { PostingAt = context.Time.GetUtcNow(), Through = context.LastSequence };
                if (unknown is null)
                {
                    Journal.Rounds.Add(round);
                }

                await AskAsync(round, tail.Calls, tail.Said);
                return tail;
            }

            if (unknown is null)
            {
                return null;
            }

            if (look == 0)
            {
                Log.LookingForPost(context.Logger, context.ThreadId, context.Run.BatchId, context.Queue.UnknownOutcomeWait);
            }

            if (!await context.WaitForLookAsync(unknown, look, cancellationToken))
            {
                return null;
            }
        }
    }

    private async Task<JsonElement?> PostAsync(CancellationToken cancellationToken)
    {
        var outputs = await OutputsAsync(cancellationToken);
        context.CheckContents(OpenAIApi.Responses);
        for (var repairs = 0; ; repairs++)
        {
            Journal.Model ??= context.Options.Model;
            var stream = context.Options.Stream || !context.Options.Background;
            var owed = context.Calls.Owed;
            var body = ResponseRequest.Write(context, history, [.. owed.Where(o => outputs.All(own => own.Key != o.Key)), .. outputs], stream);
            var lastItem = await history.LastItemAsync(cancellationToken);
            context.CountIfAgain(context.Run.UnpostedInputs.Count + outputs.Count + owed.Count > 0, "responses");
            var round = await context.BeginRoundAsync(lastItem, cancellationToken);
            _hasToldText = false;
            try
            {
                using var token = new PostToken(round, context.Time, cancellationToken);
                return stream
                    ? await ReadStreamAsync(round, body, token.Token, cancellationToken)
                    : await TakeIdAsync(round, await api.CreateAsync(body, token.Token), cancellationToken);
            }
            catch (ApiCallException exception) when (!exception.MayHaveBeenTaken && round.RunId is null)
            {
                context.Refused(round);
                if (ErrorMap.CallWithoutOutput(exception.Error) is { } call && repairs < MaxRepairs && context.Calls.Open.All(open => open.Key != call))
                {
                    Log.CallRepaired(context.Logger, context.ThreadId, call);
                    context.Calls.Owe(call, null);
                    continue;
                }

                throw;
            }
        }
    }

    // messages that wait for the next tool round join right before it is posted
    private async Task<IReadOnlyList<KeyValuePair<string, string>>> OutputsAsync(CancellationToken cancellationToken)
    {
        if (context.Calls.Asked is null)
        {
            return [];
        }

        try
        {
            var outputs = await context.OutputsAsync(cancellationToken);
            // outputs of unknown outcome may still arrive, sent by an owner that was frozen: found by their ids, they would be taken for this post
            // together with a message that joined only now, and that nobody would send any more
            if (Journal.LastRound is not { RunId: null, Calls.Count: 0 })
            {
                await context.Run.JoinWaitingAsync(cancellationToken);
            }

            return [.. outputs.Select(o => new KeyValuePair<string, string>(o.CallId, o.Output))];
        }
        catch (AssistantBackendException)
        {
            // the model asked too often; the next batch answers its calls in their place
            context.Ended();
            throw;
        }
    }

    private async Task<JsonElement> TakeIdAsync(JournalRound round, JsonElement response, CancellationToken cancellationToken)
    {
        var id = response.Text("id") ?? throw ApiCallException.Garbage(200, "names no response");
        _hasPosted = true;
        _streamError = null;
        round.RunId = id;
        foreach (var given in Journal.Rounds.Where(r => r is { RunId: null, Calls.Count: 0 }).ToList())
        {
            // an earlier post that was looked for and not found: this one takes its place
            Journal.Rounds.Remove(given);
        }

        Journal.IsAdoptable = context.Options.Background;
        Log.RunPosted(context.Logger, context.ThreadId, id, context.Run.BatchId);
        // not: the run's token
        // but: none; the id is worth more than a quick stop, and the store has a timeout of its own
        await context.Run.SaveAsync(CancellationToken.None);
        await context.TellAsync(new RunStarted(id));
        cancellationToken.ThrowIfCancellationRequested();
        return response;
    }

    // null: the stream ended before the response; it is looked at by its id then
    private async Task<JsonElement?> ReadStreamAsync(JournalRound round, byte[] body, CancellationToken postToken, CancellationToken cancellationToken)
    {
        var position = -1;
        for (var streams = 0; streams == 0 || (streams <= MaxResumes && context.Options.Background); streams++)
        {
            var events = streams == 0 ? api.CreateStreamAsync(body, postToken) : api.GetStreamAsync(round.RunId!, position, cancellationToken);
            try
            {
                await foreach (var (type, data) in events)
                {
                    position = type == "error" ? position : (int)(data.Number("sequence_number") ?? position);
                    var response = type.Length == 0 ? data : data.Get("response");
                    if (round.RunId is null && response is { } first)
                    {
                        await TakeIdAsync(round, first, cancellationToken);
                    }

                    switch (type)
                    {
                        case "response.output_text.delta" or "response.refusal.delta" when data.Text("delta") is { } delta:
                            _hasToldText = true;
                            await context.TellAsync(new RunTextDelta(delta));
                            break;
                        case "response.completed" or "response.incomplete" or "response.failed" or "response.cancelled":
                            return response;
                        case "" when ResponseReading.IsOver(data):
                            return data;
                        case "error":
                            // of the stream, perhaps not of the response: what became of that one is asked by its id; before its first event nobody knows whether there is one
                            _streamError = ApiError.From(data.Get("error") ?? data);
                            throw new ApiCallException(_streamError, mayHaveBeenTaken: true);
                    }
                }
            }
            catch (ApiCallException) when (round.RunId is not null)
            {
                // the connection broke, the stream had an error, or it can't be had again: looking by the id tells which
            }

            if (round.RunId is null)
            {
                throw ApiCallException.Garbage(200, "was a stream that ended before it began");
            }

            Log.StreamCut(context.Logger, context.ThreadId, round.RunId);
        }

        return null;
    }

    // null: the response asks for tools, and their outputs are to be posted next
    private async Task<RunCompleted?> ConcludeAsync(JournalRound round, JsonElement response, CancellationToken cancellationToken)
    {
        if (ResponseReading.Error(response) is { } error)
        {
            throw await FailAsync(round, error, cancellationToken);
        }

        if (ResponseReading.Calls(response) is { Count: > 0 } calls)
        {
            if (!context.HasAnyTool(calls))
            {
                var names = string.Join(", ", calls.Select(c => c.Name));
                Log.ToolsUnanswered(context.Logger, context.ThreadId, response.Text("id") ?? "", names);
                if (history.CanBeLookedAt)
                {
                    // the response has completed, so its conversation has the messages
                    context.Taken(round);
                }

                context.Ended();
                throw context.Failure(BackendErrorKind.Permanent, $"The model asked for tools that the queue doesn't have: {names}. The conversation goes on without their results.");
            }

            RunUsage.Add(Journal, response);
            await AskAsync(round, calls, ResponseReading.Contents(response));
            return null;
        }

        context.Ended();
        history.Advance(response);
        var reply = _said.PutBefore(ResponseReading.Reply(response));
        if (ResponseReading.IncompleteReason(response) is { } reason)
        {
            // on what was said before, when the last round says nothing
            ReplyParts.MarkIncomplete(reply.Contents, reason);
        }

        return reply with { Usage = RunUsage.Total(Journal, reply.Usage) };
    }

    // what the round carried is in the history, and its answer is calls
    private async Task AskAsync(JournalRound round, IReadOnlyList<JournalToolCall> calls, IReadOnlyList<AIContent> said)
    {
        context.Taken(round);
        context.Calls.OwedSettled();
        _said.Add(calls[0].CallId, said);
        foreach (var call in calls)
        {
            round.Calls.Add(call);
        }

        if (!_hasToldText && ReplyParts.Text([said]) is { Length: > 0 } text)
        {
            await context.TellAsync(new RunTextDelta(text));
        }
    }

    private void Settle(JournalRound? round)
    {
        context.Taken(round ?? new JournalRound());
        context.Calls.Settled();
    }

    // a failed response may have left in the conversation what was posted; a retry must not post it again
    private async Task<AssistantBackendException> FailAsync(JournalRound round, ApiError error, CancellationToken cancellationToken)
    {
        if ((await history.LookAsync(cancellationToken)).HasInputs)
        {
            Settle(round);
            context.Ended();
            return context.Failure(error);
        }

        context.GivenUp(RunMetrics.Failed);
        if (context.Calls.Asked is null || ErrorMap.Classify(error) == BackendErrorKind.Permanent)
        {
            context.Ended();
        }
        else
        {
            // the retry hands the same outputs in again; no tool is called twice for it
            Journal.Rounds.Remove(round);
            Journal.IsAdoptable = false;
        }

        return context.Failure(error);
    }

    private async Task BeginAnewAsync(ApiCallException cause, CancellationToken cancellationToken)
    {
        if (context.Queue.WhenConversationGone == ConversationGoneAction.Fail)
        {
            context.Ended();
            throw context.Failure(BackendErrorKind.Permanent, cause.Error, cause);
        }

        Log.ConversationGone(context.Logger, context.ThreadId, history.Forget());
        _said.Forget();
        var mayHaveHadIt = Journal.PostedThrough > 0 || Journal.Rounds.Count > 0;
        context.Calls.Settled();
        context.Ended();
        Journal.PostedThrough = 0;
        if (mayHaveHadIt)
        {
            context.GivenUp(RunMetrics.ConversationGone);
        }

        await context.Run.SaveAsync(cancellationToken);
    }
}
