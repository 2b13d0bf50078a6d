using AssistantQueue.Emulators;
using AssistantQueue.OpenAI;

namespace AssistantQueue.IntegrationTests.Faults;

/// <summary>The way of one batch (or two) through the queue, at each of whose calls the owner is killed. A new call is covered when a scenario makes it.</summary>
internal sealed record CrashScenario
{
    public required string Name { get; init; }

    /// <summary>Gets the API's settings.</summary>
    public required Action<OpenAIOptions> OpenAI { get; init; }

    /// <summary>Gets the queue's settings.</summary>
    public Action<AssistantQueueOptions> Queue { get; init; } = _ => { };

    /// <summary>Gets the emulator's settings.</summary>
    public Action<OpenAIEmulatorOptions> Emulator { get; init; } = _ => { };

    /// <summary>Gets what goes wrong at the API, once a thread.</summary>
    public OpenAIFault? Fault { get; init; }

    /// <summary>Gets what is behind each message's text: a line that steers the model.</summary>
    public string Command { get; init; } = "";

    /// <summary>Gets a value indicating whether a third message arrives while the first two are run.</summary>
    public bool HasFollower { get; init; }

    /// <summary>Gets what that third message does to their run.</summary>
    public BusyAction FollowerDoes { get; init; }

    /// <summary>Gets the calls during whose first the third message arrives; none is the first post of a run.</summary>
    public IReadOnlyList<string> FollowsAt { get; init; } = [];

    /// <summary>Gets a value indicating whether the model has a tool, <c>look</c>.</summary>
    public bool HasTool { get; init; }

    /// <summary>Gets a value indicating whether somebody has to approve the tool's calls; somebody does.</summary>
    public bool NeedsApproval { get; init; }

    /// <summary>Gets what the handler throws at: the n-th time that a thread's replies or failures are offered.</summary>
    public Func<int, bool> HandlerRefuses { get; init; } = _ => false;

    /// <summary>Gets the call to the API during which the owner's host is told to stop.</summary>
    public string? StopsAt { get; init; }

    /// <summary>Gets where an earlier owner died already.</summary>
    public CrashPoint? DiedBefore { get; init; }

    /// <summary>Gets the calls that have to be among the crash points: what the scenario is for.</summary>
    public required IReadOnlyList<string> MustPass { get; init; }

    /// <summary>Gets a value indicating whether the batch is given up instead of answered.</summary>
    public bool EndsAsFailure { get; init; }

    /// <summary>Gets a value indicating whether handlers never take it, and it ends in the failed store.</summary>
    public bool DeliveryIsAbandoned { get; init; }

    /// <summary>Gets a value indicating whether the branches of a chain are separate: then only the branch that goes on has each message once.</summary>
    public bool IsChain { get; init; }

    /// <summary>Gets a value indicating whether the answer to the post is a stream, in whose middle the owner dies too.</summary>
    public bool IsStreamed { get; init; }

    /// <summary>Gets a value indicating whether a response ends with its owner's connection, so that its messages are sent again.</summary>
    public bool EndsWithOwner { get; init; }

    public override string ToString() => Name;
}
