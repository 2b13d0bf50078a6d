using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace AssistantQueue.TestHost;

/// <summary>Answers by itself after a moment; a run of one thread kills the whole process, as a message does that makes a library crash.</summary>
internal sealed class PoisonBackend(string poison) : IAssistantBackend
{
    private static readonly TimeSpan Thinks = TimeSpan.FromMilliseconds(300);

    public async IAsyncEnumerable<RunUpdate> RunAsync(BatchRun run, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if (run.ThreadId == poison)
        {
            using var self = Process.GetCurrentProcess();
            self.Kill();
        }

        await Task.Delay(Thinks, cancellationToken);
        yield return new RunCompleted { Text = "yes" };
    }
}
