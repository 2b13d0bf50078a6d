using System.Text;
using System.Text.Json;
using AssistantQueue.Store;

namespace AssistantQueue.IntegrationTests.Store;

/// <summary>Scripts failed-list, failed-read, failed-edit, failed-discard and failed-retry.</summary>
public abstract class FailedStoreTests(StoreServer server) : StoreTest(server)
{
    [Fact]
    public async Task List_SeveralFailed_NewestFirstAndChangesNothing()
    {
        foreach (var (batch, age) in new[] { ("middle", 2_000), ("oldest", 3_000), ("newest", 1_000), ("lost", 500) })
        {
            await Seed.ScoreAsync("failed", batch, Seed.Now - age);
            await Database.HashSetAsync($"{P}:failed:{batch}", "body", "failure of " + batch);
        }

        // Its record is gone, as after an eviction: nothing to list.
        await Database.KeyDeleteAsync($"{P}:failed:lost");
        IsConsistent = false;

        Assert.Empty(await ChangesOfAsync(async () => Assert.Equal(["failure of newest", "failure of middle", "failure of oldest"], await ListAsync())));
    }

    [Fact]
    public async Task List_ManyOfOneMillisecond_EachOnceOverSeveralPages()
    {
        var batches = Enumerable.Range(0, 250).Select(i => $"b{i:000}").ToList();
        foreach (var batch in batches)
        {
            await Seed.ScoreAsync("failed", batch, 1_800_000_000_000);
            await Database.HashSetAsync($"{P}:failed:{batch}", "body", batch);
        }

        IsConsistent = false;

        Assert.Equal(batches, (await ListAsync()).Order());
    }

    [Fact]
    public async Task List_NothingFailed_IsEmpty() => Assert.Empty(await ListAsync());

    [Fact]
    public async Task Edit_FailedBatch_ReplacesItsMessagesAndNothingElse()
    {
        await FailAsync(await Seed.RunningAsync("c", ["a", "b"]));
        var entry = (await Store.Failed.ReadAsync("b-c", Ct))!;
        var before = await Read.HashAsync("failed:b-c");

        var changes = await ChangesOfAsync(async () => Assert.Equal(FailedAnswer.Applied, await EditAsync(entry, "a changed", "b")));

        Assert.Equal(["~failed:b-c"], changes);
        var after = await Read.HashAsync("failed:b-c");
        Assert.Equal(["a changed", "b"], after["messages"].Split('\n').Select(line => line.Split(' ', 4)[3]));
        Assert.Equal(Headers(before["messages"]), Headers(after["messages"]));
        Assert.Equal(before.Where(f => f.Key != "messages").OrderBy(f => f.Key), after.Where(f => f.Key != "messages").OrderBy(f => f.Key));
    }

    [Fact]
    public async Task Edit_SaidAgain_IsAppliedAndChangesNothing()
    {
        await FailAsync(await Seed.RunningAsync("c", ["a"]));
        var entry = (await Store.Failed.ReadAsync("b-c", Ct))!;
        await EditAsync(entry, "changed");

        Assert.Empty(await ChangesOfAsync(async () => Assert.Equal(FailedAnswer.Applied, await EditAsync(entry, "changed"))));
    }

    [Fact]
    public async Task Edit_SomebodyElseWasFirst_ChangesNothing()
    {
        await FailAsync(await Seed.RunningAsync("c", ["a"]));
        var entry = (await Store.Failed.ReadAsync("b-c", Ct))!;
        await EditAsync(entry, "first");

        Assert.Empty(await ChangesOfAsync(async () => Assert.Equal(FailedAnswer.Busy, await EditAsync(entry, "second"))));
    }

    [Fact]
    public async Task Edit_BatchIsGone_MakesNone()
    {
        await FailAsync(await Seed.RunningAsync("c", ["a"]));
        var entry = (await Store.Failed.ReadAsync("b-c", Ct))!;
        await Store.Failed.DiscardAsync(entry, Ct);

        Assert.Empty(await ChangesOfAsync(async () => Assert.Equal(FailedAnswer.Missing, await EditAsync(entry, "changed"))));
    }

