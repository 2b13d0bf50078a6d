using AssistantQueue.Store;
using AssistantQueue.Watch;

namespace AssistantQueue.Tests.Watch;

public sealed class ThreadSubscriptionsTests
{
    [Fact]
    public async Task Listen_ManyOnOneThread_ShareOneSubscriptionUntilTheLastLeaves()
    {
        var store = new FakeStore();
        var subscriptions = new ThreadSubscriptions(store.SubscribeToThreadAsync);
        var heard = 0;

        var one = await subscriptions.ListenAsync("c1", _ => heard++, default);
        var two = await subscriptions.ListenAsync("c1", _ => heard++, default);
        store.Announce(null);
        one.Dispose();
        one.Dispose();
        store.Announce(null);

        Assert.Equal((1, 1, 3), (store.Subscriptions, store.OpenSubscriptions, heard));
        two.Dispose();
        Assert.Equal(0, store.OpenSubscriptions);
    }

    [Fact]
    public async Task Listen_AfterTheLastLeft_SubscribesAgain()
    {
        var store = new FakeStore();
        var subscriptions = new ThreadSubscriptions(store.SubscribeToThreadAsync);

        (await subscriptions.ListenAsync("c1", _ => { }, default)).Dispose();
        using var again = await subscriptions.ListenAsync("c1", _ => { }, default);

        Assert.Equal((2, 1), (store.Subscriptions, store.OpenSubscriptions));
    }

    [Fact]
    public async Task Listen_SubscribingFails_TellsAndWorksTheNextTime()
    {
        var store = new FakeStore();
        var subscriptions = new ThreadSubscriptions(store.SubscribeToThreadAsync);
        store.SubscribeError = new StoreUnavailableException("away");
        await Assert.ThrowsAsync<StoreUnavailableException>(() => subscriptions.ListenAsync("c1", _ => { }, default));
        store.SubscribeError = null;

        using var listener = await subscriptions.ListenAsync("c1", _ => { }, default);

        Assert.Equal(1, store.OpenSubscriptions);
    }
}
