using System.Collections.Concurrent;
using System.Text.Json;
using AssistantQueue.OpenAI.Content;
using AssistantQueue.OpenAI.Errors;

namespace AssistantQueue.OpenAI.Assistants;

/// <summary>What a run offers when the queue has tools. A run's tools replace its assistant's, so the assistant's own are read (every five minutes at most) and sent along. Thread-safe.</summary>
internal sealed class AssistantTools(AssistantsApi api)
{
    /// <summary>The most tools that the API takes with a run.</summary>
    public const int Most = 20;

    private static readonly TimeSpan Fresh = TimeSpan.FromMinutes(5);
    private readonly ConcurrentDictionary<string, (DateTimeOffset At, IReadOnlyList<JsonElement> Tools)> _known = new(StringComparer.Ordinal);

    /// <summary>The assistant's own tools that the queue's don't replace; none when the queue has no tools, because nothing is replaced then.</summary>
    /// <exception cref="AssistantBackendException">Together there are more than the API takes.</exception>
    public async Task<IReadOnlyList<JsonElement>> OwnAsync(RunContext context, string assistantId, CancellationToken cancellationToken)
    {
        var functions = context.Run.Tools.Functions;
        if (functions.Count == 0)
        {
            return [];
        }

        var own = (await ReadAsync(context, assistantId, cancellationToken))
            .Where(tool => tool.Get("function")?.Text("name") is not { } name || functions.All(f => f.Name != name))
            .ToList();
        return own.Count + functions.Count <= Most
            ? own
            : throw context.Failure(
                BackendErrorKind.BackendUnavailable,
                $"A run takes at most {Most} tools; the queue has {functions.Count} and assistant {assistantId} has {own.Count} others. Take some away.");
    }

    private async Task<IReadOnlyList<JsonElement>> ReadAsync(RunContext context, string assistantId, CancellationToken cancellationToken)
    {
        if (_known.TryGetValue(assistantId, out var known) && context.Time.GetUtcNow() - known.At < Fresh)
        {
            return known.Tools;
        }

        IReadOnlyList<JsonElement> tools;
        try
        {
            var assistant = await context.Poll.OnceAsync(context.ThreadId, token => api.GetAssistantAsync(assistantId, token), cancellationToken);
            tools = [.. assistant.List("tools")];
        }
        catch (ApiCallException exception) when (exception.Error.Status is 404 or 405 or 501)
        {
            // a compatible server without assistants to read; if it is the assistant that is missing, the run says so
            Log.AssistantUnreadable(context.Logger, context.ThreadId, assistantId, exception.Error.Status);
            tools = [];
        }

        _known[assistantId] = (context.Time.GetUtcNow(), tools);
        return tools;
    }
}
