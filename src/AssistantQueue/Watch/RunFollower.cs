using AssistantQueue.Store;

namespace AssistantQueue.Watch;

/// <summary>One watcher's view of the run under way: which items it has, and when its worker is to be asked for more. Not thread-safe.</summary>
internal sealed class RunFollower(TimeProvider time)
{
    // A worker believes a question for 30 s; lost questions and lost answers cost this much.
    private static readonly TimeSpan AskEvery = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan AskAgain = TimeSpan.FromMilliseconds(250);

    // The first question may come before the worker has read the batch that it was told of; until the second the run tells by itself (LiveReply.Expect).
    private static readonly TimeSpan AskSecond = TimeSpan.FromSeconds(1);

    private string _workerId = "";
    private long _asked;
    private int _questions;
    private bool _lacksSome;
    private (long Fence, string BatchId, string WorkerId, int Item, long Asked, int Questions, bool LacksSome) _mark;

    /// <summary>Gets the fence of the run; zero when none is followed.</summary>
    public long Fence { get; private set; }

    public string BatchId { get; private set; } = "";

    /// <summary>Gets the number of the last item told.</summary>
    public int Item { get; private set; }

    /// <summary>Remembers the place, for <see cref="GoBack"/>.</summary>
    public void Mark() => _mark = (Fence, BatchId, _workerId, Item, _asked, _questions, _lacksSome);

    /// <summary>What was taken since <see cref="Mark"/> could not be told and is taken again.</summary>
    public void GoBack() => (Fence, BatchId, _workerId, Item, _asked, _questions, _lacksSome) = _mark;

    /// <summary>Gets how long until the worker is to be asked; null when no run is followed.</summary>
    public TimeSpan? NextQuestion
    {
        get
        {
            if (Fence == 0)
            {
                return null;
            }

            var pause = _lacksSome ? AskAgain : _questions == 1 ? AskSecond : AskEvery;
            var wait = pause - (_asked == 0 ? TimeSpan.MaxValue / 2 : time.GetElapsedTime(_asked));
            return wait > TimeSpan.Zero ? wait : TimeSpan.Zero;
        }
    }

    /// <summary>A run is under way; nothing changes when it is the one that is followed.</summary>
    /// <param name="fence">The run's fence.</param>
    /// <param name="batchId">Its batch.</param>
    /// <param name="workerId">Its worker.</param>
    /// <param name="item">The last item that the watcher has of it.</param>
    public void Begin(long fence, string batchId, string workerId, int item = 0)
    {
        if (fence > Fence && workerId.Length > 0)
        {
            (Fence, BatchId, _workerId, Item) = (fence, batchId, workerId, item);
            (_asked, _questions, _lacksSome) = (0, 0, false);
        }
    }

    /// <summary>Publications may have been lost: the worker is asked at once.</summary>
    public void MissedSome() => _asked = 0;

    /// <summary>The run is over, or was given back.</summary>
    public void End() => Fence = 0;

    /// <summary>Asks the worker, if it is time.</summary>
    public async ValueTask AskAsync(IQueueStore store, string threadId, CancellationToken cancellationToken)
    {
        if (NextQuestion != TimeSpan.Zero)
        {
            return;
        }

        _asked = time.GetTimestamp();
        _questions++;
        _lacksSome = false;
        try
        {
            await store.AskForLiveAsync(threadId, _workerId, Fence, Item, cancellationToken);
        }
        catch (StoreUnavailableException)
        {
            // Asked again in time; what the run told by then is kept by its worker.
        }
    }

    /// <summary>The items of a publication that are news, in their order. With a hole before them none is, and the worker is asked again.</summary>
    public IReadOnlyList<LiveItem> Take(long fence, IReadOnlyList<LiveItem> items)
    {
        var news = new List<LiveItem>();
        if (fence != Fence)
        {
            return news;
        }

        foreach (var item in items.Where(i => i.Index > Item))
        {
            if (item.Index > Item + 1 && item.Kind != LiveKind.Skipped)
            {
                _lacksSome = true;
                break;
            }

            Item = item.Index;
            news.Add(item);
        }

        return news;
    }
}
