using System.Globalization;
using System.Text.Json;
using AssistantQueue.OpenAI.Content;
using AssistantQueue.OpenAI.Errors;
using AssistantQueue.OpenAI.Polling;
using Microsoft.Extensions.Logging;

namespace AssistantQueue.OpenAI;

/// <summary>What both APIs' runs need: the batch, the settings as they are now, the clock, and the way to tell what happens.</summary>
internal sealed class RunContext(
    BatchRun run,
    OpenAIOptions options,
    AssistantQueueOptions queueOptions,
    string settingsPath,
    TimeProvider time,
    ILogger logger,
    Func<RunUpdate, ValueTask> tell,
    Func<Task> allTold)
{
    public BatchRun Run { get; } = run;

    public RunJournal Journal => Run.Journal;

    public OpenAIOptions Options { get; } = options;

    public AssistantQueueOptions Queue { get; } = queueOptions;

    public TimeProvider Time { get; } = time;

    public ILogger Logger { get; } = logger;

    /// <summary>Gets where the settings lie, as they are named in messages.</summary>
    public string SettingsPath { get; } = settingsPath;

    public RunPoll Poll { get; } = new(time, options, logger, () => run.Journal.Rounds.Count > 0);

    public string ThreadId => Run.ThreadId;

    /// <summary>Gets the tool calls that the history lacks the outputs of.</summary>
    public OpenCalls Calls { get; } = new(run.Journal);

    /// <summary>Gets the newest id in the journal; with Assistants the run's, whose rounds all have the same.</summary>
    public string? RunId => Journal.Rounds.LastOrDefault(round => round.RunId is not null)?.RunId;

    public long LastSequence => Run.Messages[^1].Sequence;

    public ValueTask TellAsync(RunUpdate update) => tell(update);

    /// <summary>Writes what the API keeps with the run, and what <see cref="JournalRound"/>s are found by.</summary>
    public void WriteMetadata(Utf8JsonWriter json, IEnumerable<KeyValuePair<string, string>>? more = null)
    {
        var pairs = new Dictionary<string, string>(StringComparer.Ordinal) { [RunMetadata.BatchId] = Run.BatchId, [RunMetadata.ThreadKey] = RunMetadata.Cut(Run.ThreadId) };
        if (Run.QueueName.Length > 0)
        {
            pairs[RunMetadata.Queue] = RunMetadata.Cut(Run.QueueName);
        }

        foreach (var (key, value) in more ?? [])
        {
            if (pairs.Count < RunMetadata.MaxPairs)
            {
                pairs.TryAdd(key, value);
            }
        }

        RunMetadata.Write(json, pairs);
    }

    /// <summary>Makes sure that the API takes what the next post carries: a producer without the backend could not.</summary>
    /// <exception cref="AssistantBackendException">It doesn't: the batch's own, permanent fault.</exception>
    public void CheckContents(OpenAIApi api)
    {
        foreach (var message in Run.Messages.Where(m => m.Sequence > Journal.PostedThrough))
        {
            if (ContentRules.Fault(api, message.Contents) is { } fault)
            {
                throw new AssistantBackendException(BackendErrorKind.Permanent, $"{fault}. It was not sent (message '{message.MessageId}').") { Code = "unsupported_content" };
            }
        }
    }

    /// <summary>Writes down that a post is about to be sent, and makes sure that this process may still send it.</summary>
    public async Task<JournalRound> BeginRoundAsync(string? lastItemSeen, CancellationToken cancellationToken)
    {
        var round = new JournalRound { PostingAt = Time.GetUtcNow(), LastItemSeen = lastItemSeen, Through = LastSequence };
        Journal.Rounds.Add(round);
        Journal.IsAdoptable = false;
        try
        {
            await Run.SaveAsync(cancellationToken);
            Run.ThrowIfNotOwned();
            return round;
        }
        catch
        {
            // nothing was sent, whether or not it is written down
            Refused(round);
            throw;
        }
    }

    /// <summary>A post is known to have been taken: the API has what it carried.</summary>
    public void Taken(JournalRound round)
    {
        var through = round.Through > 0 ? round.Through : LastSequence;
        Journal.PostedThrough = Math.Max(Journal.PostedThrough, through);
        Journal.Notes.Remove(StateNames.GivenUp);
    }

    /// <summary>Takes back a post that the API has refused: its outcome is known.</summary>
    public void Refused(JournalRound round)
    {
        Journal.Rounds.Remove(round);
        if (Journal.PostedThrough == 0 && Journal.Rounds.Count == 0)
        {
            // nothing is under way that the sealed model would have to stay the same for
            Journal.Model = null;
        }
    }

    /// <summary>The run has ended: nothing is left to look for.</summary>
    public void Ended()
    {
        Journal.Rounds.Clear();
        Journal.IsAdoptable = false;
    }

    /// <summary>The outputs that the next post carries: those that an earlier attempt left owing, then those of the last round that asked. Calls the tools that have no output yet.</summary>
    /// <exception cref="ApprovalPendingException">A call waits for approval.</exception>
    /// <exception cref="AssistantBackendException">The model asked too often.</exception>
    public async Task<IReadOnlyList<ToolCallOutput>> OutputsAsync(CancellationToken cancellationToken)
    {
        if (Calls.Asked is not { } asked)
        {
            return [];
        }

        // not: adoptable, because the API waits
        // but: a tool that kills its process must count as a death, and a stop lets tools end
        Journal.IsAdoptable = false;
        // tools are told of directly, and what the model said before it called them comes first
        await allTold();
        return await Run.Tools.CallAsync(Run, asked, cancellationToken);
    }

    /// <summary>Whether any of these tools is one of the queue's. Unknown ones among known ones are answered as errors.</summary>
    public bool HasAnyTool(IEnumerable<JournalToolCall> calls) => calls.Any(call => Run.Tools.Functions.Any(f => f.Name == call.Name));

    /// <summary>What the queue gets to see of a failed call. Rounds that are still in the journal have an unknown outcome, or a run that goes on.</summary>
    public AssistantBackendException Failure(ApiError error, Exception? cause = null) => Failure(ErrorMap.Classify(error), error, cause);

    public AssistantBackendException Failure(BackendErrorKind kind, ApiError error, Exception? cause = null)
    {
        var code = error.Code is null ? "" : $" ({error.Code})";
        var answer = error.Status switch
        {
            0 => "",
            < 300 => $"The run failed{code}: ",
            _ => $"The API answered {error.Status}{code}: ",
        };
        var setting = kind == BackendErrorKind.BackendUnavailable ? ErrorMap.SettingAtFault(error) : null;
        if (setting is "Model" or "AssistantId")
        {
            // not: keep the sealed model
            // but: it is mistyped or retired, and the setting that mends it must count
            Journal.Model = null;
        }

        var hint = setting is null ? "" : $" Look at {NameOf(setting)}.";
        return new(kind, $"{answer}{error.Message}{hint}", cause)
        {
            Status = error.Status < 300 ? null : error.Status,
            Code = error.Code,
            RetryAfter = error.RetryAfter,
            IsOutcomeUnknown = Journal.Rounds.Count > 0,
        };
    }

    // what signs in and where it leads may come from elsewhere than the setting that usually says so
    private string NameOf(string setting) => setting switch
    {
        "Endpoint" when Options.AzureEndpoint is not null => $"{SettingsPath}:AzureEndpoint",
        "ApiKey" when Options.AzureEndpoint is not null && string.IsNullOrEmpty(Options.ApiKey) => "the TokenCredential in DI",
        "ApiKey" or "Endpoint" when Options.AzureEndpoint is null && string.IsNullOrEmpty(Options.ApiKey) => "the OpenAIClient in DI",
        _ => $"{SettingsPath}:{setting}",
    };

    public AssistantBackendException Failure(BackendErrorKind kind, string message) =>
        new(kind, message) { IsOutcomeUnknown = Journal.Rounds.Count > 0 };

    /// <summary>Waits before the next look for a post of unknown outcome; false when <see cref="AssistantQueueOptions.UnknownOutcomeWait"/> is over.</summary>
    public async Task<bool> WaitForLookAsync(JournalRound round, int look, CancellationToken cancellationToken)
    {
        // not: from the journal's time
        // but: what was waited, by whomever; the owner that posted may have had a clock that goes a minute after this one's
        var waited = WaitedFor(round);
        var left = Queue.UnknownOutcomeWait - waited;
        if (left <= TimeSpan.Zero)
        {
            return false;
        }

        var pause = PollPauses.Next(look, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(10), Random.Shared.NextDouble());
        var since = Time.GetTimestamp();
        try
        {
            await Task.Delay(pause < left ? pause : left, Time, cancellationToken);
        }
        finally
        {
            Journal.Notes[StateNames.Waited] = $"{Name(round)} {(waited + Time.GetElapsedTime(since)).Ticks}";
        }

        return true;
    }

    /// <summary>A post is known to have ended, and what it carried was not found: the next one carries it again.</summary>
    /// <param name="reason">Why it ended.</param>
    public void GivenUp(string reason)
    {
        if (Run.UnpostedInputs.Count > 0 || Calls.Open.Count > 0)
        {
            Journal.Notes[StateNames.GivenUp] = reason;
        }
    }

    /// <summary>Counts a post that carries what an earlier one carried. Before it is sent and written down, so that an owner that dies with it has counted it.</summary>
    /// <param name="carriesAnything">Whether it carries messages or outputs of tools.</param>
    /// <param name="api">The API.</param>
    public void CountIfAgain(bool carriesAnything, string api)
    {
        if (carriesAnything && AgainBecause() is { } reason)
        {
            Log.PostedAgain(Logger, ThreadId, Run.BatchId, reason);
            RunMetrics.PostedAgain.Add(
                1,
                new KeyValuePair<string, object?>("queue", Run.QueueName),
                new KeyValuePair<string, object?>("api", api),
                new KeyValuePair<string, object?>("reason", reason));
        }
    }

    private string? AgainBecause()
    {
        if (Journal.LastRound is not { RunId: null, Calls.Count: 0 } unknown)
        {
            return Journal.Notes.Remove(StateNames.GivenUp, out var reason) ? reason : null;
        }

        // what takes its place may be refused, because the conversation is locked: that is one post too many at most, however often it is tried
        var name = Name(unknown);
        var isCounted = Journal.Notes.TryGetValue(StateNames.Counted, out var counted) && counted == name;
        Journal.Notes[StateNames.Counted] = name;
        return isCounted ? null : RunMetrics.UnknownOutcome;
    }

    private TimeSpan WaitedFor(JournalRound round) =>
        Journal.Notes.TryGetValue(StateNames.Waited, out var note) && note.Split(' ') is [var name, var ticks] && name == Name(round)
            && long.TryParse(ticks, CultureInfo.InvariantCulture, out var waited)
            ? TimeSpan.FromTicks(waited)
            : TimeSpan.Zero;

    private static string Name(JournalRound round) => round.PostingAt.ToString("O", CultureInfo.InvariantCulture);
}
