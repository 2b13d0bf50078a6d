using System.Text.Json;
using AssistantQueue.Store;

namespace AssistantQueue.IntegrationTests.Store;

/// <summary>Scripts failed-list, failed-read, failed-edit, failed-discard and failed-retry.</summary>
public abstract class FailedStoreTests(StoreServer server) : StoreTest(server)
{
    [Fact]
    public async Task List_SeveralFailed_NewestFirst()
    {
        for (var i = 0; i < 3; i++)
        {
            await FailAsync(await Seed.RunningAsync("c" + i, ["a"]), failure: "f" + i);
        }

        var listed = new List<string>();
        await foreach (var failure in Store.Failed.ListAsync(Ct))
        {
            listed.Add(failure);
        }

        Assert.Equal(["f0", "f1", "f2"], listed.Order());
    }

    [Fact]
    public async Task Discard_FailedBatch_ForgetsItAndItsCount()
    {
        await FailAsync(await Seed.RunningAsync("c", ["a", "b"]));
        var entry = (await Store.Failed.ReadAsync("b-c", Ct))!;

        var changes = await ChangesOfAsync(async () => Assert.Equal(FailedAnswer.Applied, await Store.Failed.DiscardAsync(entry, Ct)));

        Assert.Equal(["-failed", "-failed:b-c", "~counters"], changes);
        Assert.Equal(0, await Read.CounterAsync("failed"));
        Assert.Equal(FailedAnswer.Missing, await Store.Failed.DiscardAsync(entry, Ct));
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

        Assert.Equal(FailedAnswer.Applied, await Store.Failed.RetryAsync((await Store.Failed.ReadAsync("b-c", Ct))!, "j2", Ct));

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
