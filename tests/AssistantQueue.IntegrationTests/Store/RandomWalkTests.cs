using System.Collections.Concurrent;
using System.Threading.Channels;
using AssistantQueue.Store;
using Xunit.Sdk;

namespace AssistantQueue.IntegrationTests.Store;

/// <summary>Several workers do whatever they may, in any order, with stale leases and repeated calls; after each call the store agrees with a model of it.</summary>
public abstract class RandomWalkTests(StoreServer server) : StoreTest(server)
{
    private const int Steps = 700;

    private static readonly string[] Workers = ["w1", "w2", "w3"];

    private readonly Dictionary<string, ModelThread> _threads = Enumerable.Range(0, 6).Select(i => new ModelThread("c" + i)).ToDictionary(t => t.Id);
    private readonly List<ClaimedBatch> _claimed = [];
    private readonly ConcurrentDictionary<string, ConcurrentQueue<ThreadAnnouncement>> _heard = new();
    private readonly Channel<string> _told = Channel.CreateUnbounded<string>();
    private Random _random = new();
    private int _texts;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public async Task RandomWalk_AnyOrderOfCalls_AgreesWithTheModel(int seed)
    {
        _random = new Random(seed);
        (Options.MaxBatchMessages, Options.MaxBatchCharacters, Options.MaxPendingMessages) = (5, 30, 1_000);
        // Leases end when the walk says so, however slow the machine is.
        Options.LockDuration = TimeSpan.FromMinutes(10);
        Options.RemoveOnComplete = seed % 2 == 0;
        if (seed > 2)
        {
            // As after the clock was set back.
            await Seed.SetCounterAsync("fence", (Seed.Now + 3_600_000) * 1000);
        }

        var subscriptions = new List<IAsyncDisposable>();
        foreach (var thread in _threads.Keys)
        {
            var heard = _heard[thread] = [];
            subscriptions.Add(await Store.SubscribeToThreadAsync(thread, a => Hear(heard, a!.Value), Ct));
        }

        var step = 0;
        try
        {
            for (; step < Steps; step++)
            {
                await StepAsync();
                if (step % 20 == 0)
                {
                    await CheckAsync();
                }
            }

            await DrainAsync();
            await CheckAsync();
        }
        catch (Exception e)
        {
            throw new XunitException($"Seed {seed}, step {step}: {e.Message}", e);
        }

        Assert.All(_threads.Values, thread => Assert.Equal(thread.Ids.Count, thread.Finished.Count));
        await CheckAnnouncementsAsync();
        foreach (var subscription in subscriptions)
        {
            await subscription.DisposeAsync();
        }
    }

    private Task StepAsync() => _random.Next(100) switch
    {
        < 28 => EnqueueSomeAsync(),
        < 50 => ClaimSomeAsync(alone: Chance(25)),
        < 58 => EndLeasesAsync(),
        < 64 => RenewAsync(),
        < 71 => JournalAsync(),
        < 80 => CompleteSomeAsync(),
        < 85 => RetrySomeAsync(),
        < 89 => ReleaseSomeAsync(),
        < 93 => FailSomeAsync(),
        < 95 => Store.LeaveAsync(0, Pick(Workers), isGone: true, Ct),
        _ => DeliverAsync(),
    };

    private async Task EnqueueSomeAsync()
    {
        var thread = Pick(_threads.Values.ToList());
        var messages = Enumerable.Range(0, _random.Next(1, 4))
            .Select(_ => Chance(15) && thread.Ids.Count > 0 ? Message("again", Pick(thread.Ids.Keys.ToList())) : Message($"m{_texts++}", $"id{_texts}", flush: Chance(50)))
            .DistinctBy(m => m.MessageId)
            .ToArray();

        var outcome = await EnqueueAsync(thread.Id, messages);

        Assert.Equal(EnqueueStatus.Stored, outcome.Status);
        thread.Store(outcome.Receipts, messages);
    }

