using Microsoft.Extensions.AI;

namespace AssistantQueue;

/// <summary>Something that a backend tells about a run.</summary>
public abstract record RunUpdate;

/// <summary>The run has an id at the API.</summary>
/// <param name="RunId">The run's or response's id.</param>
public sealed record RunStarted(string RunId) : RunUpdate;

/// <summary>More of the reply's text.</summary>
/// <param name="Text">What is new.</param>
public sealed record RunTextDelta(string Text) : RunUpdate;

/// <summary>A tool is about to be called. <see cref="IRunTools"/> tells this by itself; only a backend whose model client calls tools on its own yields it.</summary>
/// <param name="CallId">The call's id.</param>
/// <param name="Name">The tool's name.</param>
/// <param name="Arguments">The arguments: a JSON object.</param>
public sealed record RunToolCalled(string CallId, string Name, string? Arguments) : RunUpdate;

/// <summary>A tool call ended. <see cref="IRunTools"/> tells this by itself; only a backend whose model client calls tools on its own yields it.</summary>
/// <param name="CallId">The call's id.</param>
/// <param name="Name">The tool's name.</param>
/// <param name="IsError">Whether it failed.</param>
public sealed record RunToolAnswered(string CallId, string Name, bool IsError) : RunUpdate;

/// <summary>The run is over and this is the reply. The last update of a run.</summary>
public sealed record RunCompleted : RunUpdate
{
    /// <summary>Gets the reply's text, with what was told before (<see cref="RunTextDelta"/>): watchers that come later get nothing else of it. Empty when the model answered without text.</summary>
    public required string Text { get; init; }

    /// <summary>Gets everything the model answered with; when empty, the text alone.</summary>
    public IReadOnlyList<AIContent> Contents { get; init; } = [];

    /// <summary>Gets the run's or response's id.</summary>
    public string? RunId { get; init; }

    /// <summary>Gets the model that answered.</summary>
    public string? Model { get; init; }

    /// <summary>Gets the tokens used.</summary>
    public UsageDetails? Usage { get; init; }
}
