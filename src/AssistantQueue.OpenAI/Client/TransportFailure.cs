using System.ClientModel;
using System.Net.Http;
using AssistantQueue.OpenAI.Errors;

namespace AssistantQueue.OpenAI.Client;

/// <summary>What an exception says about a call that got no answer: whether it can have been taken, and what keeps it from getting through.</summary>
internal static class TransportFailure
{
    /// <param name="exception">What was thrown.</param>
    /// <param name="wasHandedOver">Whether the request had reached the transport.</param>
    public static ApiCallException From(Exception exception, bool wasHandedOver) => exception switch
    {
        ApiCallException known => known,
        // a credential that gives no token, a header that can't be built
        _ when !wasHandedOver => new(new() { Code = ErrorMap.NotSent, Message = exception.Message }, mayHaveBeenTaken: false, exception),
        OperationCanceledException => None("The API did not answer in time (NetworkTimeout).", exception),
        ClientResultException { InnerException: HttpRequestException http } => Of(http, exception),
        HttpRequestException http => Of(http, exception),
        // not: known ones only
        // but: handlers of the app's HttpClient throw what they like, and what they throw says nothing about what was sent
        _ => None($"The connection to the API broke: {exception.Message}", exception),
    };

    private static ApiCallException Of(HttpRequestException http, Exception exception)
    {
        // these happen before the first byte of the request is on its way
        var isSurelyNotSent = http.HttpRequestError is HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError
            or HttpRequestError.SecureConnectionError or HttpRequestError.ProxyTunnelError;
        return isSurelyNotSent
            ? new(new() { Code = ErrorMap.Unreachable, Message = $"The API can't be reached: {http.Message}." }, mayHaveBeenTaken: false, exception)
            : None($"The connection to the API broke: {http.Message}", exception);
    }

    private static ApiCallException None(string message, Exception inner) =>
        new(new() { Message = message }, mayHaveBeenTaken: true, inner);
}
