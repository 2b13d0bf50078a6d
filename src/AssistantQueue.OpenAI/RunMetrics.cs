using System.Diagnostics.Metrics;

namespace AssistantQueue.OpenAI;

/// <summary>Counts what nobody can be sure about.</summary>
internal static class RunMetrics
{
    private static readonly Meter Meter = new("AssistantQueue.OpenAI");

    /// <summary>Reason: the answer to the earlier post never came, and it was not found.</summary>
    public const string UnknownOutcome = "unknown_outcome";

    /// <summary>Reason: the earlier response failed, and what it carried was not found.</summary>
    public const string Failed = "failed";

    /// <summary>Reason: the earlier response was cancelled, and what it carried was not found.</summary>
    public const string Cancelled = "cancelled";

    /// <summary>Reason: the conversation that had it is gone.</summary>
    public const string ConversationGone = "conversation_gone";

    /// <summary>Posts that carry what an earlier one carried and nobody found: the only way in which a message can reach the model twice.</summary>
    public static readonly Counter<long> PostedAgain = Meter.CreateCounter<long>(
        "assistantqueue.run.posted_again", "{post}", "Posts about to be sent that carry what an earlier post carried and that was not found at the API");
}