    private async Task ClaimSomeAsync(bool alone)
    {
        if (Chance(70))
        {
            await PassAsync("due", "suspects", "held");
        }

        var worker = Pick(Workers);
        var died = new Dictionary<string, int>();
        foreach (var thread in _threads.Values)
        {
            var record = thread.Owner is { } owner ? await Read.ScoreAsync("workers", owner.Lease.WorkerId) ?? 0 : long.MaxValue;
            var isDeath = thread is { LeaseEnded: true, IsAdoptable: false, Owner: { } ended } && ended.Lease.WorkerId != worker && record <= Seed.Now + (Options.LockDuration.TotalMilliseconds / 2);
            died[thread.Id] = thread.Deaths + (isDeath ? 1 : 0);
        }

        var token = Guid.NewGuid().ToString("N");
        var outcome = await ClaimAsync(worker, 10, alone, token);

        Assert.Empty(outcome.ForeignThreads);
        Assert.True(!alone || outcome.Batches.Count <= 1);
        foreach (var batch in outcome.Batches)
        {
            var thread = _threads[batch.Lease.ThreadId];
            Assert.Equal(alone, died[thread.Id] > 0);
            thread.Claim(batch, died[thread.Id]);
            _claimed.Add(batch);
        }

        if (!alone)
        {
            foreach (var thread in _threads.Values.Where(t => t is { Owner: not null, LeaseEnded: true }))
            {
                Assert.True(died[thread.Id] > 0, $"{thread.Id}'s lease ended and nobody took it");
                thread.MoveToSuspects(died[thread.Id]);
            }
        }

        // An empty answer is not remembered: its repetition may take what has become due since.
        if (outcome.Batches.Count > 0 && Chance(15))
        {
            var again = await ClaimAsync(worker, 10, alone, token);
            Assert.Equal(outcome.Batches.Select(b => (b.Lease.BatchId, b.Lease.Fence, b.LastSequence)), again.Batches.Select(b => (b.Lease.BatchId, b.Lease.Fence, b.LastSequence)));
        }
    }

    private async Task EndLeasesAsync()
    {
        await PassAsync("leases");
        foreach (var thread in _threads.Values.Where(t => t.Owner is not null))
        {
            thread.LeaseEnded = true;
        }

        if (Chance(50))
        {
            await Seed.RemoveAsync("workers", Pick(Workers));
        }
    }

    private Task RenewAsync()
    {
        var worker = Pick(Workers);
        var mine = _claimed.Where(b => b.Lease.WorkerId == worker).TakeLast(8).ToList();

        var answers = Store.Renew(0, worker, [.. mine.Select(b => b.Lease)]).Answers;

        for (var i = 0; i < mine.Count; i++)
        {
            Assert.Equal(IsOwner(mine[i]) ? RenewAnswer.Renewed : RenewAnswer.Lost, answers[i]);
            if (IsOwner(mine[i]))
            {
                Thread(mine[i]).LeaseEnded = false;
            }
        }

        return Task.CompletedTask;
    }

    private async Task JournalAsync()
    {
        if (PickClaimed() is not { } batch)
        {
            return;
        }

        var adoptable = Chance(50);
        Assert.Equal(IsOwner(batch), await Store.WriteJournalAsync(batch.Lease, new JournalWrite("j", adoptable, [new("id", batch.Lease.BatchId)]), Ct));
        if (IsOwner(batch))
        {
            Thread(batch).IsAdoptable = adoptable;
            Thread(batch).Posted = (batch.Lease.BatchId, batch.LastSequence);
        }
    }

    private Task CompleteSomeAsync() => FinishAsync((batch, _) => CompleteAsync(batch.Lease, keep: !Options.RemoveOnComplete), (thread, _, _) => thread.Complete());

    private Task RetrySomeAsync() => FinishAsync((batch, posted) => RetryAsync(batch.Lease, posted, Second), (thread, _, posted) => thread.Retry(posted));

    private Task ReleaseSomeAsync() => FinishAsync((batch, posted) => ReleaseAsync(batch.Lease, posted, hold: posted && Chance(20)), (thread, _, posted) => thread.Release(posted));

    private Task FailSomeAsync() => FinishAsync(
        (batch, part) => FailAsync(batch.Lease, Last(batch, part)),
        (thread, batch, part) => thread.Fail(Last(batch, part)));

