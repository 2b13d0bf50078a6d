namespace AssistantQueue.Deliver;

/// <summary>How many deliveries may be under way in the process: four a run, at least eight. Handlers may be slow and must not hold up each other, nor fill the memory. Thread-safe.</summary>
internal sealed class DeliverSlots(Func<AssistantQueueOptions> options)
{
    private readonly Lock _sync = new();
    private readonly List<DeliverLoop> _waiting = [];
    private int _used;

    /// <summary>Takes slots for a claim; with none the loop is woken when there are some.</summary>
    public int Take(DeliverLoop loop)
    {
        lock (_sync)
        {
            var free = Math.Max(8, 4 * options().Concurrency) - _used;
            if (free <= 0)
            {
                if (!_waiting.Contains(loop))
                {
                    _waiting.Add(loop);
                }

                return 0;
            }

            // At most 8 at a time, so that other partitions and other workers get some.
            var taken = Math.Min(free, 8);
            _used += taken;
            return taken;
        }
    }

    public void Return(int count)
    {
        if (count == 0)
        {
            return;
        }

        DeliverLoop[] waiting;
        lock (_sync)
        {
            _used -= count;
            waiting = [.. _waiting];
            _waiting.Clear();
        }

        foreach (var loop in waiting)
        {
            loop.Wake();
        }
    }
}
