using Microsoft.Extensions.AI;

namespace AssistantQueue;

/// <summary>The tools of a run: what the model may ask for, and the way to make its calls. Every call is journalled, so that the next owner of the batch makes only those that have no output yet.</summary>
/// <remarks>Belongs to one run; calls of one round run side by side, but <see cref="CallAsync"/> itself is not called twice at a time.</remarks>
public interface IRunTools
{
    /// <summary>Gets the functions registered with <c>AddTool</c>, to be offered to the model; empty when there are none.</summary>
    IReadOnlyList<AIFunction> Functions { get; }

    /// <summary>Makes the calls of a round that have no output yet, and returns the outputs of all of them, in the order of <see cref="JournalRound.Calls"/>.</summary>
    /// <param name="run">The run that <paramref name="round"/> belongs to.</param>
    /// <param name="round">The round whose <see cref="JournalRound.Calls"/> hold what the model asked for. It is saved before anything is called.</param>
    /// <param name="cancellationToken">Cancels calls under way; they are made again by the next owner, with the same <see cref="JournalToolCall.CallId"/>.</param>
    /// <returns>The outputs to hand to the model. A tool that throws, hangs, is unknown or returns too much is an output too, with <see cref="ToolCallOutput.IsError"/>.</returns>
    /// <exception cref="ApprovalPendingException">A call waits for somebody's approval. Pass it on: the batch rests until the decision is there.</exception>
    /// <exception cref="AssistantBackendException">The model asked for tools more often than <see cref="ToolOptions.MaxRounds"/> allows.</exception>
    /// <exception cref="LeaseLostException">The thread has another owner now.</exception>
    Task<IReadOnlyList<ToolCallOutput>> CallAsync(BatchRun run, JournalRound round, CancellationToken cancellationToken);
}

/// <summary>What a tool call gave.</summary>
/// <param name="CallId">The API's id of the call.</param>
/// <param name="Name">The tool's name.</param>
/// <param name="Output">The text for the model: the result as it is when it is text, else as JSON; or what went wrong.</param>
/// <param name="IsError">Whether the call failed.</param>
public sealed record ToolCallOutput(string CallId, string Name, string Output, bool IsError);
