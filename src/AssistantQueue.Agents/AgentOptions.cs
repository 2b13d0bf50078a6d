using Microsoft.Agents.AI;

namespace AssistantQueue;

/// <summary>The settings of <c>UseAgent()</c>. Bound to the section <c>Agent</c> below the queue's own, for example <c>AssistantQueue:Agent</c>; named by the queue. Read before each run.</summary>
public sealed class AgentOptions
{
    /// <summary>Gets or sets how many characters of JSON a thread's session may have.</summary>
    /// <remarks>
    /// 1,000 to 10,485,760. A session that has grown beyond is not kept: its reply is delivered, the next batch begins a new session, and a warning says so.
    /// Better than to raise it: give the agent a chat reducer. The next claim of the thread reads all of it.
    /// </remarks>
    /// <value>The default is 1,000,000.</value>
    public int MaxSessionCharacters { get; set; } = 1_000_000;

    /// <summary>Gets or sets what makes the options of a run, for example a kind that only the app's agent knows. In code only.</summary>
    /// <remarks>Called before each run; what it throws fails the attempt.</remarks>
    /// <value>The default is none: the agent's own.</value>
    public Func<BatchRun, AgentRunOptions?>? CreateRunOptions { get; set; }

    /// <summary>Gets or sets what says what the queue does about an exception of the agent; null leaves it to the queue. In code only.</summary>
    /// <inheritdoc cref="ChatClientOptions.ClassifyError" path="/remarks"/>
    /// <value>The default is none.</value>
    public Func<Exception, BackendErrorKind?>? ClassifyError { get; set; }

    /// <summary>Gets what was wrong with values of the configuration.</summary>
    internal IList<string> Faults { get; } = [];
}
