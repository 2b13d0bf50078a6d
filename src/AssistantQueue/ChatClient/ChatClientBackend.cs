using System.Runtime.CompilerServices;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Logging;

namespace AssistantQueue.ChatClient;

/// <summary>Runs batches with any chat client. The model remembers nothing: each request carries the history, which lies in Redis, and what the batch has come to so far.</summary>
/// <remarks>
/// A run can't be adopted, as nothing of it is at the API: the next owner sends the request again, which costs tokens and nothing else. What tools gave
/// and what the model asked of them is in the journal, so that it goes on after the last round that was answered.
/// </remarks>
internal sealed class ChatClientBackend(Func<IChatClient> client, Func<ChatClientOptions> options, TimeProvider time, ILogger logger) : IAssistantBackend
{
    private readonly FinishReasons _finishReasons = new();

    public async IAsyncEnumerable<RunUpdate> RunAsync(BatchRun run, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var settings = options();
        run.Journal.Model ??= settings.Model;
        var history = ChatHistory.Read(run.Conversation, settings, (turn, e) => Log.TurnUnreadable(logger, run.ThreadId, turn, e));
        var rounds = new ChatRounds(run.Journal, time);
        var usage = new UsageDetails();
        var turn = new List<ChatMessage>();
        var through = 0L;
        foreach (var round in rounds.Resume())
        {
            var answer = rounds.AnswerOf(round);
            turn.AddRange(Inputs(run, through, through = round.Through));
            turn.AddRange(answer.Messages);
            if (answer.Text is { Length: > 0 } said)
            {
                // A run that goes on elsewhere is told from its beginning.
                yield return new RunTextDelta(said + "\n\n");
            }

            turn.Add(await CallAsync(run, round, cancellationToken));
            Add(usage, answer);
        }

        while (true)
        {
            if (rounds.HasAnswers)
            {
                await run.JoinWaitingAsync(cancellationToken);
            }

            turn.AddRange(Inputs(run, through, through = run.Messages[^1].Sequence));
            var round = rounds.Begin(through);
            await run.SaveAsync(cancellationToken);
            run.ThrowIfNotOwned();

            ChatResponse answer;
            var (to, request) = (Client(rounds), Request(run, settings));
            await using (var stream = new ChatStream(
                () => to.GetStreamingResponseAsync([.. history.Messages, .. turn], request, cancellationToken),
                e => Failure(e, run.Journal, rounds, settings),
                _finishReasons,
                cancellationToken))
            {
                string? runId = null;
                var names = new Dictionary<string, string>(StringComparer.Ordinal);
                while (await stream.NextAsync() is { } update)
                {
                    if (runId is null && update.ResponseId is { Length: > 0 } id)
                    {
                        yield return new RunStarted(runId = id);
                    }

                    foreach (var told in Told(update, names))
                    {
                        yield return told;
                    }
                }

                answer = stream.Answer();
            }

            Add(usage, answer);
            if (!ChatParts.OpenCalls(answer.Messages).Any())
            {
                turn.AddRange(answer.Messages);
                if (!history.Append(run.Conversation, through, turn, settings))
                {
                    Log.TurnShortened(logger, run.ThreadId, run.BatchId);
                }

                yield return ChatParts.ReplyOf(turn, answer.FinishReason) with
                {
                    RunId = answer.ResponseId,
                    Model = answer.ModelId,
                    Usage = HasUsage(usage) ? usage : null,
                };
                yield break;
            }

            turn.AddRange(rounds.Answered(round, answer));
            turn.Add(await CallAsync(run, round, cancellationToken));
        }
    }

    public string? FindContentFault(IReadOnlyList<AIContent> contents) => ChatParts.InputFault(contents);

    private static async Task<ChatMessage> CallAsync(BatchRun run, JournalRound round, CancellationToken cancellationToken)
    {
        var outputs = await run.Tools.CallAsync(run, round, cancellationToken);
        return new ChatMessage(ChatRole.Tool, [.. outputs.Select(o => new FunctionResultContent(o.CallId, o.Output))]);
    }

    /// <summary>The user messages between two places of the batch.</summary>
    private static IEnumerable<ChatMessage> Inputs(BatchRun run, long after, long through) =>
        RunInput.From(run.Messages.Where(m => m.Sequence > after && m.Sequence <= through), run.Combine)
            .Select(input => new ChatMessage(ChatRole.User, [.. input.Contents])
            {
                AdditionalProperties = input.Metadata.Count == 0 ? null : new(input.Metadata.ToDictionary(p => p.Key, p => (object?)p.Value, StringComparer.Ordinal)),
            });

    private static ChatOptions Request(BatchRun run, ChatClientOptions settings)
    {
        var request = new ChatOptions
        {
            Instructions = run.Journal.Instructions,
            ModelId = run.Journal.Model,
            // Declarations only: a pipeline that calls functions by itself leaves these to the queue, which journals each call.
            Tools = run.Tools.Functions.Count == 0 ? null : [.. run.Tools.Functions.Select(f => f.AsDeclarationOnly())],
        };
        settings.ConfigureRequest?.Invoke(run, request);
        return request;
    }

    // Calls that the app's pipeline makes by itself are told with their results: before, nobody knows whether it makes them.
    private static IEnumerable<RunUpdate> Told(ChatResponseUpdate update, Dictionary<string, string> names)
    {
        if (update.Role != ChatRole.Tool && update.Text is { Length: > 0 } text)
        {
            yield return new RunTextDelta(text);
        }

        foreach (var call in update.Contents.OfType<FunctionCallContent>())
        {
            names[call.CallId ?? ""] = call.Name;
        }

        foreach (var result in update.Contents.OfType<FunctionResultContent>())
        {
            var name = names.GetValueOrDefault(result.CallId ?? "", "?");
            yield return new RunToolCalled(result.CallId ?? "", name, null);
            yield return new RunToolAnswered(result.CallId ?? "", name, result.Exception is not null);
        }
    }

    private static void Add(UsageDetails usage, ChatResponse answer)
    {
        if (answer.Usage is { } more)
        {
            usage.Add(more);
        }
    }

    private static bool HasUsage(UsageDetails usage) => (usage.InputTokenCount ?? usage.OutputTokenCount ?? usage.TotalTokenCount) is not null;

    /// <summary>What a client's exception means. The next attempt goes on after the rounds that the model answered: their tools have done their work.</summary>
    private static AssistantBackendException Failure(Exception e, RunJournal journal, ChatRounds rounds, ChatClientOptions settings)
    {
        rounds.DropUnanswered();
        var failure = ChatErrors.Of(e, settings.ClassifyError, rounds.HasAnswers);
        if (failure.Kind == BackendErrorKind.BackendUnavailable)
        {
            // The model's name may be what is wrong: the one that is set by then is asked, also when rounds are kept.
            journal.Model = null;
        }

        return failure;
    }

    // Whatever keeps the client from being made (settings, a factory of the app's) is no fault of the batch.
    private IChatClient Client(ChatRounds rounds)
    {
        try
        {
            return client();
        }
        catch (Exception e)
        {
            rounds.DropUnanswered();
            throw new AssistantBackendException(BackendErrorKind.BackendUnavailable, $"The chat client can't be made: {e.Message}", e)
            {
                IsOutcomeUnknown = rounds.HasAnswers,
            };
        }
    }
}
