using System.Globalization;
using System.Text.Json;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace AssistantQueue.Run;

/// <summary>Calls one tool with the services of a scope of its own. Whatever the tool does becomes an output: a result, an exception, no answer in time, too much of it.</summary>
internal sealed class ToolCaller(IServiceScopeFactory scopes, TimeProvider time, ILogger log)
{
    /// <summary>The most characters that the APIs take as an output.</summary>
    public const int MaxOutput = 10_485_760;

    public async Task<ToolCallOutput> CallAsync(
        BatchRun run, JournalToolCall call, AIFunction? function, bool isRepeated, ToolOptions settings, CancellationToken cancellationToken)
    {
        if (function is null)
        {
            return Error(call, $"Error: there is no tool named '{call.Name}'.");
        }

        if (Arguments(call) is not { } values)
        {
            return Error(call, "Error: the arguments are not a JSON object.");
        }

        using var timeout = new CancellationTokenSource(settings.CallTimeout, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timeout.Token);
        var calling = Task.Run(() => InvokeAsync(run, call, function, values, isRepeated, both.Token), CancellationToken.None);
        try
        {
            var output = await calling.WaitAsync(both.Token);
            return output.Length <= MaxOutput
                ? new ToolCallOutput(call.CallId, call.Name, output, IsError: false)
                : Error(call, string.Create(CultureInfo.InvariantCulture, $"Error: the tool's result has {output.Length:N0} characters, more than the {MaxOutput:N0} that can be taken."));
        }
        catch (OperationCanceledException) when (both.IsCancellationRequested)
        {
            // A tool that goes on nevertheless is on its own; what it throws then concerns no run any more.
            _ = calling.ContinueWith(
                late => Log.ToolFailedLate(log, run.ThreadId, call.CallId, call.Name, late.Exception!.InnerException!),
                CancellationToken.None,
                TaskContinuationOptions.OnlyOnFaulted,
                TaskScheduler.Default);
            cancellationToken.ThrowIfCancellationRequested();
            Log.ToolTimedOut(log, run.ThreadId, call.CallId, call.Name, settings.CallTimeout);
            return Error(call, string.Create(CultureInfo.InvariantCulture, $"Error: the tool did not answer within {settings.CallTimeout.TotalSeconds:0.###} seconds."));
        }
        catch (Exception e)
        {
            Log.ToolFailed(log, run.ThreadId, call.CallId, call.Name, e);
            return Error(call, settings.IncludeErrorDetails ? $"Error: {e.Message}" : "Error: the tool failed.");
        }
    }

    private async Task<string> InvokeAsync(
        BatchRun run, JournalToolCall call, AIFunction function, Dictionary<string, object?> values, bool isRepeated, CancellationToken cancellationToken)
    {
        await using var scope = scopes.CreateAsyncScope();
        var result = await function.InvokeAsync(
            new AIFunctionArguments(values)
            {
                Services = scope.ServiceProvider,
                Context = new Dictionary<object, object?>
                {
                    [ToolCall.ContextKey] = new ToolCall
                    {
                        QueueName = run.QueueName,
                        ThreadId = run.ThreadId,
                        BatchId = run.BatchId,
                        CallId = call.CallId,
                        Name = call.Name,
                        Fence = run.Fence,
                        Attempt = run.Attempt,
                        IsRepeated = isRepeated,
                    },
                },
            },
            cancellationToken);
        return result switch
        {
            null => "",
            string text => text,
            JsonElement { ValueKind: JsonValueKind.String } text => text.GetString()!,
            JsonElement { ValueKind: JsonValueKind.Null or JsonValueKind.Undefined } => "",
            JsonElement json => json.GetRawText(),
            TextContent text => text.Text,
            _ => JsonSerializer.Serialize(result, function.JsonSerializerOptions.GetTypeInfo(result.GetType())),
        };
    }

    private static Dictionary<string, object?>? Arguments(JournalToolCall call)
    {
        if (string.IsNullOrWhiteSpace(call.Arguments))
        {
            return [];
        }

        try
        {
            using var document = JsonDocument.Parse(call.Arguments);
            return document.RootElement.ValueKind == JsonValueKind.Object
                ? document.RootElement.EnumerateObject().ToDictionary(p => p.Name, p => (object?)p.Value.Clone(), StringComparer.Ordinal)
                : null;
        }
        catch (Exception e) when (e is JsonException or ArgumentException)
        {
            // Not JSON, or a name twice: the model is told, and can do better.
            return null;
        }
    }

    private static ToolCallOutput Error(JournalToolCall call, string text) => new(call.CallId, call.Name, text, IsError: true);
}
