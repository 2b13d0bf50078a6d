namespace AssistantQueue.Emulators;

/// <summary>One request as it arrived, and what it was answered.</summary>
public sealed record LedgerRequest
{
    /// <summary>Gets the position in the ledger; requests, starts and ends of runs share one count.</summary>
    public required long Sequence { get; init; }

    /// <summary>Gets when the request had been read.</summary>
    public required DateTimeOffset ArrivedAt { get; init; }

    /// <summary>Gets the operation, for example <c>create_run</c> or <c>create_response</c>; <c>unknown</c> for a path that doesn't exist.</summary>
    public required string Operation { get; init; }

    /// <summary>Gets the HTTP method.</summary>
    public required string Method { get; init; }

    /// <summary>Gets the path and query.</summary>
    public required string Path { get; init; }

    /// <summary>Gets the id of the thread or conversation in the path or body.</summary>
    public string? ConversationId { get; init; }

    /// <summary>Gets the run or response that was made or asked about.</summary>
    public string? RunId { get; init; }

    /// <summary>Gets the body's metadata.</summary>
    public IReadOnlyDictionary<string, string>? Metadata { get; init; }

    /// <summary>Gets the texts of the user's messages in the body, in order, accepted or not.</summary>
    public IReadOnlyList<string> Texts { get; init; } = [];

    /// <summary>Gets the raw body when <see cref="OpenAIEmulatorOptions.KeepBodies"/> is on.</summary>
    public string? Body { get; init; }

    /// <summary>Gets when the answer was finished or given up.</summary>
    public DateTimeOffset? AnsweredAt { get; init; }

    /// <summary>Gets the status that was answered; null while it is under way, after a cut connection, or when the emulator was killed.</summary>
    public int? Status { get; init; }

    /// <summary>Gets the code, or else the message, of the error that was answered.</summary>
    public string? Error { get; init; }

    /// <summary>Gets the kind of the fault that struck.</summary>
    public string? Fault { get; init; }
}

/// <summary>One run or response that the service accepted.</summary>
public sealed record LedgerRun
{
    /// <summary>Gets the position in the ledger at which it began.</summary>
    public required long Sequence { get; init; }

    /// <summary>Gets the run or response id.</summary>
    public required string Id { get; init; }

    /// <summary>Gets <c>assistants</c> or <c>responses</c>.</summary>
    public required string Api { get; init; }

    /// <summary>Gets the thread or conversation id; null for a response without conversation.</summary>
    public string? ConversationId { get; init; }

    /// <summary>Gets the response it continues.</summary>
    public string? PreviousResponseId { get; init; }

    /// <summary>Gets the app's name of the thread: metadata <c>thread_key</c>, else the thread or conversation id, else the id of the chain's first response.</summary>
    public required string ThreadKey { get; init; }

    /// <summary>Gets metadata <c>batch_id</c>.</summary>
    public string? BatchId { get; init; }

    /// <summary>Gets all metadata.</summary>
    public IReadOnlyDictionary<string, string>? Metadata { get; init; }

    /// <summary>Gets the instructions that the model got.</summary>
    public string? Instructions { get; init; }

    /// <summary>Gets the texts of the user's messages that came with it, in order.</summary>
    public IReadOnlyList<string> Texts { get; init; } = [];

    /// <summary>Gets the tool outputs that it was given, by call id.</summary>
    public IReadOnlyDictionary<string, string>? ToolOutputs { get; init; }

    /// <summary>Gets when it was accepted.</summary>
    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>Gets when the model began.</summary>
    public DateTimeOffset? StartedAt { get; init; }

    /// <summary>Gets when it ended.</summary>
    public DateTimeOffset? EndedAt { get; init; }

    /// <summary>Gets the position in the ledger at which it ended.</summary>
    public long? EndSequence { get; init; }

    /// <summary>Gets its last known status; <c>lost</c> for a response that ended with its client's connection.</summary>
    public required string Status { get; init; }

    /// <summary>Gets a value indicating whether its messages stayed in the conversation's history.</summary>
    public bool Kept { get; init; }
}

/// <summary>One user's message that the service accepted, with a run or on its own.</summary>
public sealed record LedgerMessage
{
    /// <summary>Gets the position in the ledger at which it was accepted.</summary>
    public required long Sequence { get; init; }

    /// <summary>Gets the text; parts are joined by a line break, other content is named in brackets.</summary>
    public required string Text { get; init; }

    /// <summary>Gets the app's name of the thread, as in <see cref="LedgerRun.ThreadKey"/>.</summary>
    public required string ThreadKey { get; init; }

    /// <summary>Gets the thread or conversation id.</summary>
    public string? ConversationId { get; init; }

    /// <summary>Gets the run or response that it came with; null when it was added on its own.</summary>
    public string? RunId { get; init; }

    /// <summary>Gets the batch that it came with.</summary>
    public string? BatchId { get; init; }

    /// <summary>Gets the message's own metadata.</summary>
    public IReadOnlyDictionary<string, string>? Metadata { get; init; }

    /// <summary>Gets a value indicating whether it is part of the history that the model sees later.</summary>
    public bool Kept { get; init; }
}

/// <summary>Two runs of one thread that were under way at the same time.</summary>
/// <param name="ThreadKey">The app's name of the thread.</param>
/// <param name="First">The run that was under way.</param>
/// <param name="Second">The run that began before the first had ended.</param>
public sealed record LedgerOverlap(string ThreadKey, string First, string Second);
