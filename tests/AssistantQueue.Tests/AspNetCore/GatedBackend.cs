using System.Runtime.CompilerServices;
using System.Threading.Channels;

namespace AssistantQueue.Tests.AspNetCore;

/// <summary>A backend that tells what the test says, and answers when the test opens the gate.</summary>
internal sealed class GatedBackend : IAssistantBackend
{
    private readonly TaskCompletionSource _gate = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private readonly Channel<string> _texts = Channel.CreateUnbounded<string>();

    public void Open() => _gate.TrySetResult();

    /// <summary>Lets the run under way, or the next one, write a piece of text.</summary>
    public void Write(string text) => _texts.Writer.TryWrite(text);

    public async IAsyncEnumerable<RunUpdate> RunAsync(BatchRun run, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        while (!_gate.Task.IsCompleted || _texts.Reader.TryPeek(out _))
        {
            if (_texts.Reader.TryRead(out var text))
            {
                yield return new RunTextDelta(text);
                continue;
            }

            await Task.WhenAny(_gate.Task, _texts.Reader.WaitToReadAsync(cancellationToken).AsTask()).WaitAsync(cancellationToken);
        }

        yield return new RunCompleted { Text = $"You said: {string.Join(", ", run.Messages.SelectMany(m => m.Contents))}" };
    }
}