    [Fact]
    public async Task Read_FailedBatch_GivesItWholeAndChangesNothing()
    {
        var lease = await Seed.RunningAsync("c", ["a", "b"]);
        await Store.WriteJournalAsync(lease, new JournalWrite("j1", false, []), Ct);
        await FailAsync(lease, failure: "a failure");

        Assert.Empty(await ChangesOfAsync(async () =>
        {
            var entry = (await Store.Failed.ReadAsync("b-c", Ct))!;
            Assert.Equal(("b-c", "a failure", "j1", false), (entry.BatchId, entry.Failure, entry.Journal, entry.IsDelivery));
            Assert.Equal([(Seed.FirstSequence, "a"), (Seed.FirstSequence + 1, "b")], entry.Messages.Select(m => (m.Sequence, m.Body)));
            Assert.Null(await Store.Failed.ReadAsync("another", Ct));
        }));
    }

    [Fact]
    public async Task Discard_FailedBatch_ForgetsItAndItsCount()
    {
        await FailAsync(await Seed.RunningAsync("c", ["a", "b"]));
        var entry = (await Store.Failed.ReadAsync("b-c", Ct))!;

        var changes = await ChangesOfAsync(async () => Assert.Equal(FailedAnswer.Applied, await Store.Failed.DiscardAsync(entry, Ct)));

        Assert.Equal(["+request", "-failed", "-failed:b-c", "~counters"], changes);
        Assert.Equal(0, await Read.CounterAsync("failed"));
        Assert.Equal(FailedAnswer.Missing, await Store.Failed.DiscardAsync(entry, Ct));
    }

    [Fact]
    public async Task Discard_RepeatedRequest_IsAppliedOnce()
    {
        await FailAsync(await Seed.RunningAsync("c", ["a"]));
        await FailAsync(await Seed.RunningAsync("d", ["a"]));
        Assert.Equal("1", (string?)await Calls.RunAsync(AssistantQueue.Redis.RedisScript.FailedDiscard, "r1", ScriptCalls.Kept, "b-c"));

        Assert.Empty(await ChangesOfAsync(async () => Assert.Equal("1", (string?)await Calls.RunAsync(AssistantQueue.Redis.RedisScript.FailedDiscard, "r1", ScriptCalls.Kept, "b-c"))));
        Assert.Equal(1, await Read.CounterAsync("failed"));
    }

    [Fact]
    public async Task Discard_FailedDelivery_CountsNoMessage()
    {
        await AbandonAsync("c");
        var entry = (await Store.Failed.ReadAsync("b1", Ct))!;
        Assert.True(entry.IsDelivery);

        Assert.Equal(FailedAnswer.Applied, await Store.Failed.DiscardAsync(entry, Ct));

        Assert.False(await Read.ExistsAsync("failed"));
        Assert.Equal(0, await Read.CounterAsync("failed"));
    }

    [Fact]
    public async Task Retry_FailedDelivery_OpensItAgain()
    {
        await AbandonAsync("c");

        Assert.Equal(FailedAnswer.Applied, await Store.Failed.RetryAsync((await Store.Failed.ReadAsync("b1", Ct))!, null, Ct));

        var delivery = Assert.Single((await Store.ClaimDeliveriesAsync(0, "w1", 1, Ct)).Deliveries);
        Assert.Equal(("b1", "reply body"), (delivery.BatchId, delivery.Reply));
    }

    [Fact]
    public async Task Retry_FailedBatch_ComesBeforeWhatWaits()
    {
        await FailAsync(await Seed.RunningAsync("c", ["a", "b"], newer: ["d"]));

        var entry = (await Store.Failed.ReadAsync("b-c", Ct))!;

        var changes = await ChangesOfAsync(async () => Assert.Equal(FailedAnswer.Applied, await Store.Failed.RetryAsync(entry, "j2", Ct)));

        Assert.Equal(["+request", "+thread:c", "-failed", "-failed:b-c", "~counters", "~due", "~messages:c"], changes);
        Assert.Equal(["a", "b", "d"], await Read.WaitingAsync("c"));
        var batch = await ClaimOneAsync();
        Assert.Equal(["a", "b"], Texts(batch));
        Assert.Equal(("b-c", "j2", 0, true), (batch.Lease.BatchId, batch.Journal, batch.FailedAttempts, batch.IsTakeover));
        Assert.Equal(0, await Read.CounterAsync("failed"));
    }

