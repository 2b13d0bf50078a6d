using System.Runtime.CompilerServices;

namespace AssistantQueue.Tests.AspNetCore;

/// <summary>A backend that answers when the test opens the gate.</summary>
internal sealed class GatedBackend : IAssistantBackend
{
    private readonly TaskCompletionSource _gate = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public void Open() => _gate.TrySetResult();

    public async IAsyncEnumerable<RunUpdate> RunAsync(BatchRun run, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await _gate.Task.WaitAsync(cancellationToken);
        yield return new RunCompleted { Text = $"You said: {string.Join(", ", run.Messages.SelectMany(m => m.Contents))}" };
    }
}
