using System.Collections.Concurrent;
using System.Diagnostics.Metrics;

namespace AssistantQueue.IntegrationTests.Faults;

/// <summary>Counts <c>assistantqueue.run.posted_again</c> by queue.</summary>
internal sealed class PostedAgain : IDisposable
{
    private readonly MeterListener _listener = new();
    private readonly ConcurrentDictionary<string, long> _counts = new();

    public PostedAgain()
    {
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Name == "assistantqueue.run.posted_again")
            {
                listener.EnableMeasurementEvents(instrument);
            }
        };
        _listener.SetMeasurementEventCallback<long>((_, count, tags, _) =>
        {
            foreach (var (name, value) in tags)
            {
                if (name == "queue")
                {
                    _counts.AddOrUpdate((string)value!, count, (_, before) => before + count);
                }
            }
        });
        _listener.Start();
    }

    public long Of(string queue) => _counts.GetValueOrDefault(queue);

    public void Dispose() => _listener.Dispose();
}
