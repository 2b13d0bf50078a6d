using System.Diagnostics.Metrics;

namespace AssistantQueue.Diagnostics;

/// <summary>The numbers of one queue in this process: meter <c>AssistantQueue</c>, each with the tag <c>queue</c>. Thread-safe.</summary>
internal sealed class QueueMetrics : IDisposable
{
    public const string MeterName = "AssistantQueue";

    private readonly Meter _meter;
    private readonly KeyValuePair<string, object?> _queue;
    private readonly Counter<long> _enqueued;
    private readonly Counter<long> _claimed;
    private readonly Counter<long> _completed;
    private readonly Counter<long> _failed;
    private readonly Counter<long> _retried;
    private readonly Counter<long> _released;
    private readonly Counter<long> _interrupted;
    private readonly Counter<long> _leasesLost;
    private readonly Counter<long> _deaths;
    private readonly Counter<long> _delivered;
    private readonly Counter<long> _deliveriesFailed;
    private readonly Histogram<double> _runSeconds;
    private readonly Histogram<double> _toolSeconds;

    public QueueMetrics(string queueName, IMeterFactory? meters = null)
    {
        _meter = meters?.Create(MeterName) ?? new Meter(MeterName);
        _queue = new("queue", queueName);
        _enqueued = _meter.CreateCounter<long>("assistantqueue.messages.enqueued", "{message}", "Messages stored by this process.");
        _claimed = _meter.CreateCounter<long>("assistantqueue.batches.claimed", "{batch}", "Batches claimed.");
        _completed = _meter.CreateCounter<long>("assistantqueue.runs.completed", "{run}", "Batches answered.");
        _failed = _meter.CreateCounter<long>("assistantqueue.runs.failed", "{run}", "Batches given up, by kind.");
        _retried = _meter.CreateCounter<long>("assistantqueue.runs.retried", "{run}", "Attempts that failed and will be repeated.");
        _released = _meter.CreateCounter<long>("assistantqueue.runs.released", "{run}", "Threads given back without counting an attempt.");
        _interrupted = _meter.CreateCounter<long>("assistantqueue.runs.interrupted", "{run}", "Runs cancelled because of a newer message.");
        _leasesLost = _meter.CreateCounter<long>("assistantqueue.leases.lost", "{lease}", "Leases that somebody else has now.");
        _deaths = _meter.CreateCounter<long>("assistantqueue.batches.suspect", "{batch}", "Batches claimed whose earlier owner died.");
        _delivered = _meter.CreateCounter<long>("assistantqueue.deliveries.closed", "{delivery}", "Replies and failures that all handlers took.");
        _deliveriesFailed = _meter.CreateCounter<long>("assistantqueue.deliveries.failed", "{delivery}", "Tries of a delivery that a handler refused.");
        _runSeconds = _meter.CreateHistogram<double>("assistantqueue.run.duration", "s", "From a run's start to its reply.");
        _toolSeconds = _meter.CreateHistogram<double>("assistantqueue.tool.duration", "s", "Tool calls, by tool and whether they failed.");
    }

    public void Enqueued(int messages) => _enqueued.Add(messages, _queue);

    public void Claimed(int deaths)
    {
        _claimed.Add(1, _queue);
        if (deaths > 0)
        {
            _deaths.Add(1, _queue);
        }
    }

    public void Completed(TimeSpan duration)
    {
        _completed.Add(1, _queue);
        _runSeconds.Record(duration.TotalSeconds, _queue);
    }

    public void ToolCalled(string tool, bool isError, TimeSpan duration) =>
        _toolSeconds.Record(duration.TotalSeconds, _queue, new("tool", tool), new("error", isError));

    public void Failed(FailureKind kind) => _failed.Add(1, _queue, new("kind", kind.ToString()));

    public void Retried() => _retried.Add(1, _queue);

    public void Released(string reason) => _released.Add(1, _queue, new("reason", reason));

    public void Interrupted() => _interrupted.Add(1, _queue);

    public void LeaseLost() => _leasesLost.Add(1, _queue);

    public void Delivered() => _delivered.Add(1, _queue);

    public void DeliveryFailed() => _deliveriesFailed.Add(1, _queue);

    public void Dispose() => _meter.Dispose();
}
