using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Microsoft.Extensions.AI;

namespace AssistantQueue.Tests.Worker;

/// <summary>A backend that does what a test says and writes down what it was asked; it also notices two runs of one thread at a time.</summary>
internal sealed class TestBackend : IAssistantBackend
{
    private readonly ConcurrentDictionary<string, int> _running = new(StringComparer.Ordinal);
    private readonly Channel<BatchRun> _started = Channel.CreateUnbounded<BatchRun>();
    private int _count;

    /// <summary>What a run does; by default it answers with the texts of its messages.</summary>
    public Func<BatchRun, CancellationToken, Task<string>> Answer { get; set; } = (run, _) => Task.FromResult(TextOf(run));

    /// <summary>What a run tells before it answers; it is told as it comes.</summary>
    public Func<BatchRun, ChannelWriter<RunUpdate>, CancellationToken, Task<string>>? Tell { get; set; }

    public Func<BatchRun, CancellationToken, Task> Cancel { get; set; } = (_, _) => Task.CompletedTask;

    public ConcurrentQueue<(string Thread, string Text, int Attempt, long Fence, int AtOnce)> Runs { get; } = new();

    /// <summary>How often a thread was begun while it was still running.</summary>
    public int Overlaps { get; private set; }

    public int MostAtOnce { get; private set; }

    public static string TextOf(BatchRun run) => string.Join("|", run.Messages.SelectMany(m => m.Contents.OfType<TextContent>()).Select(c => c.Text));

    /// <summary>Waits for the next run to begin.</summary>
    public async Task<BatchRun> NextAsync() => await _started.Reader.ReadAsync().AsTask().WaitAsync(TestTimes.Patience);

    public async IAsyncEnumerable<RunUpdate> RunAsync(BatchRun run, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        lock (_running)
        {
            MostAtOnce = Math.Max(MostAtOnce, ++_count);
            Overlaps += _running.AddOrUpdate(run.ThreadId, 1, (_, n) => n + 1) > 1 ? 1 : 0;
            Runs.Enqueue((run.ThreadId, TextOf(run), run.Attempt, run.Fence, _count));
        }

        _started.Writer.TryWrite(run);
        string text;
        try
        {
            if (Tell is { } tell)
            {
                var told = Channel.CreateUnbounded<RunUpdate>();
                var telling = Task.Run(
                    async () =>
                    {
                        try
                        {
                            return await tell(run, told.Writer, cancellationToken);
                        }
                        finally
                        {
                            told.Writer.Complete();
                        }
                    },
                    CancellationToken.None);
                await foreach (var update in told.Reader.ReadAllAsync(CancellationToken.None))
                {
                    yield return update;
                }

                text = await telling;
            }
            else
            {
                text = await Answer(run, cancellationToken);
            }
        }
        finally
        {
            lock (_running)
            {
                _count--;
                _running.AddOrUpdate(run.ThreadId, 0, (_, n) => n - 1);
            }
        }

        if (Tell is null)
        {
            yield return new RunTextDelta(text);
        }

        yield return new RunCompleted { Text = text, RunId = "run_" + run.Fence };
    }

    public Task CancelAsync(BatchRun run, CancellationToken cancellationToken) => Cancel(run, cancellationToken);
}
