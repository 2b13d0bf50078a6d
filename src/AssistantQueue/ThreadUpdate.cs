namespace AssistantQueue;

/// <summary>Something that happened in a thread, as <see cref="IAssistantMessageQueue.WatchThreadAsync"/> yields it.</summary>
public abstract record ThreadUpdate
{
    /// <summary>Gets the thread.</summary>
    public required string ThreadId { get; init; }

    /// <summary>Gets the update's place in the thread's history; grows, and can be given to <see cref="IAssistantMessageQueue.WatchThreadAsync"/> as <c>after</c>.</summary>
    public required string Position { get; init; }
}

/// <summary>Messages were stored.</summary>
public sealed record MessagesStored : ThreadUpdate
{
    /// <summary>Gets the ids of the messages, in their order.</summary>
    public required IReadOnlyList<string> MessageIds { get; init; }

    /// <summary>Gets the sequence number of the first message stored.</summary>
    public required long FirstSequence { get; init; }

    /// <summary>Gets the sequence number of the last message stored.</summary>
    public required long LastSequence { get; init; }
}

/// <summary>A run began to answer a batch.</summary>
public sealed record BatchStarted : ThreadUpdate
{
    /// <summary>Gets the batch.</summary>
    public required string BatchId { get; init; }

    /// <summary>Gets the sequence number of the first message that the run answers.</summary>
    public required long FirstSequence { get; init; }

    /// <summary>Gets the sequence number of the last message that the run answers.</summary>
    public required long LastSequence { get; init; }

    /// <summary>Gets the ids of the messages that the run answers, in their order. Messages that join it later are told with <see cref="MessagesJoined"/>.</summary>
    public required IReadOnlyList<string> MessageIds { get; init; }

    /// <summary>Gets which attempt begins, from 1.</summary>
    public required int Attempt { get; init; }
}

/// <summary>Messages joined the run under way (<see cref="BusyAction.Steer"/>): it answers them too.</summary>
public sealed record MessagesJoined : ThreadUpdate
{
    /// <summary>Gets the batch.</summary>
    public required string BatchId { get; init; }

    /// <summary>Gets the ids of the messages that joined, in their order.</summary>
    public required IReadOnlyList<string> MessageIds { get; init; }

    /// <summary>Gets the sequence number of the first message that joined.</summary>
    public required long FirstSequence { get; init; }

    /// <summary>Gets the sequence number of the last message that joined.</summary>
    public required long LastSequence { get; init; }
}

/// <summary>A batch was answered.</summary>
public sealed record BatchReplied : ThreadUpdate
{
    /// <summary>Gets the reply.</summary>
    public required AssistantReply Reply { get; init; }
}

/// <summary>An attempt failed and the batch will be tried again.</summary>
public sealed record BatchRetrying : ThreadUpdate
{
    /// <summary>Gets the batch.</summary>
    public required string BatchId { get; init; }

    /// <summary>Gets when it is tried again, by Redis' clock.</summary>
    public required DateTimeOffset RetryAt { get; init; }
}

/// <summary>A batch was given up.</summary>
public sealed record BatchFailed : ThreadUpdate
{
    /// <summary>Gets the failed batch.</summary>
    public required FailedBatch Failure { get; init; }
}

/// <summary>More of a reply's text, as the model writes it. Told only while the run is under way; what is kept is the reply (<see cref="BatchReplied"/>), which has it too (<see cref="AssistantReply.Text"/>).</summary>
public sealed record TextDelta : ThreadUpdate
{
    /// <summary>Gets the batch.</summary>
    public required string BatchId { get; init; }

    /// <summary>Gets where the text begins in the run's text so far, in characters. Zero again when another attempt begins (<see cref="BatchStarted"/>).</summary>
    public required int Offset { get; init; }

    /// <summary>Gets what is new.</summary>
    public required string Text { get; init; }
}

/// <summary>Something is missing between the last update and the next one: a run told more than is kept for watchers that come late (64 kB; its answer comes with the reply), or the position that a watcher gave isn't in the kept history.</summary>
public sealed record UpdatesSkipped : ThreadUpdate
{
    /// <summary>Gets the batch whose run told more than is kept; null when the position isn't, or may not be, in the kept history: something between it and the oldest update that is kept may be missing.</summary>
    public string? BatchId { get; init; }
}

/// <summary>The model asked for a tool, and it is being called.</summary>
public sealed record ToolCalled : ThreadUpdate
{
    /// <summary>Gets the batch.</summary>
    public required string BatchId { get; init; }

    /// <summary>Gets the call's id.</summary>
    public required string CallId { get; init; }

    /// <summary>Gets the tool's name.</summary>
    public required string Name { get; init; }

    /// <summary>Gets the arguments: a JSON object.</summary>
    public string? Arguments { get; init; }
}

/// <summary>A tool call ended. One that was rejected, or that nobody approved in time, ends as an error without having been called.</summary>
public sealed record ToolAnswered : ThreadUpdate
{
    /// <summary>Gets the batch.</summary>
    public required string BatchId { get; init; }

    /// <summary>Gets the call's id.</summary>
    public required string CallId { get; init; }

    /// <summary>Gets the tool's name.</summary>
    public required string Name { get; init; }

    /// <summary>Gets a value indicating whether it failed.</summary>
    public required bool IsError { get; init; }
}

/// <summary>Tool calls wait for approval; the batch rests until each is decided with <see cref="IAssistantQueueAdmin.ApproveAsync"/> or <see cref="IAssistantQueueAdmin.RejectAsync"/>.</summary>
public sealed record ApprovalRequested : ThreadUpdate
{
    /// <summary>Gets the batch.</summary>
    public required string BatchId { get; init; }

    /// <summary>Gets the calls that wait.</summary>
    public required IReadOnlyList<ToolCalled> Calls { get; init; }
}

/// <summary>A newer message interrupted the run. Its messages are answered by the next run, together with the newer ones.</summary>
public sealed record BatchInterrupted : ThreadUpdate
{
    /// <summary>Gets the batch.</summary>
    public required string BatchId { get; init; }

    /// <summary>Gets the sequence number of the first message concerned.</summary>
    public required long FirstSequence { get; init; }

    /// <summary>Gets the sequence number of the last message concerned.</summary>
    public required long LastSequence { get; init; }

    /// <summary>Gets what the run had written by then, at most its last 16,384 characters. Empty when that isn't known: the run's worker died meanwhile, or its backend tells no text while the run is under way (OpenAI that is polled, not streamed).</summary>
    public string Text { get; init; } = "";

    /// <summary>Gets where <see cref="Text"/> begins in the run's text, in characters; zero when it is all of it.</summary>
    public int TextOffset { get; init; }
}
