using AssistantQueue.Store;
using Polly;
using Polly.Retry;

namespace AssistantQueue.Waiting;

/// <summary>Repeats a store call in the process until the store answers. For calls that are safe to repeat.</summary>
internal static class StoreRetry
{
    /// <summary>A pipeline that repeats for as long as the token allows, with pauses from 100 ms to 2 s.</summary>
    public static ResiliencePipeline UntilAnswered(TimeProvider time, Action<Exception> onFailure) =>
        new ResiliencePipelineBuilder { TimeProvider = time }
            .AddRetry(new RetryStrategyOptions
            {
                ShouldHandle = new PredicateBuilder().Handle<StoreUnavailableException>(),
                MaxRetryAttempts = int.MaxValue,
                BackoffType = DelayBackoffType.Exponential,
                Delay = TimeSpan.FromMilliseconds(100),
                MaxDelay = TimeSpan.FromSeconds(2),
                UseJitter = true,
                OnRetry = arguments =>
                {
                    onFailure(arguments.Outcome.Exception!);
                    return ValueTask.CompletedTask;
                },
            })
            .Build();
}
