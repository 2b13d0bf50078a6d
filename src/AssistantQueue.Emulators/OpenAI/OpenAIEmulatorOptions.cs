namespace AssistantQueue.Emulators;

/// <summary>What the OpenAI emulator is like: where it listens, how long the model thinks, and how it behaves where the real service isn't documented.</summary>
/// <remarks>The properties below <see cref="Latency"/> are read at each request and may be changed while the emulator runs, from any thread.</remarks>
public sealed class OpenAIEmulatorOptions
{
    /// <summary>Gets or sets the IP address to listen on.</summary>
    /// <value>The default is 127.0.0.1. Another address lets other machines in: the emulator guards nothing of worth.</value>
    public string Address { get; set; } = "127.0.0.1";

    /// <summary>Gets or sets the TCP port to listen on.</summary>
    /// <value>The default is 0: the system picks a free one (see <see cref="OpenAIEmulator.BaseUrl"/>).</value>
    public int Port { get; set; }

    /// <summary>Gets or sets the folder that holds the state and the ledger, so that both survive a kill of the process.</summary>
    /// <value>The default is <see langword="null"/>: in memory only. One running emulator a folder.</value>
    public string? DataDirectory { get; set; }

    /// <summary>Gets the keys that are accepted.</summary>
    /// <value>Empty by default: any key that isn't empty is accepted; a request without one is answered 401.</value>
    public IList<string> ApiKeys { get; } = [];

    /// <summary>Gets the models (on the Azure routes: deployments) that exist.</summary>
    /// <value>Empty by default: every name is a model; otherwise others are answered 404 <c>model_not_found</c>.</value>
    public IList<string> Models { get; } = [];

    /// <summary>Gets the assistants that exist.</summary>
    /// <value>Empty by default: every id is an assistant; otherwise others are answered 404.</value>
    public IList<string> AssistantIds { get; } = [];

    /// <summary>Gets the types of the tools that each assistant has, for example <c>file_search</c>. Nobody calls them; a run's own tools replace them.</summary>
    /// <value>Empty by default.</value>
    public IList<string> AssistantTools { get; } = [];

    /// <summary>Gets or sets how long the model thinks before its answer begins.</summary>
    /// <value>The default is zero.</value>
    public TimeSpan Latency { get; set; }

    /// <summary>Gets or sets the most that is added to <see cref="Latency"/> at random (evenly spread, from <see cref="Seed"/>).</summary>
    /// <value>The default is zero.</value>
    public TimeSpan LatencyJitter { get; set; }

    /// <summary>Gets or sets how long runs and background responses stay <c>queued</c>.</summary>
    /// <value>The default is zero.</value>
    public TimeSpan QueueTime { get; set; }

    /// <summary>Gets or sets the pause between two words of an answer.</summary>
    /// <value>The default is zero.</value>
    public TimeSpan DeltaPause { get; set; }

    /// <summary>Gets or sets how long a run stays <c>cancelling</c>.</summary>
    /// <value>The default is zero.</value>
    public TimeSpan CancelTime { get; set; }

    /// <summary>Gets or sets the seed of <see cref="LatencyJitter"/>.</summary>
    /// <value>The default is 1.</value>
    public int Seed { get; set; } = 1;

    /// <summary>Gets or sets when a response's input shows up in its conversation.</summary>
    /// <value>The default is <see cref="ItemsVisible.AtCompletion"/>. The real service doesn't document it.</value>
    public ItemsVisible ItemsVisible { get; set; } = ItemsVisible.AtCompletion;

    /// <summary>Gets or sets a value indicating whether a background response locks its conversation until it has ended.</summary>
    /// <value>The default is <see langword="true"/>. The real service doesn't document it.</value>
    public bool BackgroundLocksConversation { get; set; } = true;

    /// <summary>Gets or sets what becomes of a streamed response without <c>background</c> when its client goes away.</summary>
    /// <value>The default is <see cref="LostClient.Ends"/>; reports about the real service differ.</value>
    public LostClient LostStream { get; set; } = LostClient.Ends;

    /// <summary>Gets or sets what becomes of a response that is neither streamed nor in the background when its client goes away.</summary>
    /// <value>The default is <see cref="LostClient.Completes"/>. The real service doesn't document it.</value>
    public LostClient LostForeground { get; set; } = LostClient.Completes;

    /// <summary>Gets or sets a value indicating whether a failed or cancelled response leaves its input in the conversation (with <see cref="ItemsVisible.AtCompletion"/>).</summary>
    /// <value>The default is <see langword="false"/>. The real service doesn't document it.</value>
    public bool FailedKeepsInput { get; set; }

    /// <summary>Gets or sets how long after its creation a run shows up in its thread's list of runs; by its id it is there at once.</summary>
    /// <value>The default is zero. The real service doesn't document it.</value>
    public TimeSpan RunsListedAfter { get; set; }

    /// <summary>Gets or sets a value indicating whether the last event of an incomplete run is named <c>thread.run.completed</c>, as was recorded from the real service.</summary>
    /// <value>The default is <see langword="false"/>: <c>thread.run.incomplete</c>, as published.</value>
    public bool IncompleteRunSaysCompleted { get; set; }

    /// <summary>Gets or sets a value indicating whether the Azure routes (<c>/openai/v1</c>) have conversations.</summary>
    /// <value>The default is <see langword="false"/>, as on Azure's resource endpoints: 404.</value>
    public bool AzureHasConversations { get; set; }

    /// <summary>Gets or sets a value indicating whether the Assistants API (threads and runs) is there.</summary>
    /// <value>The default is <see langword="true"/>; <see langword="false"/> answers 404 as OpenAI does since August 2026.</value>
    public bool HasAssistants { get; set; } = true;

    /// <summary>Gets or sets a value indicating whether <c>/v1/conversations</c> is there.</summary>
    /// <value>The default is <see langword="true"/>.</value>
    public bool HasConversations { get; set; } = true;

    /// <summary>Gets or sets a value indicating whether lines such as <c>/slow 5</c>, <c>/fail</c> and <c>/tool name {}</c> in a user's message steer the model.</summary>
    /// <value>The default is <see langword="true"/>.</value>
    public bool Commands { get; set; } = true;

    /// <summary>Gets or sets a value indicating whether the ledger keeps the raw body of every request.</summary>
    /// <value>The default is <see langword="false"/>.</value>
    public bool KeepBodies { get; set; }
}

/// <summary>When a response's input shows up in its conversation.</summary>
public enum ItemsVisible
{
    /// <summary>Together with the output, when the response has completed.</summary>
    AtCompletion,

    /// <summary>As soon as the response has been accepted.</summary>
    AtOnce,
}

/// <summary>What becomes of a response whose client went away before its end.</summary>
public enum LostClient
{
    /// <summary>Generation stops and nothing is left: the id is answered 404, the conversation is as before.</summary>
    Ends,

    /// <summary>Generation stops; the response is kept as <c>incomplete</c> with what there was, and enters the conversation.</summary>
    Incomplete,

    /// <summary>Generation goes on to its end, and the response enters the conversation.</summary>
    Completes,
}
