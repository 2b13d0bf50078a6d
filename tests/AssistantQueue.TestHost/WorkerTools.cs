using System.Text.Json;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;

namespace AssistantQueue.TestHost;

/// <summary>The tools of a worker process: each call is written down as a <see cref="MadeCall"/> in the file of the process before it does anything.</summary>
internal static class WorkerTools
{
    private static readonly Lock OneAtATime = new();

    /// <summary><c>note</c> gives its text back; <c>hang</c> never returns while <c>hold</c> lies in the folder; <c>book</c> returns more than the API takes; <c>refund</c> needs an approval.</summary>
    public static void Add(IAssistantQueueBuilder queue, string folder)
    {
        var file = Path.Combine(folder, $"calls-{Environment.ProcessId}.jsonl");
        queue.AddTool(AIFunctionFactory.Create((string text, AIFunctionArguments arguments) => Made(file, arguments, text), "note"));
        queue.AddTool(AIFunctionFactory.Create(
            async (string text, AIFunctionArguments arguments, CancellationToken cancellationToken) =>
            {
                Made(file, arguments, text);
                if (File.Exists(Path.Combine(folder, "hold")))
                {
                    await Task.Delay(Timeout.InfiniteTimeSpan, cancellationToken);
                }

                return text;
            },
            "hang"));
        queue.AddTool(AIFunctionFactory.Create((AIFunctionArguments arguments) => Made(file, arguments, new string('x', 11_000_000)), "book"));
        queue.AddTool(new ApprovalRequiredAIFunction(AIFunctionFactory.Create((string text, AIFunctionArguments arguments) => Made(file, arguments, text), "refund")));
    }

    private static string Made(string file, AIFunctionArguments arguments, string text)
    {
        var call = arguments.GetToolCall()!;
        lock (OneAtATime)
        {
            File.AppendAllBytes(file, [.. JsonSerializer.SerializeToUtf8Bytes(new MadeCall(call.Name, call.CallId, call.Fence, call.IsRepeated)), (byte)'\n']);
        }

        return text;
    }
}

/// <summary>A call that a worker process made.</summary>
/// <param name="Tool">The tool.</param>
/// <param name="CallId">The call.</param>
/// <param name="Fence">The fencing number of the owner that made it.</param>
/// <param name="IsRepeated">Whether an earlier owner may have made it.</param>
public sealed record MadeCall(string Tool, string CallId, long Fence, bool IsRepeated);
