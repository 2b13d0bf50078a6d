namespace AssistantQueue.Emulators;

/// <summary>The settings of a running emulator that another process may change; null leaves one as it is.</summary>
/// <remarks>See <see cref="OpenAIEmulatorOptions"/> for what each means. Times are whole or fractional milliseconds.</remarks>
public sealed record EmulatorSettings
{
    /// <summary>Gets <see cref="OpenAIEmulatorOptions.Latency"/> in milliseconds.</summary>
    public double? LatencyMs { get; init; }

    /// <summary>Gets <see cref="OpenAIEmulatorOptions.LatencyJitter"/> in milliseconds.</summary>
    public double? LatencyJitterMs { get; init; }

    /// <summary>Gets <see cref="OpenAIEmulatorOptions.QueueTime"/> in milliseconds.</summary>
    public double? QueueTimeMs { get; init; }

    /// <summary>Gets <see cref="OpenAIEmulatorOptions.DeltaPause"/> in milliseconds.</summary>
    public double? DeltaPauseMs { get; init; }

    /// <summary>Gets <see cref="OpenAIEmulatorOptions.CancelTime"/> in milliseconds.</summary>
    public double? CancelTimeMs { get; init; }

    /// <summary>Gets <see cref="OpenAIEmulatorOptions.ItemsVisible"/>.</summary>
    public ItemsVisible? ItemsVisible { get; init; }

    /// <summary>Gets <see cref="OpenAIEmulatorOptions.BackgroundLocksConversation"/>.</summary>
    public bool? BackgroundLocksConversation { get; init; }

    /// <summary>Gets <see cref="OpenAIEmulatorOptions.LostStream"/>.</summary>
    public LostClient? LostStream { get; init; }

    /// <summary>Gets <see cref="OpenAIEmulatorOptions.LostForeground"/>.</summary>
    public LostClient? LostForeground { get; init; }

    /// <summary>Gets <see cref="OpenAIEmulatorOptions.FailedKeepsInput"/>.</summary>
    public bool? FailedKeepsInput { get; init; }

    /// <summary>Gets <see cref="OpenAIEmulatorOptions.RunsListedAfter"/> in milliseconds.</summary>
    public double? RunsListedAfterMs { get; init; }

    /// <summary>Gets <see cref="OpenAIEmulatorOptions.IncompleteRunSaysCompleted"/>.</summary>
    public bool? IncompleteRunSaysCompleted { get; init; }

    /// <summary>Gets <see cref="OpenAIEmulatorOptions.HasAssistants"/>.</summary>
    public bool? HasAssistants { get; init; }

    /// <summary>Gets <see cref="OpenAIEmulatorOptions.HasConversations"/>.</summary>
    public bool? HasConversations { get; init; }

    /// <summary>Gets <see cref="OpenAIEmulatorOptions.AzureHasConversations"/>.</summary>
    public bool? AzureHasConversations { get; init; }

    /// <summary>Gets <see cref="OpenAIEmulatorOptions.KeepBodies"/>.</summary>
    public bool? KeepBodies { get; init; }

    internal static EmulatorSettings Of(OpenAIEmulatorOptions o) => new()
    {
        LatencyMs = o.Latency.TotalMilliseconds,
        LatencyJitterMs = o.LatencyJitter.TotalMilliseconds,
        QueueTimeMs = o.QueueTime.TotalMilliseconds,
        DeltaPauseMs = o.DeltaPause.TotalMilliseconds,
        CancelTimeMs = o.CancelTime.TotalMilliseconds,
        ItemsVisible = o.ItemsVisible,
        BackgroundLocksConversation = o.BackgroundLocksConversation,
        LostStream = o.LostStream,
        LostForeground = o.LostForeground,
        FailedKeepsInput = o.FailedKeepsInput,
        RunsListedAfterMs = o.RunsListedAfter.TotalMilliseconds,
        IncompleteRunSaysCompleted = o.IncompleteRunSaysCompleted,
        HasAssistants = o.HasAssistants,
        HasConversations = o.HasConversations,
        AzureHasConversations = o.AzureHasConversations,
        KeepBodies = o.KeepBodies,
    };

    internal void ApplyTo(OpenAIEmulatorOptions o)
    {
        o.Latency = Time(LatencyMs, o.Latency);
        o.LatencyJitter = Time(LatencyJitterMs, o.LatencyJitter);
        o.QueueTime = Time(QueueTimeMs, o.QueueTime);
        o.DeltaPause = Time(DeltaPauseMs, o.DeltaPause);
        o.CancelTime = Time(CancelTimeMs, o.CancelTime);
        o.ItemsVisible = ItemsVisible ?? o.ItemsVisible;
        o.BackgroundLocksConversation = BackgroundLocksConversation ?? o.BackgroundLocksConversation;
        o.LostStream = LostStream ?? o.LostStream;
        o.LostForeground = LostForeground ?? o.LostForeground;
        o.FailedKeepsInput = FailedKeepsInput ?? o.FailedKeepsInput;
        o.RunsListedAfter = Time(RunsListedAfterMs, o.RunsListedAfter);
        o.IncompleteRunSaysCompleted = IncompleteRunSaysCompleted ?? o.IncompleteRunSaysCompleted;
        o.HasAssistants = HasAssistants ?? o.HasAssistants;
        o.HasConversations = HasConversations ?? o.HasConversations;
        o.AzureHasConversations = AzureHasConversations ?? o.AzureHasConversations;
        o.KeepBodies = KeepBodies ?? o.KeepBodies;
    }

    private static TimeSpan Time(double? milliseconds, TimeSpan otherwise) => milliseconds is { } ms ? TimeSpan.FromMilliseconds(ms) : otherwise;
}
