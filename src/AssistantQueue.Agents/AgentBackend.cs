using System.Runtime.CompilerServices;
using System.Text.Json;
using AssistantQueue.ChatClient;
using Microsoft.Agents.AI;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Logging;

namespace AssistantQueue.Agents;

/// <summary>Runs batches with an agent. Its session is a field of the thread's conversation in Redis, written by the script that completes the batch: an attempt that fails leaves it as it was.</summary>
internal sealed class AgentBackend(Func<AIAgent> agent, Func<AgentOptions> options, Func<AssistantQueueOptions> queueOptions, TimeProvider time, ILogger logger) : IAssistantBackend
{
    /// <summary>The field of the conversation that holds the session.</summary>
    internal const string Session = "agent.session";

    private readonly FinishReasons _finishReasons = new();

    public async IAsyncEnumerable<RunUpdate> RunAsync(BatchRun run, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var settings = options();
        var mine = Agent();
        if (run.Journal.Rounds.Count > 0)
        {
            Log.RunAgain(logger, run.ThreadId, run.BatchId);
        }

        var session = await Classified(() => ReadSessionAsync(mine, run, cancellationToken), settings, cancellationToken);
        run.Journal.Rounds.Clear();
        var round = new JournalRound { PostingAt = time.GetUtcNow(), Through = run.Messages[^1].Sequence };
        run.Journal.Rounds.Add(round);
        await run.SaveAsync(cancellationToken);
        run.ThrowIfNotOwned();

        ChatResponse answer;
        var runOptions = settings.CreateRunOptions?.Invoke(run);
        await using (var stream = new ChatStream(
            () => mine.RunStreamingAsync(Inputs(run), session, runOptions, cancellationToken).AsChatResponseUpdatesAsync(),
            e => ChatErrors.Of(e, settings.ClassifyError, keepsRounds: false),
            _finishReasons,
            cancellationToken))
        {
            var names = new Dictionary<string, string>(StringComparer.Ordinal);
            while (await stream.NextAsync() is { } update)
            {
                if (round.RunId is null && update.ResponseId is { Length: > 0 } id)
                {
                    yield return new RunStarted(round.RunId = id);
                }

                foreach (var told in Told(update, names))
                {
                    yield return told;
                }
            }

            answer = stream.Answer();
        }

        if (ChatParts.OpenCalls(answer.Messages).Select(c => c.Name).Distinct(StringComparer.Ordinal).ToList() is { Count: > 0 } open)
        {
            throw new AssistantBackendException(BackendErrorKind.Permanent, $"The agent asked for tools that nobody answers: {string.Join(", ", open)}. Give the agent functions that it can call itself.") { Code = "tools_unanswered" };
        }

        await Classified(() => KeepSessionAsync(mine, session, run, settings, cancellationToken), settings, cancellationToken);
        yield return ChatParts.ReplyOf(answer.Messages, answer.FinishReason) with { RunId = answer.ResponseId, Model = answer.ModelId, Usage = answer.Usage };
    }

    public string? FindContentFault(IReadOnlyList<AIContent> contents) => ChatParts.InputFault(contents);

    // The agent has instructions of its own; those of the batch come as its first message.
    private static List<ChatMessage> Inputs(BatchRun run)
    {
        var inputs = run.UnpostedInputs.Select(input => new ChatMessage(ChatRole.User, [.. input.Contents])
        {
            AdditionalProperties = input.Metadata.Count == 0 ? null : new(input.Metadata.ToDictionary(p => p.Key, p => (object?)p.Value, StringComparer.Ordinal)),
        });
        return run.Journal.Instructions is { } instructions ? [new ChatMessage(ChatRole.System, instructions), .. inputs] : [.. inputs];
    }

    private static IEnumerable<RunUpdate> Told(ChatResponseUpdate update, Dictionary<string, string> names)
    {
        if (update.Role != ChatRole.Tool && update.Text is { Length: > 0 } text)
        {
            yield return new RunTextDelta(text);
        }

        foreach (var content in update.Contents)
        {
            if (content is FunctionCallContent call && names.TryAdd(call.CallId ?? "", call.Name))
            {
                yield return new RunToolCalled(call.CallId ?? "", call.Name, ChatParts.ArgumentsOf(call));
            }
            else if (content is FunctionResultContent result)
            {
                yield return new RunToolAnswered(result.CallId ?? "", names.GetValueOrDefault(result.CallId ?? "", "?"), result.Exception is not null);
            }
        }
    }

    private async Task<AgentSession> ReadSessionAsync(AIAgent mine, BatchRun run, CancellationToken cancellationToken)
    {
        if (run.Conversation[Session] is { } stored)
        {
            try
            {
                using var document = JsonDocument.Parse(stored);
                return await mine.DeserializeSessionAsync(document.RootElement.Clone(), null, cancellationToken);
            }
            catch (Exception e) when (e is JsonException or NotSupportedException or ArgumentException or InvalidOperationException or FormatException or KeyNotFoundException)
            {
                if (queueOptions().WhenConversationGone == ConversationGoneAction.Fail)
                {
                    throw new AssistantBackendException(BackendErrorKind.Permanent, $"The thread's session can't be read by the agent ({e.GetType().Name}: {e.Message}), and WhenConversationGone is Fail.", e) { Code = "session_unreadable" };
                }

                Log.SessionUnreadable(logger, run.ThreadId, e);
            }
        }

        return await mine.CreateSessionAsync(cancellationToken);
    }

    private async Task<bool> KeepSessionAsync(AIAgent mine, AgentSession session, BatchRun run, AgentOptions settings, CancellationToken cancellationToken)
    {
        var json = (await mine.SerializeSessionAsync(session, null, cancellationToken)).GetRawText();
        if (json.Length > settings.MaxSessionCharacters)
        {
            Log.SessionTooLong(logger, run.ThreadId, json.Length, settings.MaxSessionCharacters);
            run.Conversation.Remove(Session);
            return false;
        }

        run.Conversation[Session] = json;
        return true;
    }

    private static async Task<T> Classified<T>(Func<Task<T>> call, AgentOptions settings, CancellationToken cancellationToken)
    {
        try
        {
            return await call();
        }
        catch (Exception e) when (!ChatErrors.IsOurs(e) && !cancellationToken.IsCancellationRequested)
        {
            throw ChatErrors.Of(e, settings.ClassifyError, keepsRounds: false);
        }
    }

    // Whatever keeps the agent from being made (settings, a factory of the app's) is no fault of the batch.
    private AIAgent Agent()
    {
        try
        {
            return agent();
        }
        catch (Exception e)
        {
            throw new AssistantBackendException(BackendErrorKind.BackendUnavailable, $"The agent can't be made: {e.Message}", e);
        }
    }
}
