using AssistantQueue.Diagnostics;
using AssistantQueue.Enqueue;
using AssistantQueue.IntegrationTests.Redis;
using AssistantQueue.Redis;
using AssistantQueue.Tests.OpenAIBackends;
using AssistantQueue.Watch;
using Microsoft.Extensions.Logging.Abstractions;
using StackExchange.Redis;

namespace AssistantQueue.IntegrationTests.Faults;

/// <summary>Redis takes every call and no answer arrives: after a minute the queue says that it doesn't know, and however often it asked, the message is there once.</summary>
public sealed class OutcomeUnknownTests
{
    [Theory]
    [InlineData("m1")]
    [InlineData(null)]
    public async Task Enqueue_EveryAnswerIsLost_SaysThatItDoesNotKnowAndStoresOnce(string? messageId)
    {
        var clock = new HurriedTime();
        var options = new AssistantQueueOptions { QueuePrefix = TestRedis.NewPrefix() };
        await using var redis = await (await TestRedis.GetAsync()).Instance.ConnectAsync();
        var isLosing = true;
        var calls = 0;
        var losing = ScriptProxy.On(redis, (script, _, call) =>
        {
            calls += script == nameof(RedisScript.Enqueue) ? 1 : 0;
            return isLosing && script == nameof(RedisScript.Enqueue) ? LoseAsync((Task<RedisResult>)call()!) : call();
        });
        await using var connection = RedisConnection.Given("", () => losing, TimeSpan.FromSeconds(30), TimeProvider.System, NullLogger.Instance);
        await using var store = new RedisQueueStore(connection, () => options, clock);
        using var metrics = new QueueMetrics("");
        var (updates, outcomes) = (new ThreadSubscriptions(store.SubscribeToThreadAsync), new ThreadSubscriptions(store.SubscribeToOutcomesAsync));
        var queue = new AssistantMessageQueue(
            "", store, () => options, new ReplyWaiter(store, outcomes, clock), new ThreadWatcher(store, updates, () => options, clock, NullLogger.Instance), metrics);
        var message = new AssistantMessage { ThreadId = "c1", MessageId = messageId, Text = "hi" };

        var told = await Assert.ThrowsAsync<EnqueueOutcomeUnknownException>(() => queue.EnqueueAsync(message));

        Assert.Contains("the same MessageId is safe", told.Message, StringComparison.Ordinal);
        Assert.InRange(clock.Waited.TotalSeconds, 60, 62);
        Assert.InRange(calls, 50, 200);
        Assert.Equal(1, await StoredAsync());

        isLosing = false;
        var again = await queue.EnqueueAsync(message);
        // Without an id of the app's own nobody can tell a repetition from a second "hi".
        Assert.Equal((messageId is not null, messageId is not null ? 1L : 2L), (again.IsDuplicate, await StoredAsync()));

        Task<long> StoredAsync() => redis.GetDatabase().ListLengthAsync($"{{{options.QueuePrefix}:0}}:messages:c1");
    }

    private static async Task<RedisResult> LoseAsync(Task<RedisResult> applied)
    {
        await applied;
        throw new RedisConnectionException(
            ConnectionFailureType.SocketClosed, CommandFlags.None, "The test has cut the connection.", innerException: null, CommandStatus.Sent);
    }
}