    private static long? Last(ClaimedBatch batch, bool part) => part && batch.FailedAttempts > 0 ? batch.AttemptedThrough : null;

    private async Task FinishAsync(Func<ClaimedBatch, bool, Task<FinishAnswer>> finish, Action<ModelThread, ClaimedBatch, bool> expect)
    {
        if (PickClaimed() is not { } batch)
        {
            return;
        }

        var flag = Chance(50);
        Assert.Equal(IsOwner(batch) ? FinishAnswer.Applied : FinishAnswer.Lost, await finish(batch, flag));
        if (IsOwner(batch))
        {
            expect(Thread(batch), batch, flag);
        }
    }

    private async Task DeliverAsync()
    {
        await PassAsync("deliveries");
        var claim = await Store.ClaimDeliveriesAsync(0, Pick(Workers), 10, Ct);

        Assert.Equal(
            _threads.Values.Where(t => t.OpenDeliveries.Count > 0).Select(t => (t.Id, t.OpenDeliveries.Peek())).Order(),
            claim.Deliveries.Select(d => (d.Lease.ThreadId, d.BatchId)).Order());
        foreach (var delivery in claim.Deliveries)
        {
            if (Chance(60))
            {
                Assert.True(await Store.CloseDeliveryAsync(delivery, Ct));
                _threads[delivery.Lease.ThreadId].OpenDeliveries.Dequeue();
                Assert.False(await Store.CloseDeliveryAsync(delivery, Ct));
            }
            else if (Chance(50))
            {
                Assert.True(await Store.PostponeDeliveryAsync(delivery, Second, countTry: true, Ct));
            }
        }
    }

    private async Task DrainAsync()
    {
        while (_threads.Values.Any(t => t.Unfinished.Count > 0))
        {
            await PassAsync("leases", "due", "suspects", "held");
            foreach (var thread in _threads.Values)
            {
                thread.LeaseEnded = thread.Owner is not null;
            }

            await ClaimSomeAsync(alone: false);
            await ClaimSomeAsync(alone: true);
            foreach (var thread in _threads.Values.Where(t => t.Owner is not null).ToList())
            {
                Assert.Equal(FinishAnswer.Applied, await CompleteAsync(thread.Owner!.Lease));
                thread.Complete();
            }
        }
    }

    private async Task CheckAsync()
    {
        await Invariants.CheckAsync(Connection, P);
        foreach (var thread in _threads.Values)
        {
            Assert.Equal(thread.Unfinished.Select(m => m.Sequence), await Read.SequencesAsync(thread.Id));
        }
    }

    private void Hear(ConcurrentQueue<ThreadAnnouncement> heard, ThreadAnnouncement announcement)
    {
        heard.Enqueue(announcement);
        _told.Writer.TryWrite(announcement.BatchId);
    }

    private async Task CheckAnnouncementsAsync()
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        foreach (var thread in _threads.Values)
        {
            while (_heard[thread.Id].Count < thread.Announced)
            {
                await _told.Reader.ReadAsync(patience.Token);
            }

            var stamps = _heard[thread.Id].Select(a => a.Stamp).ToList();
            Assert.Equal(thread.Announced, stamps.Count);
            Assert.Equal(stamps.Distinct().Order(), stamps);
        }
    }

    // Mostly one that may write; else one that may not any more.
    private ClaimedBatch? PickClaimed()
    {
        var owners = _threads.Values.Where(t => t.Owner is not null).Select(t => t.Owner!).ToList();
        return owners.Count > 0 && Chance(80) ? Pick(owners) : _claimed.Count > 0 ? Pick(_claimed) : null;
    }

    private ModelThread Thread(ClaimedBatch batch) => _threads[batch.Lease.ThreadId];

    private bool IsOwner(ClaimedBatch batch) => Thread(batch).Owner?.Lease.Fence == batch.Lease.Fence;

    private bool Chance(int percent) => _random.Next(100) < percent;

    private T Pick<T>(IReadOnlyList<T> of) => of[_random.Next(of.Count)];
}

public sealed class RandomWalkOnRedisTests() : RandomWalkTests(StoreServer.Redis);

public sealed class RandomWalkOnGarnetTests() : RandomWalkTests(StoreServer.Garnet);
