namespace AssistantQueue.Tests.DependencyInjection;

/// <summary>A backend that is only registered, never run.</summary>
internal sealed class StubBackend : IAssistantBackend
{
    public IAsyncEnumerable<RunUpdate> RunAsync(BatchRun run, CancellationToken cancellationToken) =>
        throw new InvalidOperationException("No batch is run in these tests.");
}
