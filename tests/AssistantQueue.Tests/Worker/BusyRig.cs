using System.Threading.Channels;

namespace AssistantQueue.Tests.Worker;

/// <summary>A rig whose backend can say that its run has an id at the API.</summary>
internal sealed class BusyRig(string redis) : WorkerRig(redis)
{
    private readonly Channel<string> _posted = Channel.CreateUnbounded<string>();

    public static async Task<BusyRig> StartAsync(bool start = true)
    {
        var rig = new BusyRig(await TestRedis.ConnectionStringAsync());
        if (start)
        {
            await rig.StartWorkerAsync();
        }

        return rig;
    }

    public async Task PostAsync(BatchRun run, CancellationToken cancellationToken)
    {
        run.Journal.Rounds.Add(new JournalRound { RunId = $"run_{run.Messages.Count}" });
        run.Journal.PostedThrough = run.Messages[^1].Sequence;
        run.Journal.IsAdoptable = true;
        await run.SaveAsync(cancellationToken);
        _posted.Writer.TryWrite(run.BatchId);
    }

    /// <summary>Waits until a run has written down its id.</summary>
    public Task<string> PostedAsync() => _posted.Reader.ReadAsync().AsTask().WaitAsync(TestTimes.Patience);
}
