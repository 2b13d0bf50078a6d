using System.ClientModel.Primitives;
using AssistantQueue.OpenAI.Errors;

namespace AssistantQueue.OpenAI.Client;

/// <summary>Ends one call after one try, whatever the client's own retry policy wants: a repeated post is a second message.</summary>
/// <remarks>Stands behind the retry policy and throws what no retry policy repeats. The queue's own clients have no retries; one that the app gave usually has the SDK's default of four tries without a pause.</remarks>
internal sealed class OneTryPolicy(TimeProvider time, string? secret, HandOverPolicy handOver) : PipelinePolicy
{
    public override void Process(PipelineMessage message, IReadOnlyList<PipelinePolicy> pipeline, int currentIndex) =>
        throw new NotSupportedException("The queue makes asynchronous calls only.");

    public override async ValueTask ProcessAsync(PipelineMessage message, IReadOnlyList<PipelinePolicy> pipeline, int currentIndex)
    {
        try
        {
            await ProcessNextAsync(message, pipeline, currentIndex);
            if (message.Response is { Status: >= 300 } refused)
            {
                var body = await refused.BufferContentAsync(message.CancellationToken);
                var error = ApiError.Read(refused.Status, body.ToMemory().Span, RetryAfterOf(refused));
                if (secret is { Length: > 0 })
                {
                    // some gateways repeat the key they refuse, and error messages end in logs
                    error = error with { Message = error.Message.Replace(secret, "***", StringComparison.Ordinal) };
                }

                throw new ApiCallException(error, ErrorMap.MayHaveBeenTaken(error));
            }
        }
        catch (Exception exception) when (!message.CancellationToken.IsCancellationRequested)
        {
            throw TransportFailure.From(exception, handOver.IsDone);
        }
    }

    private TimeSpan? RetryAfterOf(PipelineResponse response)
    {
        response.Headers.TryGetValue("retry-after-ms", out var milliseconds);
        response.Headers.TryGetValue("retry-after", out var seconds);
        return RetryAfter.Read(milliseconds, seconds, time.GetUtcNow());
    }
}
