using AssistantQueue.Store;

namespace AssistantQueue.IntegrationTests.Store;

/// <summary>Script retry: the attempt is counted, the batch keeps its place and waits for its pause.</summary>
public abstract class RetryTests(StoreServer server) : StoreTest(server)
{
    [Fact]
    public async Task Retry_Owner_CountsTheAttemptAndPauses()
    {
        var lease = await Seed.RunningAsync("c", ["a", "b"], newer: ["d"]);
        var before = Seed.Now;

        var changes = await ChangesOfAsync(async () => Assert.Equal(FinishAnswer.Applied, await RetryAsync(lease, delay: 5 * Second)));

        Assert.Equal(["+due", "+events:c", "+request", "-leases", "~counters", "~thread:c"], changes);
        var hash = await Read.HashAsync("thread:c");
        Assert.Equal(("journal", "0", "error", $"{Seed.FirstSequence + 1}:1"), (hash["journal"], hash["posted"], hash["errors"], hash["attempts"]));
        Assert.DoesNotContain("owner", hash.Keys);
        AssertIn(5 * Second, before, await Read.ScoreAsync("due", "c"));
        Assert.Equal(["a", "b", "d"], await Read.WaitingAsync("c"));
        Assert.Equal((3, 0), (await Read.CounterAsync("pending"), await Read.CounterAsync("active")));
    }

    [Fact]
    public async Task Retry_Posted_KeepsRangeAndBatchId()
    {
        var lease = await Seed.RunningAsync("c", ["a", "b"], newer: ["d"]);

        await RetryAsync(lease, posted: true);
        var next = await ClaimOneAsync();

        Assert.Equal(["a", "b"], Texts(next));
        Assert.Equal((lease.BatchId, 1, false), (next.Lease.BatchId, next.FailedAttempts, next.IsTakeover));
        Assert.True(next.Lease.Fence > lease.Fence);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Retry_WhatCantBeReadLiesBehindTheLastKnown_IsNotInTheNextBatch(bool posted)
    {
        var lease = await Seed.SealedWithUnreadableSecondAsync("c");

        Assert.Equal(FinishAnswer.Applied, await Store.RetryAsync(lease, new RetryWrite(TimeSpan.Zero, "error", "journal", IsPosted: posted, BatchLast: Seed.FirstSequence), Ct));

        var next = await ClaimOneAsync();
        Assert.Equal(["a"], Texts(next));
        Assert.Equal((lease.BatchId, Seed.FirstSequence), (next.Lease.BatchId, next.LastSequence));
        Assert.Equal((3, 1), (await Read.CounterAsync("pending"), await Read.CounterAsync("active")));
    }

    [Fact]
    public async Task Retry_PostedAndFewerFitNow_KeepsTheRange()
    {
        var lease = await Seed.RunningAsync("c", ["a", "b", "d"]);
        Options.MaxBatchMessages = 1;

        await RetryAsync(lease, posted: true);

        Assert.Equal(["a", "b", "d"], Texts(await ClaimOneAsync()));
    }

    [Fact]
    public async Task Retry_NothingPosted_NewerMessagesJoinUnderANewBatchId()
    {
        var lease = await Seed.RunningAsync("c", ["a", "b"], newer: ["d"]);

        await RetryAsync(lease);
        var next = await ClaimOneAsync();

        Assert.Equal(["a", "b", "d"], Texts(next));
        Assert.NotEqual(lease.BatchId, next.Lease.BatchId);
        Assert.Equal((1, Seed.FirstSequence + 1), (next.FailedAttempts, next.AttemptedThrough));
        Assert.Equal(["error"], next.Errors);
    }

    [Fact]
    public async Task Retry_NothingPostedAndNothingNewer_KeepsTheBatchId()
    {
        var lease = await Seed.RunningAsync("c", ["a", "b"]);

        await RetryAsync(lease);

        Assert.Equal(lease.BatchId, (await ClaimOneAsync()).Lease.BatchId);
    }

    [Fact]
    public async Task Retry_AttemptsStayWithTheirMessages()
    {
        await Seed.WaitingAsync("c", -1, "a");
        await RetryAsync((await ClaimOneAsync()).Lease);
        var b = (await EnqueueAsync("c", Message("b"))).Receipts[0].Sequence;
        await RetryAsync((await ClaimOneAsync()).Lease);
        var c = (await EnqueueAsync("c", Message("c"))).Receipts[0].Sequence;
        await RetryAsync((await ClaimOneAsync()).Lease);

        Assert.Equal($"{Seed.FirstSequence}:3 {b}:2 {c}:1", (await Read.HashAsync("thread:c"))["attempts"]);
        var next = await ClaimOneAsync();
        Assert.Equal((3, Seed.FirstSequence), (next.FailedAttempts, next.AttemptedThrough));
        Assert.Equal(["error", "error", "error"], next.Errors);
    }

    [Fact]
    public async Task Retry_BatchWithADeath_GoesToTheSuspects()
    {
        var lease = await Seed.RunningAsync("c", ["a"]);
        await Seed.ThreadAsync("c", ("deaths", 1));

        await RetryAsync(lease);

        Assert.Equal(["c"], await Read.MembersAsync("suspects"));
        Assert.Empty((await ClaimAsync()).Batches);
        Assert.Equal(1, (await ClaimOneAsync(suspects: true)).Deaths);
    }

    [Theory]
    [InlineData("fence")]
    [InlineData("worker")]
    [InlineData("batch")]
    public async Task Retry_NotTheOwner_ChangesNothing(string wrong)
    {
        var lease = await Seed.RunningAsync("c", ["a"]);

        Assert.Empty(await ChangesOfAsync(async () => Assert.Equal(FinishAnswer.Lost, await RetryAsync(CompleteTests.NotOwner(lease, wrong)))));
    }

    [Fact]
    public async Task Retry_RedisLostItsData_IsVanished() =>
        Assert.Equal(FinishAnswer.Vanished, await RetryAsync(new Lease("c", 0, "w1", 7, "b", 0)));

    [Fact]
    public async Task Retry_RepeatedRequest_IsAppliedOnce()
    {
        var lease = await Seed.RunningAsync("c", ["a"]);
        Assert.Equal("1", await Calls.RetryAsync("r1", lease));
        await PassAsync("due");
        await Calls.ClaimAsync("w2", "t");

        Assert.Empty(await ChangesOfAsync(async () => Assert.Equal("1", await Calls.RetryAsync("r1", lease))));
        Assert.EndsWith(":1", (await Read.HashAsync("thread:c"))["attempts"], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("suspects")]
    [InlineData("due")]
    [InlineData("leases")]
    public async Task Retry_ForeignKeyOfThePartition_IsRefusedWhole(string key)
    {
        IsConsistent = false;
        var lease = await Seed.RunningAsync("c", ["a"]);
        await Seed.ForeignAsync(key);

        Assert.Empty(await ChangesOfAsync(() => Assert.ThrowsAsync<StoreUnavailableException>(() => RetryAsync(lease))));
    }
}

public sealed class RetryOnRedisTests() : RetryTests(StoreServer.Redis);

public sealed class RetryOnGarnetTests() : RetryTests(StoreServer.Garnet);
