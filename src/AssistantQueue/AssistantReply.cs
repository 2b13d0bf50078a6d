using Microsoft.Extensions.AI;

namespace AssistantQueue;

/// <summary>The answer to one batch of messages.</summary>
public sealed record AssistantReply
{
    /// <summary>Gets the queue's name; empty for the unnamed queue.</summary>
    public string QueueName { get; init; } = "";

    /// <summary>Gets the thread.</summary>
    public required string ThreadId { get; init; }

    /// <summary>Gets the batch; the same each time the reply is delivered.</summary>
    public required string BatchId { get; init; }

    /// <summary>Gets the id of the run or response at the model API, when it has one.</summary>
    public string? RunId { get; init; }

    /// <summary>Gets the reply's text; empty when the model answered without text.</summary>
    /// <remarks>With the queue's backends it is all that the model said in the run, also before it called tools ("Let me look."), with a blank line between what stood apart. What it said beside its calls is missing where it is long (more than 64 kB a round) and the run went on with another owner or attempt, or the conversation was begun anew.</remarks>
    public required string Text { get; init; }

    /// <summary>Gets everything the model answered with, text included: the parts that <see cref="Text"/> is of, and files and images beside it.</summary>
    public IReadOnlyList<AIContent> Contents { get; init; } = [];

    /// <summary>Gets the ids of the messages that this reply answers, in their order.</summary>
    public required IReadOnlyList<string> MessageIds { get; init; }

    /// <summary>Gets the sequence number of the first message answered.</summary>
    public required long FirstSequence { get; init; }

    /// <summary>Gets the sequence number of the last message answered.</summary>
    public required long LastSequence { get; init; }

    /// <summary>Gets the tokens used, when the API says so.</summary>
    public UsageDetails? Usage { get; init; }

    /// <summary>Gets the model that answered, when the API says so.</summary>
    public string? Model { get; init; }

    /// <summary>Gets which attempt succeeded, from 1.</summary>
    public int Attempt { get; init; } = 1;

    /// <summary>Gets when the batch's run began, by Redis' clock.</summary>
    public DateTimeOffset StartedAt { get; init; }

    /// <summary>Gets when the reply was complete, by Redis' clock.</summary>
    public DateTimeOffset CompletedAt { get; init; }
}
