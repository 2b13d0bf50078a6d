using System.Text.Json;
using AssistantQueue.OpenAI.Content;
using AssistantQueue.OpenAI.Errors;
using Microsoft.Extensions.Logging;
using Polly;
using Polly.Retry;

namespace AssistantQueue.OpenAI.Polling;

/// <summary>Looks at a run until it has ended. Looking is safe to repeat, so looks that fail in passing are repeated too; what is ended, and how, is the caller's to say.</summary>
/// <remarks>An API that can't be reached is waited for when something may be under way there; else the backend is to pause at once, because it may be the wrong address.</remarks>
internal sealed class RunPoll(TimeProvider time, OpenAIOptions options, ILogger logger, Func<bool> isUnderWay)
{
    /// <summary>So many looks in a row may fail (about four minutes) before the attempt gives up; the run is adopted by the next one.</summary>
    public const int MaxFailures = 10;

    /// <summary>Looks until <paramref name="isOver"/>.</summary>
    /// <param name="threadId">The thread, for the log.</param>
    /// <param name="look">One look.</param>
    /// <param name="isOver">Whether the run has ended.</param>
    /// <param name="cancellationToken">Ends the looking.</param>
    /// <exception cref="ApiCallException">A look failed for good, or too often.</exception>
    public async Task<JsonElement> UntilOverAsync(string threadId, Func<CancellationToken, Task<JsonElement>> look, Func<JsonElement, bool> isOver, CancellationToken cancellationToken)
    {
        var failures = 0;
        var looks = 0;
        var pipeline = new ResiliencePipelineBuilder<JsonElement> { TimeProvider = time }
            .AddRetry(new RetryStrategyOptions<JsonElement>
            {
                MaxRetryAttempts = int.MaxValue,
                ShouldHandle = outcome =>
                {
                    if (outcome.Outcome.Exception is null)
                    {
                        failures = 0;
                        return new(!isOver(outcome.Outcome.Result));
                    }

                    return new(IsPassing(outcome.Outcome.Exception) && ++failures <= MaxFailures);
                },
                DelayGenerator = outcome =>
                {
                    if (outcome.Outcome.Exception is ApiCallException failed)
                    {
                        Log.LookFailed(logger, threadId, failed.Error.Status, failed.Error.Code, failures);
                        return new(PollPauses.AfterFailure(failures - 1, failed.Error.RetryAfter, Random.Shared.NextDouble()));
                    }

                    return new(PollPauses.Next(looks++, options.PollInterval, options.MaxPollInterval, Random.Shared.NextDouble()));
                },
            })
            .Build();
        return await pipeline.ExecuteAsync(async token => await look(token), cancellationToken);
    }

    /// <summary>Repeats a look that isn't about a run's state: a list, a message.</summary>
    public Task<JsonElement> OnceAsync(string threadId, Func<CancellationToken, Task<JsonElement>> look, CancellationToken cancellationToken) =>
        UntilOverAsync(threadId, look, static _ => true, cancellationToken);

    private bool IsPassing(Exception exception) =>
        exception is ApiCallException { Error: var error }
        && (ErrorMap.Classify(error) == BackendErrorKind.Transient || (error.Code == ErrorMap.Unreachable && isUnderWay()));
}
