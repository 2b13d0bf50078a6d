using System.Net;

namespace AssistantQueue.ChatClient;

/// <summary>What an exception of a model's client means for the queue. Pure, but for the app's own rule. Also compiled into AssistantQueue.Agents.</summary>
internal static class ChatErrors
{
    /// <summary>Whether an exception is the queue's own word and passes as it is.</summary>
    public static bool IsOurs(Exception e) => e is AssistantQueueException;

    /// <param name="e">What the client threw; not of a cancelled run.</param>
    /// <param name="classify">The app's rule, which wins.</param>
    /// <param name="keepsRounds">Whether the next attempt goes on after the rounds that the journal has.</param>
    public static AssistantBackendException Of(Exception e, Func<Exception, BackendErrorKind?>? classify, bool keepsRounds)
    {
        var status = (e as HttpRequestException)?.StatusCode;
        return new AssistantBackendException(classify?.Invoke(e) ?? KindOf(e, status), $"{e.GetType().Name}: {e.Message}", e)
        {
            Status = (int?)status,
            IsOutcomeUnknown = keepsRounds,
        };
    }

    private static BackendErrorKind KindOf(Exception e, HttpStatusCode? status) => e switch
    {
        HttpRequestException => (int?)status switch
        {
            401 or 402 or 403 or 404 or 405 or 410 => BackendErrorKind.BackendUnavailable,
            408 or 409 or 425 or 429 => BackendErrorKind.Transient,
            >= 400 and < 500 => BackendErrorKind.Permanent,
            _ => BackendErrorKind.Transient,
        },
        ArgumentException or NotSupportedException => BackendErrorKind.Permanent,
        // Broken connections, timeouts, an SDK's own exceptions: trying again costs little.
        _ => BackendErrorKind.Transient,
    };
}
