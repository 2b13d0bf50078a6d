using AssistantQueue.Store;
using Polly;
using Polly.Retry;

namespace AssistantQueue.Redis;

/// <summary>The pauses between repetitions of a call that Redis left unanswered: 50 ms, doubling to 1 s, spread at random.</summary>
internal static class Repeat
{
    /// <summary>A pipeline that repeats for as long as the predicate says so; the predicate may throw instead.</summary>
    /// <param name="time">The clock.</param>
    /// <param name="goOn">Whether to repeat after this failure.</param>
    public static ResiliencePipeline While(TimeProvider time, Func<StoreUnavailableException, bool> goOn) =>
        new ResiliencePipelineBuilder { TimeProvider = time }
            .AddRetry(new RetryStrategyOptions
            {
                ShouldHandle = arguments => new(arguments.Outcome.Exception is StoreUnavailableException e && goOn(e)),
                MaxRetryAttempts = int.MaxValue,
                BackoffType = DelayBackoffType.Exponential,
                Delay = TimeSpan.FromMilliseconds(50),
                MaxDelay = TimeSpan.FromSeconds(1),
                UseJitter = true,
            })
            .Build();
}
