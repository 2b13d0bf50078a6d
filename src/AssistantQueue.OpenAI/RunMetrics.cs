using System.Diagnostics.Metrics;

namespace AssistantQueue.OpenAI;

/// <summary>Counts what nobody can be sure about.</summary>
internal static class RunMetrics
{
    private static readonly Meter Meter = new("AssistantQueue.OpenAI");

    /// <summary>Posts of unknown outcome that were looked for, not found, and sent again: the only way in which a message can reach the model twice.</summary>
    public static readonly Counter<long> PostedAgain = Meter.CreateCounter<long>(
        "assistantqueue.run.posted_again", "{post}", "Posts of unknown outcome that were not found at the API and sent again");
}
