using AssistantQueue.IntegrationTests.Redis;
using AssistantQueue.IntegrationTests.Running;

namespace AssistantQueue.IntegrationTests.Faults;

/// <summary>Redis stands still while messages flow: whoever enqueues is told what happened, and everything acknowledged is answered in order.</summary>
[WaitsMostly]
public sealed class RedisStandsStillTests
{
    private const int Threads = 4;

    [Theory]
    [InlineData(5)]
    [InlineData(60)]
    public async Task StandsStill_ForSoManySeconds_EveryMessageIsAnsweredInOrder(int seconds)
    {
        // No more than these are on their way together; the others wait behind them.
        const int Callers = 200, AtMostOnTheirWay = 128;
        await using var redis = await RedisInstance.StartDedicatedAsync(new RedisInstanceOptions());
        await using var flow = await FailoverFlow.StartAsync(Threads, options => options.RedisConnectionString = redis.ConnectionString);
        await flow.AnsweredAsync(5);
        AssistantMessage Message(int i) => new() { ThreadId = "others", MessageId = $"m{i}", Text = "hi", Delay = TimeSpan.Zero };

        await redis.PauseAsync();
        var calls = Enumerable.Range(0, Callers).Select(i => flow.Queue.EnqueueAsync(Message(i))).ToList();
        // The fault itself; nothing is waited for.
        await Task.Delay(TimeSpan.FromSeconds(seconds));
        var waiting = calls.ToList();
        while (waiting.Count > AtMostOnTheirWay)
        {
            waiting.Remove(await Task.WhenAny(waiting).WaitAsync(TimeSpan.FromSeconds(60)));
        }

        await redis.ResumeAsync();

        await flow.AnsweredAsync(5);
        var told = await Task.WhenAll(calls.Select(ToldAsync));
        for (var i = 0; i < Callers; i++)
        {
            var again = await flow.Queue.EnqueueAsync(Message(i));
            switch (told[i])
            {
                case null:
                    Assert.True(again.IsDuplicate, $"m{i} was acknowledged and is not there.");
                    break;
                case QueueUnavailableException refused:
                    Assert.Contains("Nothing was stored", refused.Message, StringComparison.Ordinal);
                    Assert.False(again.IsDuplicate, $"m{i} was stored although its caller was told that it wasn't.");
                    break;
                default:
                    Assert.Contains("Enqueueing again with the same MessageId is safe", Assert.IsType<EnqueueOutcomeUnknownException>(told[i]).Message, StringComparison.Ordinal);
                    break;
            }
        }

        Assert.InRange(told.Count(e => e is QueueUnavailableException), Callers - AtMostOnTheirWay, Callers);
        Assert.All(flow.Refusals, e => Assert.True(e is QueueUnavailableException or EnqueueOutcomeUnknownException, e.ToString()));
        await flow.EndAsync(mayBeRepeated: true);
    }

    private static async Task<Exception?> ToldAsync(Task call)
    {
        await call.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return call.Exception?.InnerException;
    }
}
