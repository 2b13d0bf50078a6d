using System.Collections.Concurrent;
using System.Text.Json;
using AssistantQueue.IntegrationTests.Store;
using AssistantQueue.Store;
using Microsoft.Extensions.Logging;

namespace AssistantQueue.Tests.Worker;

/// <summary>What can't be read, or only by a newer version: it fails alone, or is held, and the thread goes on.</summary>
public class UnreadableTests
{
    [Fact]
    public async Task Message_ThatCanNotBeRead_GoesToTheFailedStoreAndTheThreadGoesOn()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        await rig.AddRawAsync("c1", """{"id":"m1","text":""");
        await rig.StartWorkerAsync();

        var failure = await rig.Handler.NextFailureAsync();
        await rig.AddAsync("c1", "good");

        Assert.Equal(FailureKind.Corrupt, failure.Kind);
        Assert.Equal("good", (await rig.Handler.NextReplyAsync()).Text);
        var kept = await rig.Store.Failed.ReadAsync(failure.BatchId, default);
        Assert.Equal("""{"id":"m1","text":""", Assert.Single(kept!.Messages).Body);
    }

    [Fact]
    public async Task Message_ThatCanNotBeRead_AmongGoodOnes_FailsAloneAndTheyAreAnsweredInOrder()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        await rig.AddAsync("c1", "two");
        await rig.AddAsync("c1", "before");
        var broken = await rig.AddRawAsync("c1", """{"id":"m1","text":""");
        await rig.AddAsync("c1", "behind");
        await rig.AddAsync("c1", "it");
        await rig.StartWorkerAsync();

        var failure = await rig.Handler.NextFailureAsync();
        var (before, behind) = (await rig.Handler.NextReplyAsync(), await rig.Handler.NextReplyAsync());

        Assert.Equal((FailureKind.Corrupt, broken.Sequence, broken.Sequence), (failure.Kind, failure.FirstSequence, failure.LastSequence));
        Assert.Contains($"sequence {broken.Sequence} ", failure.Error, StringComparison.Ordinal);
        Assert.Equal([$"sequence:{broken.Sequence}"], failure.MessageIds);
        Assert.Equal(("two|before", 1), (before.Text, before.Attempt));
        Assert.Equal(("behind|it", 1), (behind.Text, behind.Attempt));
        Assert.Equal("""{"id":"m1","text":""", Assert.Single((await rig.Store.Failed.ReadAsync(failure.BatchId, default))!.Messages).Body);
    }

    [Fact]
    public async Task Message_WithoutAHeader_AmongGoodOnes_FailsAloneAndTheyAreAnsweredInOrder()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        await rig.AddAsync("c1", "before");
        await rig.AddAsync("c1", "broken");
        await rig.AddAsync("c1", "behind");
        await using var redis = await rig.ToRedisAsync();
        await redis.GetDatabase().ListSetByIndexAsync($"{rig.Keys}:messages:c1", 1, "not ours");
        await rig.StartWorkerAsync();

        var failure = await rig.Handler.NextFailureAsync();
        var replies = new[] { await rig.Handler.NextReplyAsync(), await rig.Handler.NextReplyAsync() };

        Assert.Equal(["before", "behind"], replies.Select(r => r.Text));
        Assert.Equal("not ours", Assert.Single((await rig.Store.Failed.ReadAsync(failure.BatchId, default))!.Messages).Body);
        Assert.Single((await rig.Store.Failed.ListAsync(default).ToListAsync()));
    }

    [Fact]
    public async Task Message_ThatCanNotBeRead_BehindWhatAnEarlierOwnerPosted_FailsAloneAndTheRunIsAdopted()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        var first = await rig.AddAsync("c1", "before");
        await rig.AddRawAsync("c1", """{"id":"m1","text":""");
        await rig.AddAsync("c1", "behind");
        var batch = (await rig.ClaimAsDyingWorkerAsync()).Batches[0];
        var journal = new RunJournal { Rounds = { new JournalRound { RunId = "r1", Through = first.Sequence } }, PostedThrough = first.Sequence };
        await rig.Store.WriteJournalAsync(batch.Lease, new JournalWrite(JsonSerializer.Serialize(journal, StoreJson.Journal), true, []), default);
        await rig.EndLeasesAsync();
        await rig.StartWorkerAsync();

        var failure = await rig.Handler.NextFailureAsync();
        var (before, behind) = (await rig.Handler.NextReplyAsync(), await rig.Handler.NextReplyAsync());

        Assert.Single(failure.MessageIds);
        Assert.Equal((batch.Lease.BatchId, "before"), (before.BatchId, before.Text));
        Assert.Equal("behind", behind.Text);
    }

    [Fact]
    public async Task Message_ThatCanNotBeRead_OfABatchThatTheApiMayHave_TakesTheWholeBatchWithIt()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        await rig.AddRawAsync("c1", """{"id":"m1","text":""");
        var last = await rig.AddAsync("c1", "behind");
        var batch = (await rig.ClaimAsDyingWorkerAsync()).Batches[0];
        var journal = new RunJournal { Rounds = { new JournalRound() } };
        await rig.Store.WriteJournalAsync(batch.Lease, new JournalWrite(JsonSerializer.Serialize(journal, StoreJson.Journal), true, []), default);
        await rig.EndLeasesAsync();
        await rig.StartWorkerAsync();

        var failure = await rig.Handler.NextFailureAsync();

        Assert.Equal((FailureKind.Corrupt, last.Sequence), (failure.Kind, failure.LastSequence));
        Assert.Empty(rig.Backend.Runs);
    }

    [Fact]
    public async Task Message_OfANewerVersion_IsHeldWithOneWarningAndStarvesNobody()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        var newer = await rig.AddRawAsync("newer", """{"v":2,"id":"m1","poem":"…"}""");
        await rig.AddRawAsync("newer too", """{"v":2,"id":"m1","poem":"…"}""");
        await rig.StartWorkerAsync();
        await rig.AddAsync("c1", "hi");

        Assert.Equal("hi", (await rig.Handler.NextReplyAsync()).Text);
        await rig.StopWorkersAsync();
        Assert.Equal(ReplyState.Pending, (await rig.Store.FindReplyAsync("newer", newer.Sequence, default)).State);
        Assert.Single(rig.Logged(LogLevel.Warning), r => r.Message.Contains("newer version", StringComparison.Ordinal));
        Assert.Equal(["newer", "newer too"], await HeldAsync(rig));
        Assert.Empty((await rig.ClaimAsDyingWorkerAsync()).Batches);
    }

    [Fact]
    public async Task Message_OfANewerVersion_ComesBackFromBeingHeldAndIsAnsweredByAWorkerThatKnowsIt()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        await using var redis = await rig.ToRedisAsync();
        await rig.AddRawAsync("newer", """{"v":2,"id":"m1","text":"a poem"}""");
        await rig.StartWorkerAsync();
        await rig.AddAsync("c1", "hi");
        await rig.Handler.NextReplyAsync();
        await rig.StopWorkersAsync();

        // A worker of that version would read it as this one reads its own; and the time passes for which it is held.
        var entry = (string)(await redis.GetDatabase().ListGetByIndexAsync(rig.Keys + ":messages:newer", 0))!;
        await redis.GetDatabase().ListSetByIndexAsync(rig.Keys + ":messages:newer", 0, entry.Replace("\"v\":2", "\"v\":0", StringComparison.Ordinal));
        Assert.Equal(["newer"], await HeldAsync(rig));
        await redis.GetDatabase().SortedSetAddAsync(rig.Keys + ":held", "newer", 1);
        await rig.StartWorkerAsync();

        var reply = await rig.Handler.NextReplyAsync();
        Assert.Equal(("newer", "a poem", 1), (reply.ThreadId, reply.Text, reply.Attempt));
        Assert.Equal(0, await redis.GetDatabase().SortedSetLengthAsync(rig.Keys + ":held"));
    }

    [Fact]
    public async Task Message_OfANewerVersion_IsWarnedOfOnceAMinute()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        var clock = new MovedTime();
        var store = rig.Connect(clock);
        var held = new SemaphoreSlim(0);
        store.After = method =>
        {
            if (method == nameof(IQueueStore.ReleaseAsync))
            {
                held.Release();
            }
        };
        await rig.StartWorkerAsync(store: store, time: clock);
        int[] warnings = [0, 0, 0];
        for (var i = 0; i < warnings.Length; i++)
        {
            clock.Ahead += i < 2 ? TimeSpan.Zero : TimeSpan.FromMinutes(1);
            await rig.AddRawAsync($"newer{i}", """{"v":2,"id":"m1","poem":"…"}""");
            Assert.True(await held.WaitAsync(TestTimes.Patience));
            warnings[i] = rig.Logged(LogLevel.Warning).Count(r => r.Message.Contains("newer version", StringComparison.Ordinal));
        }

        Assert.Equal([1, 1, 2], warnings);
    }

    [Fact]
    public async Task Journal_OfANewerVersion_IsHeldWithOneWarningAndStarvesNobody()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        await rig.AddAsync("newer", "hi");
        var batch = (await rig.ClaimAsDyingWorkerAsync()).Batches[0];
        await rig.Store.WriteJournalAsync(batch.Lease, new JournalWrite("""{"version":2,"poem":"…"}""", true, []), default);
        await rig.EndLeasesAsync();
        await rig.StartWorkerAsync();
        await rig.AddAsync("c1", "hi");

        Assert.Equal("c1", (await rig.Handler.NextReplyAsync()).ThreadId);
        await rig.StopWorkersAsync();
        Assert.Equal(ReplyState.Pending, (await rig.Store.FindReplyAsync("newer", batch.FirstSequence, default)).State);
        Assert.Single(rig.Logged(LogLevel.Warning), r => r.Message.Contains("newer version", StringComparison.Ordinal));
        Assert.Equal(["newer"], await HeldAsync(rig));
        Assert.Empty((await rig.ClaimAsDyingWorkerAsync()).Batches);
    }

    /// <summary>The threads that are held, later than now by Redis' clock.</summary>
    private static async Task<string[]> HeldAsync(WorkerRig rig)
    {
        await using var redis = await rig.ToRedisAsync();
        var now = new DateTimeOffset(await redis.GetServers()[0].TimeAsync()).ToUnixTimeMilliseconds();
        return [.. (await redis.GetDatabase().SortedSetRangeByScoreAsync(rig.Keys + ":held", now)).Select(t => (string)t!).Order(StringComparer.Ordinal)];
    }

    /// <summary>The system's clock, ahead by what a test says.</summary>
    private sealed class MovedTime : TimeProvider
    {
        public TimeSpan Ahead { get; set; }

        public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + Ahead;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => System.GetElapsedTime(0).Ticks + Ahead.Ticks;
    }
}