    [Fact]
    public async Task Retry_ThreadBusyWithABatch_ChangesNothing()
    {
        await FailAsync(await Seed.RunningAsync("c", ["a"], newer: ["d"]));
        await ClaimOneAsync();
        var entry = (await Store.Failed.ReadAsync("b-c", Ct))!;

        Assert.Empty(await ChangesOfAsync(async () => Assert.Equal(FailedAnswer.Busy, await Store.Failed.RetryAsync(entry, null, Ct))));
    }

    [Fact]
    public async Task Retry_NewerMessagesHadJoinedAnEarlierRun_KeepTheirAttempts()
    {
        var lease = await Seed.RunningAsync("c", ["a", "d"]);
        var (a, d) = (Seed.FirstSequence, Seed.FirstSequence + 1);
        await Seed.ThreadAsync("c", ("attempts", $"{a}:2 {d}:1"));
        await FailAsync(lease, last: a);

        await Store.Failed.RetryAsync((await Store.Failed.ReadAsync("b-c", Ct))!, null, Ct);

        Assert.Equal($"{a}:0 {d}:2", (await Read.HashAsync("thread:c"))["attempts"]);
        var batch = await ClaimOneAsync();
        Assert.Equal(["a"], Texts(batch));
        Assert.Equal(0, batch.FailedAttempts);
        await RetryAsync(batch.Lease, posted: true);
        batch = await ClaimOneAsync();
        Assert.Equal(["a"], Texts(batch));
        Assert.Equal(1, batch.FailedAttempts);
        await CompleteAsync(batch.Lease);
        batch = await ClaimOneAsync();
        Assert.Equal(["d"], Texts(batch));
        Assert.Equal(2, batch.FailedAttempts);
    }

    [Fact]
    public async Task Edit_AnotherMessageIsCorrupt_KeepsItsBytes()
    {
        await FailAsync(await Seed.RunningAsync("c", ["a", "b"]));
        var lines = (byte[])(await Database.HashGetAsync($"{P}:failed:b-c", "messages"))!;
        byte[] corrupt = [.. Encoding.UTF8.GetBytes("no_header"), 0xff, 0xfe, .. lines[Array.IndexOf(lines, (byte)'\n')..]];
        await Database.HashSetAsync($"{P}:failed:b-c", "messages", corrupt);
        var entry = (await Store.Failed.ReadAsync("b-c", Ct))!;
        Assert.Equal([0, Seed.FirstSequence + 1], entry.Messages.Select(m => m.Sequence));

        var answer = await Store.Failed.EditAsync(entry, [entry.Messages[0], entry.Messages[1] with { Body = "b changed" }], Ct);

        Assert.Equal(FailedAnswer.Applied, answer);
        byte[] changed = [.. corrupt, .. Encoding.UTF8.GetBytes(" changed")];
        var stored = (byte[])(await Database.HashGetAsync($"{P}:failed:b-c", "messages"))!;
        Assert.Equal(changed, stored);
    }

    private async Task<List<string>> ListAsync()
    {
        var listed = new List<string>();
        await foreach (var failure in Store.Failed.ListAsync(Ct))
        {
            listed.Add(failure);
        }

        return listed;
    }

    private Task<FailedAnswer> EditAsync(FailedEntry entry, params string[] bodies) =>
        Store.Failed.EditAsync(entry, [.. entry.Messages.Zip(bodies, (message, body) => message with { Body = body })], Ct);

    private static IEnumerable<string> Headers(string lines) => lines.Split('\n').Select(line => string.Join(' ', line.Split(' ', 4)[..3]));

    private async Task AbandonAsync(string thread)
    {
        await Seed.DeliveryAsync(thread, "b1", "reply body");
        var delivery = Assert.Single((await Store.ClaimDeliveriesAsync(0, "w1", 1, Ct)).Deliveries);
        var failure = new FailedBatch
        {
            ThreadId = thread,
            BatchId = "b1",
            Kind = FailureKind.Delivery,
            Error = "e",
            MessageIds = [],
            FirstSequence = 1,
            LastSequence = 1,
        };
        Assert.NotEmpty(JsonSerializer.Serialize(failure, StoreJson.Failure));
        Assert.True(await Store.AbandonDeliveryAsync(delivery, failure, Ct));
    }
}

public sealed class FailedStoreOnRedisTests() : FailedStoreTests(StoreServer.Redis);

public sealed class FailedStoreOnGarnetTests() : FailedStoreTests(StoreServer.Garnet);
