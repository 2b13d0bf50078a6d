using StackExchange.Redis;

namespace AssistantQueue.IntegrationTests.Store;

/// <summary>Script status: messages and threads by state.</summary>
public abstract class StatusTests(StoreServer server) : StoreTest(server)
{
    [Fact]
    public async Task Status_EmptyQueue_IsAllZero() => Assert.Equal(new QueueStatus(), await Store.GetStatusAsync(Ct));

    [Fact]
    public async Task Status_OneThreadOfEachState_CountsMessagesAndThreads()
    {
        await Seed.RunningAsync("running", ["a", "b"], newer: ["c"]);
        await Seed.WaitingAsync("due", -1, "d", "e", "f", "g");
        await Seed.WaitingAsync("delayed", 60_000, "h", "i");
        await Seed.MessagesAsync("suspect", "j");
        await Seed.ScoreAsync("suspects", "suspect", Seed.Now - 5);
        await Seed.MessagesAsync("suspect in its pause", "k");
        await Seed.ScoreAsync("suspects", "suspect in its pause", Seed.Now + 60_000);
        await Seed.MessagesAsync("held", "l", "m", "n");
        await Seed.ScoreAsync("held", "held", Seed.Now + 60_000);
        await Seed.SetCounterAsync("completed", 100);
        QueueStatus? status = null;

        Assert.Empty(await ChangesOfAsync(async () => status = await Store.GetStatusAsync(Ct)));

        Assert.Equal(
            new QueueStatus
            {
                ActiveCount = 2,
                WaitingCount = 1 + 4 + 1,
                DelayedCount = 2 + 1 + 3,
                CompletedCount = 100,
                FailedCount = 0,
                ActiveThreads = 1,
                WaitingThreads = 2,
                DelayedThreads = 3,
                IsEstimate = false,
            },
            status);
    }

    [Fact]
    public async Task Status_ThroughALife_IsCountedByTheScripts()
    {
        await EnqueueAsync("c", Message("a", flush: true), Message("b"));
        Assert.Equal((0, 2), Waiting(await Store.GetStatusAsync(Ct)));
        var batch = await ClaimOneAsync();
        Assert.Equal((2, 0), Waiting(await Store.GetStatusAsync(Ct)));
        await EnqueueAsync("c", Message("d"));
        Assert.Equal((2, 1), Waiting(await Store.GetStatusAsync(Ct)));
        await CompleteAsync(batch.Lease);
        Assert.Equal(2, (await Store.GetStatusAsync(Ct)).CompletedCount);
        await FailAsync((await ClaimOneAsync()).Lease);

        var status = await Store.GetStatusAsync(Ct);

        Assert.Equal((2, 1, 0, 0, 0), (status.CompletedCount, status.FailedCount, status.ActiveCount, status.WaitingCount, status.DelayedCount));
    }

    [Theory]
    [InlineData(1_000, false)]
    [InlineData(1_500, true)]
    public async Task Status_ManyDueThreads_IsEstimatedBeyondAThousand(int threads, bool estimate)
    {
        IsConsistent = false;
        var batch = Database.CreateBatch();
        var tasks = new List<Task>
        {
            batch.SortedSetAddAsync(P + ":due", [.. Enumerable.Range(0, threads).Select(i => new SortedSetEntry("c" + i, Seed.Now - threads + i))]),
        };
        for (var i = 0; i < threads; i++)
        {
            tasks.Add(batch.ListRightPushAsync(P + ":messages:c" + i, ["1 1 1 a", "2 2 1 b"]));
        }

        batch.Execute();
        await Task.WhenAll(tasks);
        await Seed.SetCounterAsync("pending", 2 * threads);

        var status = await Store.GetStatusAsync(Ct);

        Assert.Equal((2 * threads, 0, threads, estimate), (status.WaitingCount, status.DelayedCount, status.WaitingThreads, status.IsEstimate));
    }

    [Fact]
    public async Task Status_ForeignKeys_AreLeftOut()
    {
        IsConsistent = false;
        await Seed.RunningAsync("c", ["a"], newer: ["b"]);
        await Seed.WaitingAsync("d", -1, "x");
        await Seed.ForeignAsync("thread:c");
        await Seed.ForeignAsync("messages:d");

        Assert.Equal(1, (await Store.GetStatusAsync(Ct)).ActiveThreads);
    }

    [Fact]
    public async Task Status_SeveralPartitions_AreSummed()
    {
        Options.Partitions = 4;
        await using var store = NewStore(Options, Connection);
        for (var i = 0; i < 40; i++)
        {
            await store.EnqueueAsync(new AssistantQueue.Store.EnqueueUnit("c" + i, [Message("m", flush: true)]), Ct);
        }

        var status = await store.GetStatusAsync(Ct);

        Assert.Equal((40, 40), (status.WaitingCount, status.WaitingThreads));
        Assert.True(Enumerable.Range(0, 4).Select(async i => (await Read.MembersAsync("due")).Length).All(t => t.Result < 40));
        Options.Partitions = 1;
    }

    private static (long Active, long Waiting) Waiting(QueueStatus status) => (status.ActiveCount, status.WaitingCount);
}

public sealed class StatusOnRedisTests() : StatusTests(StoreServer.Redis);

public sealed class StatusOnGarnetTests() : StatusTests(StoreServer.Garnet);
