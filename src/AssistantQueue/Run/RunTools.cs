using AssistantQueue.Diagnostics;
using AssistantQueue.Store;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Logging;

namespace AssistantQueue.Run;

/// <summary>Makes the tool calls of one run: side by side, each journalled before and after, none of them twice as long as its output is kept.</summary>
internal sealed class RunTools(
    ToolSet tools,
    ToolCaller caller,
    Func<ToolOptions> options,
    IReadOnlyDictionary<string, ToolDecision> decisions,
    Func<RunUpdate, ValueTask> tell,
    QueueMetrics metrics,
    TimeProvider time,
    ILogger log) : IRunTools
{
    /// <summary>What is kept of an output in the journal. A longer one is not stored: after a crash its call is made again.</summary>
    private const int MaxKeptOutput = 64 * 1024;

    private const string UnknownTool = "(unknown)";

    // outputs too long for the journal; gone with this owner
    private readonly Dictionary<string, ToolCallOutput> _outputs = new(StringComparer.Ordinal);

    public IReadOnlyList<AIFunction> Functions => tools.All;

    /// <summary>Gets whether a newer message wants to interrupt the run: then it waits for nobody's approval.</summary>
    public Func<bool> IsOvertaken { get; init; } = static () => false;

    public async Task<IReadOnlyList<ToolCallOutput>> CallAsync(BatchRun run, JournalRound round, CancellationToken cancellationToken)
    {
        var settings = options();
        var open = round.Calls.Where(c => Known(c) is null).ToList();
        if (IsTooMany(run, round, settings))
        {
            foreach (var call in open)
            {
                Keep(call, new ToolCallOutput(call.CallId, call.Name, $"Error: this conversation turn has called tools {settings.MaxRounds} times, the most it may. Answer with what you have, without calling tools.", IsError: true));
            }
        }
        else
        {
            var ready = Ready(open, settings);
            foreach (var rejected in open.Where(c => c.State == ToolCallState.Answered))
            {
                await tell(new RunToolAnswered(rejected.CallId, rejected.Name, IsError: true));
            }

            await MakeAsync(run, ready, settings, cancellationToken);
        }

        var waiting = round.Calls.Where(c => c.State == ToolCallState.AwaitingApproval).ToList();
        if (waiting.Count > 0)
        {
            await run.SaveAsync(cancellationToken);
            throw new ApprovalPendingException(waiting);
        }

        return [.. round.Calls.Select(c => Known(c)!)];
    }

    /// <returns>Whether the model has asked for tools as often as it may.</returns>
    private static bool IsTooMany(BatchRun run, JournalRound round, ToolOptions settings)
    {
        var asked = run.Journal.Rounds.IndexOf(round) + 1;
        return asked <= settings.MaxRounds ? false
            : asked == settings.MaxRounds + 1 ? true
            : throw new AssistantBackendException(
                BackendErrorKind.Permanent,
                $"The model asked for tools {asked} times in one run and went on after it was told not to; {settings.MaxRounds} times are allowed (Tools:MaxRounds).")
            { Code = "too_many_tool_rounds" };
    }

    /// <summary>The calls that can be made now; those that need an approval are marked as waiting, those that were refused are answered.</summary>
    private List<JournalToolCall> Ready(List<JournalToolCall> open, ToolOptions settings)
    {
        var ready = new List<JournalToolCall>();
        foreach (var call in open)
        {
            if (tools.Find(call.Name)?.GetService<ApprovalRequiredAIFunction>() is null)
            {
                ready.Add(call);
                continue;
            }

            var decision = decisions.GetValueOrDefault(call.CallId);
            call.AskedAt ??= time.GetUtcNow();
            if (decision is { IsApproved: true })
            {
                ready.Add(call);
            }
            else if (decision is not null)
            {
                Keep(call, new ToolCallOutput(call.CallId, call.Name, decision.Reason is { Length: > 0 } reason ? $"The call was rejected: {reason}" : "The call was rejected.", IsError: true));
            }
            else if (IsOvertaken())
            {
                Keep(call, new ToolCallOutput(call.CallId, call.Name, "The call was rejected: a newer message came before anybody approved it.", IsError: true));
            }
            else if (time.GetUtcNow() - call.AskedAt >= settings.ApprovalTimeout)
            {
                Keep(call, new ToolCallOutput(call.CallId, call.Name, "The call was rejected: nobody approved it in time.", IsError: true));
            }
            else
            {
                call.State = ToolCallState.AwaitingApproval;
            }
        }

        return ready;
    }

    private async Task MakeAsync(BatchRun run, List<JournalToolCall> ready, ToolOptions settings, CancellationToken cancellationToken)
    {
        if (ready.Count == 0)
        {
            return;
        }

        // One save for all of them: from here on each may have done its work.
        var repeated = ready.Where(c => c.State == ToolCallState.Started).ToHashSet();
        foreach (var call in ready)
        {
            call.State = ToolCallState.Started;
        }

        await run.SaveAsync(cancellationToken);
        using var slots = new SemaphoreSlim(settings.MaxParallelCalls);
        using var journal = new SemaphoreSlim(1);
        using var together = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        await Task.WhenAll(ready.Select(call => MakeOrStopAllAsync(call, repeated.Contains(call))).ToList());

        async Task MakeOrStopAllAsync(JournalToolCall call, bool isRepeated)
        {
            try
            {
                await MakeAsync(call, isRepeated);
            }
            catch (LeaseLostException)
            {
                // Nobody may write any more; the others stop too.
                await together.CancelAsync();
                throw;
            }
        }

        async Task MakeAsync(JournalToolCall call, bool isRepeated)
        {
            await slots.WaitAsync(together.Token);
            ToolCallOutput output;
            try
            {
                run.ThrowIfNotOwned();
                await tell(new RunToolCalled(call.CallId, call.Name, call.Arguments));
                var began = time.GetTimestamp();
                var tool = tools.Find(call.Name);
                output = await caller.CallAsync(run, call, tool, isRepeated, settings, together.Token);
                // A name that the model made up would be one more series of the metric each time.
                metrics.ToolCalled(tool?.Name ?? UnknownTool, output.IsError, time.GetElapsedTime(began));
            }
            finally
            {
                slots.Release();
            }

            // The journal belongs to one writer at a time.
            await journal.WaitAsync(together.Token);
            try
            {
                Keep(call, output);
                await run.SaveAsync(together.Token);
            }
            finally
            {
                journal.Release();
            }

            Log.ToolAnswered(log, run.ThreadId, call.CallId, call.Name, output.IsError, output.Output.Length);
            await tell(new RunToolAnswered(call.CallId, call.Name, output.IsError));
        }
    }

    private void Keep(JournalToolCall call, ToolCallOutput output)
    {
        call.IsError = output.IsError;
        if (output.Output.Length <= MaxKeptOutput)
        {
            call.State = ToolCallState.Answered;
            call.Output = output.Output;
        }
        else
        {
            call.State = ToolCallState.Started;
            _outputs[call.CallId] = output;
        }
    }

    private ToolCallOutput? Known(JournalToolCall call) =>
        call is { State: ToolCallState.Answered, Output: { } kept }
            ? new ToolCallOutput(call.CallId, call.Name, kept, call.IsError)
            : _outputs.GetValueOrDefault(call.CallId);
}
