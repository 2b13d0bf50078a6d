using System.Runtime.CompilerServices;
using System.Threading.Channels;
using AssistantQueue.OpenAI.Content;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Logging;

namespace AssistantQueue.OpenAI;

/// <summary>The backend of <c>UseOpenAI()</c>: hands batches to the API that the settings chose at the start, and hands on what their runs tell.</summary>
internal sealed class OpenAIBackend(
    string settingsPath,
    OpenAIApi chosenApi,
    Lazy<IOpenAIRunner> runner,
    KeptOptions<OpenAIOptions> options,
    KeptOptions<AssistantQueueOptions> queueOptions,
    TimeProvider time,
    ILogger<OpenAIBackend> logger) : IAssistantBackend
{
    // deltas that wait for a slow reader; a full channel slows the stream down
    private const int MaxUpdates = 64;

    /// <summary>Gets the settings as they are now.</summary>
    internal OpenAIOptions Settings => options.Value;

    public async IAsyncEnumerable<RunUpdate> RunAsync(BatchRun run, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var updates = Channel.CreateBounded<Telling>(new BoundedChannelOptions(MaxUpdates) { SingleReader = true, SingleWriter = true });
        using var left = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var running = RunIntoAsync(run, updates.Writer, left.Token);
        try
        {
            await foreach (var (update, reached) in updates.Reader.ReadAllAsync(CancellationToken.None))
            {
                if (update is not null)
                {
                    yield return update;
                }

                // the reader has come back for more
                reached?.SetResult();
            }

            // not: through the channel, where a cancellation would drop it
            // but: by itself; the journal has forgotten the run by now, and without its reply the next owner would post again
            yield return (await running)!;
        }
        finally
        {
            // a reader that goes away early stops the run's following; the journal is the caller's again only afterwards
            await left.CancelAsync();
            await running;
        }
    }

    public async Task CancelAsync(BatchRun run, CancellationToken cancellationToken)
    {
        if (IsOfThisApi(run))
        {
            await Runner(run).CancelAsync(Context(run, static _ => ValueTask.CompletedTask, static () => Task.CompletedTask), cancellationToken);
        }
    }

    public string? FindContentFault(IReadOnlyList<AIContent> contents) => ContentRules.Fault(chosenApi, contents);

    // null: the run failed, and the reader gets the exception
    private async Task<RunCompleted?> RunIntoAsync(BatchRun run, ChannelWriter<Telling> updates, CancellationToken cancellationToken)
    {
        try
        {
            // the caller's thread is not held by what comes before the first wait
            await Task.Yield();
            if (!IsOfThisApi(run))
            {
                // the other API's ids mean nothing here; what it was sent it may still answer, unheard
                run.Journal.Rounds.Clear();
                run.Journal.Notes.Clear();
                run.Journal.Model = null;
                run.Journal.PostedThrough = 0;
            }

            var api = Runner(run);
            run.Journal.Notes[StateNames.Api] = api.Name;
            var context = Context(run, update => updates.WriteAsync(new(update, null), cancellationToken), AllToldAsync);
            var reply = await api.RunAsync(context, cancellationToken);
            updates.Complete();
            return reply;
        }
        catch (Exception exception)
        {
            // not lost: the reader gets it
            updates.Complete(exception);
            return null;
        }

        async Task AllToldAsync()
        {
            var reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            await updates.WriteAsync(new(null, reached), cancellationToken);
            await reached.Task.WaitAsync(cancellationToken);
        }
    }

    private bool IsOfThisApi(BatchRun run) => !run.Journal.Notes.TryGetValue(StateNames.Api, out var api) || api == Runner(run).Name;

    // Whatever keeps the client from being made (settings, a factory of the app's) is no fault of the batch,
    // and says nothing about what an earlier owner has posted: the next one follows it, or looks for it.
    private IOpenAIRunner Runner(BatchRun run)
    {
        try
        {
            return runner.Value;
        }
        catch (Exception exception)
        {
            throw new AssistantBackendException(
                BackendErrorKind.BackendUnavailable, $"The client of the API can't be made ({settingsPath}): {exception.Message}", exception)
            {
                IsOutcomeUnknown = run.Journal.Rounds.Count > 0,
            };
        }
    }

    private RunContext Context(BatchRun run, Func<RunUpdate, ValueTask> tell, Func<Task> allTold) =>
        new(run, Settings, queueOptions.Value, settingsPath, time, logger, tell, allTold);

    /// <summary>An update on its way to the reader, or the wish to know when the reader has all before it.</summary>
    private readonly record struct Telling(RunUpdate? Update, TaskCompletionSource? Reached);
}
