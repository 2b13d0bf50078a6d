using AssistantQueue.Store;

namespace AssistantQueue.IntegrationTests.Store;

/// <summary>What the store should know of one thread after each call: the expectation of the random walk.</summary>
internal sealed class ModelThread(string id)
{
    private readonly Dictionary<long, int> _attempts = [];

    // The last batch, until it is finished.
    private (string BatchId, long Last)? _sealed;

    public string Id { get; } = id;

    /// <summary>Messages that are neither answered nor given up, in their order.</summary>
    public List<(long Sequence, string Text)> Unfinished { get; } = [];

    public List<string> Finished { get; } = [];

    public Queue<string> OpenDeliveries { get; } = [];

    public Dictionary<string, long> Ids { get; } = [];

    /// <summary>The claim whose owner may write.</summary>
    public ClaimedBatch? Owner { get; private set; }

    public bool LeaseEnded { get; set; }

    public bool IsAdoptable { get; set; }

    public int Deaths { get; set; }

    public long LastFence { get; private set; }

    public int Announced { get; set; }

    /// <summary>The batch that the API may have: it stays as it was sealed.</summary>
    public (string BatchId, long Last)? Posted { get; set; }

    public void Store(IReadOnlyList<StoredReceipt> receipts, IReadOnlyList<NewMessage> messages)
    {
        for (var i = 0; i < receipts.Count; i++)
        {
            var known = Ids.TryGetValue(messages[i].MessageId, out var first);
            Assert.Equal(known, receipts[i].IsDuplicate);
            if (known)
            {
                Assert.Equal(first, receipts[i].Sequence);
                continue;
            }

            Assert.True(Unfinished.Count == 0 || receipts[i].Sequence > Unfinished[^1].Sequence);
            Assert.True(receipts[i].Sequence > LastFence);
            Ids[messages[i].MessageId] = receipts[i].Sequence;
            Unfinished.Add((receipts[i].Sequence, messages[i].Body));
        }

        Announced += receipts.Any(r => !r.IsDuplicate) ? 1 : 0;
    }

    public void Claim(ClaimedBatch batch, int deaths)
    {
        Assert.True(Owner is null || LeaseEnded, $"{Id} is claimed under a live lease");
        Assert.Equal(Unfinished.Take(batch.Entries.Count).Select(m => m.Text), batch.Entries.Select(e => e.Body));
        Assert.True(batch.Lease.Fence > LastFence, "fences grow");
        Assert.Equal(deaths, batch.Deaths);
        if (Posted is { } posted)
        {
            Assert.Equal(posted, (batch.Lease.BatchId, batch.LastSequence));
        }

        if (deaths > 0)
        {
            // Newer messages aren't suspected with it.
            Assert.Equal(_sealed, (batch.Lease.BatchId, batch.LastSequence));
        }

        _sealed = (batch.Lease.BatchId, batch.LastSequence);
        var first = _attempts.GetValueOrDefault(batch.FirstSequence);
        Assert.Equal(first, batch.FailedAttempts);
        Assert.Equal(first == 0 ? 0 : Unfinished.Last(m => _attempts.GetValueOrDefault(m.Sequence) == first).Sequence, batch.AttemptedThrough);
        (Owner, LeaseEnded, IsAdoptable, Deaths, LastFence) = (batch, false, LeaseEnded && IsAdoptable, deaths, batch.Lease.Fence);
        Announced++;
    }

    /// <summary>The owner's process died; the next one runs the batch alone.</summary>
    public void MoveToSuspects(int deaths) => (Owner, Deaths) = (null, deaths);

    public void Complete()
    {
        Finish(Owner!.LastSequence);
        Forget();
        Announced++;
    }

    public void Retry(bool posted)
    {
        foreach (var (sequence, _) in Unfinished.Where(m => m.Sequence <= Owner!.LastSequence))
        {
            _attempts[sequence] = _attempts.GetValueOrDefault(sequence) + 1;
        }

        Release(posted);
        Announced++;
    }

    public void Release(bool posted)
    {
        Posted = posted ? (Owner!.Lease.BatchId, Owner.LastSequence) : null;
        (Owner, IsAdoptable) = (null, false);
    }

    public void Fail(long? last)
    {
        var attempted = Owner!.LastSequence;
        foreach (var (sequence, _) in Unfinished.Where(m => m.Sequence <= attempted))
        {
            _attempts[sequence] = _attempts.GetValueOrDefault(sequence) + 1;
        }

        Finish(last ?? attempted);
        Forget();
        Announced++;
    }

    private void Finish(long through)
    {
        OpenDeliveries.Enqueue(Owner!.Lease.BatchId);
        while (Unfinished.Count > 0 && Unfinished[0].Sequence <= through)
        {
            Finished.Add(Unfinished[0].Text);
            Unfinished.RemoveAt(0);
        }
    }

    private void Forget() => (Owner, IsAdoptable, Deaths, Posted, _sealed) = (null, false, 0, null, null);
}
