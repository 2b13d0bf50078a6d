using System.Text.Json.Serialization;

namespace AssistantQueue;

/// <summary>What an owner has written down about its run, so that the next owner can go on. Stored under the fence by <see cref="BatchRun.SaveAsync"/>.</summary>
/// <remarks>Not thread-safe: only the run that owns it changes it.</remarks>
public sealed class RunJournal
{
    /// <summary>The version that this library writes and the newest it can read.</summary>
    public const int CurrentVersion = 1;

    /// <summary>Gets or sets the journal's version.</summary>
    public int Version { get; set; } = CurrentVersion;

    /// <summary>Gets or sets when the current attempt's run began, by Redis' clock, which all workers share; <see cref="AssistantQueueOptions.RunTimeout"/> counts from here, also after an adoption.</summary>
    public DateTimeOffset StartedAt { get; set; }

    /// <summary>Gets or sets the instructions, sealed when the batch was first run; messages that join the run add theirs.</summary>
    public string? Instructions { get; set; }

    /// <summary>Gets or sets the model or assistant, sealed when the batch is run. An attempt that left nothing at the API is followed by one that takes it from the settings again.</summary>
    public string? Model { get; set; }

    /// <summary>Gets or sets the sequence number up to which the API has the batch's messages; they are never posted again.</summary>
    /// <value>Zero when the API has none.</value>
    public long PostedThrough { get; set; }

    /// <summary>Gets or sets a value indicating whether another process can go on with the run by its id. Such a run is released at once when its worker stops, and taking it over is no death.</summary>
    public bool IsAdoptable { get; set; }

    /// <summary>Gets or sets how often a newer message interrupted the batch.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public int Interruptions { get; set; }

    /// <summary>Gets or sets a value indicating whether the run is being interrupted: written before it is cancelled at the API, so that the next owner does not take that for a failure.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool IsInterrupting { get; set; }

    /// <summary>Gets the posts of the current attempt, oldest first.</summary>
    public IList<JournalRound> Rounds { get; init; } = [];

    /// <summary>Gets what else the backend wants to remember about the batch.</summary>
    public IDictionary<string, string> Notes { get; init; } = new Dictionary<string, string>(StringComparer.Ordinal);

    /// <summary>Gets a value indicating whether the last post's outcome is unknown: it was about to be sent and no id came back.</summary>
    [JsonIgnore]
    public bool IsOutcomeUnknown => Rounds is [.., { RunId: null }];

    /// <summary>Gets the last round, or null.</summary>
    [JsonIgnore]
    public JournalRound? LastRound => Rounds is [.., var last] ? last : null;

    /// <summary>Forgets the attempt that ended with a known outcome; what the API has stays known, and with it the model that it was sent to.</summary>
    public void BeginNextAttempt()
    {
        if (PostedThrough == 0)
        {
            // A mistyped model must not outlive the setting that it came from.
            Model = null;
        }

        Rounds.Clear();
        IsAdoptable = false;
        StartedAt = default;
    }
}

/// <summary>One post of a run: the first, or one that hands in tool outputs.</summary>
public sealed class JournalRound
{
    /// <summary>Gets or sets when the post was about to be sent, by the worker's clock. Written before it is sent.</summary>
    public DateTimeOffset PostingAt { get; set; }

    /// <summary>Gets or sets the conversation's last item, or the thread's last run, before the post.</summary>
    public string? LastItemSeen { get; set; }

    /// <summary>Gets or sets the run's or response's id; null while the post's outcome is unknown.</summary>
    public string? RunId { get; set; }

    /// <summary>Gets or sets the sequence number of the last message that this post carries: what the API has once the post is known to have been taken. Zero in a journal of an older version: the batch's last.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public long Through { get; set; }

    /// <summary>Gets the tool calls that the model asked for in this round.</summary>
    public IList<JournalToolCall> Calls { get; init; } = [];
}

/// <summary>A tool call of a round.</summary>
public sealed class JournalToolCall
{
    /// <summary>Gets or sets the API's id of the call, the same when it is made again.</summary>
    public required string CallId { get; set; }

    /// <summary>Gets or sets the tool's name.</summary>
    public required string Name { get; set; }

    /// <summary>Gets or sets the arguments: a JSON object, as the model gave it.</summary>
    public string? Arguments { get; set; }

    /// <summary>Gets or sets how far the call is.</summary>
    public ToolCallState State { get; set; }

    /// <summary>Gets or sets when the call began to wait for approval, by the worker's clock.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public DateTimeOffset? AskedAt { get; set; }

    /// <summary>Gets or sets the output, once answered.</summary>
    public string? Output { get; set; }

    /// <summary>Gets or sets a value indicating whether the output says what went wrong.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool IsError { get; set; }
}

/// <summary>How far a tool call is.</summary>
public enum ToolCallState
{
    /// <summary>Asked for by the model; nothing done yet.</summary>
    NotStarted,

    /// <summary>The tool was about to be called; whether it did its work is not known.</summary>
    Started,

    /// <summary>The output is known.</summary>
    Answered,

    /// <summary>Somebody has to approve it first.</summary>
    AwaitingApproval,
}
