using Microsoft.Extensions.AI;

namespace AssistantQueue;

/// <summary>Runs batches: the seam between the queue and a model API. Singleton, thread-safe; called for many threads at a time, never twice at a time for one thread.</summary>
public interface IAssistantBackend
{
    /// <summary>Runs a batch, or goes on with a run that an earlier owner began (see <see cref="BatchRun.Journal"/>).</summary>
    /// <param name="run">The batch, the conversation's state, the journal, and the way to write both.</param>
    /// <param name="cancellationToken">Cancelled when the lease is lost, the host stops, or time is up. The backend stops following the run at once; it does not cancel it at the API (see <see cref="CancelAsync"/>).</param>
    /// <returns>Updates that end with exactly one <see cref="RunCompleted"/>.</returns>
    /// <exception cref="AssistantBackendException">The run failed; its <see cref="AssistantBackendException.Kind"/> decides what happens next.</exception>
    /// <exception cref="LeaseLostException">Passed on from <see cref="BatchRun.SaveAsync"/>.</exception>
    IAsyncEnumerable<RunUpdate> RunAsync(BatchRun run, CancellationToken cancellationToken);

    /// <summary>Cancels at the API what the journal says is running, and waits until it has ended. Called after <see cref="RunAsync"/> was left because time was up, or because a newer message interrupts the run (<see cref="BusyAction.Interrupt"/>), and before a batch is given up whose run may still be going.</summary>
    /// <remarks>
    /// When it returns, the next run may begin; what the run leaves in the conversation has to be in the journal by then (<see cref="RunJournal.PostedThrough"/>).
    /// The default does nothing, which is right where nothing goes on without <see cref="RunAsync"/>. A backend whose journal says that its run can be adopted (<see cref="RunJournal.IsAdoptable"/>)
    /// and names it (<see cref="JournalRound.RunId"/>) has to cancel it here: else the run goes on at the API beside the next one.
    /// </remarks>
    /// <param name="run">The batch.</param>
    /// <param name="cancellationToken">Ends the waiting: ten seconds when time was up or the batch is given up; an interruption is given as long as the run's time and its lease last.</param>
    /// <returns>A task that completes when the run has ended, or when there is none. When it fails, the run is followed with another <see cref="RunAsync"/>, because its reply may be there, and text that this tells again from the run's beginning is left out; that it was cancelled it then says with <see cref="AssistantBackendException.Code"/> <c>cancelled</c>.</returns>
    Task CancelAsync(BatchRun run, CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Says what keeps the backend from taking a message's content, so that enqueue can refuse it at once. Called in the producer's process, when the backend is registered there too; what it lets pass may still fail when it is run.</summary>
    /// <param name="contents">The content parts.</param>
    /// <returns>The broken rule as a sentence without a full stop, for example <c>Contents must not have audio: the Responses API takes none</c>; null when there is none.</returns>
    string? FindContentFault(IReadOnlyList<AIContent> contents) => null;
}
