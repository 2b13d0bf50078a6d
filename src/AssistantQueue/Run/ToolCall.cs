using Microsoft.Extensions.AI;

namespace AssistantQueue;

/// <summary>Which call a tool is serving. With it a tool can be idempotent: after a crash the same call is made again with the same <see cref="CallId"/>.</summary>
public sealed record ToolCall
{
    internal const string ContextKey = "AssistantQueue.ToolCall";

    /// <summary>Gets the queue's name; empty for the unnamed queue.</summary>
    public required string QueueName { get; init; }

    /// <summary>Gets the thread.</summary>
    public required string ThreadId { get; init; }

    /// <summary>Gets the batch.</summary>
    public required string BatchId { get; init; }

    /// <summary>Gets the API's id of the call; the same when the call is repeated.</summary>
    public required string CallId { get; init; }

    /// <summary>Gets the tool's name.</summary>
    public required string Name { get; init; }

    /// <summary>Gets the fencing number: grows with each owner of the thread. A store that refuses smaller numbers than it has seen is safe from an owner that was suspended for long.</summary>
    public required long Fence { get; init; }

    /// <summary>Gets which attempt of the batch this is, from 1.</summary>
    public required int Attempt { get; init; }

    /// <summary>Gets a value indicating whether the call may have been made before: its owner died or was stopped before the output was stored.</summary>
    public required bool IsRepeated { get; init; }
}

/// <summary>Gives tools the call they serve.</summary>
public static class ToolCallExtensions
{
    /// <summary>Gets the call that a tool serves.</summary>
    /// <param name="arguments">The arguments that the tool was called with; a parameter of this type of a delegate given to <c>AIFunctionFactory.Create</c> is filled with them.</param>
    /// <returns>The call, or null when the function was not called by a queue.</returns>
    public static ToolCall? GetToolCall(this AIFunctionArguments arguments)
    {
        ArgumentNullException.ThrowIfNull(arguments);
        return arguments.Context?.TryGetValue(ToolCall.ContextKey, out var call) == true ? call as ToolCall : null;
    }
}
