using Microsoft.Extensions.Diagnostics.Metrics.Testing;

namespace AssistantQueue.Tests.OpenAIBackends;

/// <summary>Collects <c>assistantqueue.run.posted_again</c> of one queue: tests run beside each other, and the meter is the process'.</summary>
internal sealed class PostedAgain : IDisposable
{
    private readonly MetricCollector<long> _collector = new(meterScope: null, "AssistantQueue.OpenAI", "assistantqueue.run.posted_again");

    /// <summary>Gets the queue whose posts are counted.</summary>
    public string Queue { get; } = "q-" + Guid.NewGuid().ToString("N")[..8];

    /// <summary>Gets what was counted: the API and the reason of each.</summary>
    public IReadOnlyList<string> Counts =>
        [.. _collector.GetMeasurementSnapshot().Where(m => Equals(m.Tags["queue"], Queue)).SelectMany(m => Enumerable.Repeat($"{m.Tags["api"]} {m.Tags["reason"]}", (int)m.Value))];

    public void Dispose() => _collector.Dispose();
}
