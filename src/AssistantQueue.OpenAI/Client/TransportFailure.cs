using System.ClientModel;
using System.Net.Http;
using AssistantQueue.OpenAI.Errors;

namespace AssistantQueue.OpenAI.Client;

/// <summary>What an exception of the transport says about a call: no answer, and whether it can have been taken.</summary>
internal static class TransportFailure
{
    public static ApiCallException From(Exception exception) => exception switch
    {
        ApiCallException known => known,
        OperationCanceledException => None("The API did not answer in time (NetworkTimeout).", mayHaveBeenTaken: true, exception),
        ClientResultException { InnerException: HttpRequestException http } => Of(http, exception),
        HttpRequestException http => Of(http, exception),
        ClientResultException or IOException => None($"The connection to the API broke: {exception.Message}", mayHaveBeenTaken: true, exception),
        // a credential that gives no token, a header that can't be built: nothing was sent, and nothing can be
        _ => new(new() { Code = ErrorMap.NotSent, Message = exception.Message }, mayHaveBeenTaken: false, exception),
    };

    private static ApiCallException Of(HttpRequestException http, Exception exception)
    {
        // these happen before the first byte of the request is on its way
        var isSurelyNotSent = http.HttpRequestError is HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError
            or HttpRequestError.SecureConnectionError or HttpRequestError.ProxyTunnelError;
        return None(
            isSurelyNotSent ? $"The API can't be reached: {http.Message}" : $"The connection to the API broke: {http.Message}",
            !isSurelyNotSent,
            exception);
    }

    private static ApiCallException None(string message, bool mayHaveBeenTaken, Exception inner) =>
        new(new() { Message = message }, mayHaveBeenTaken, inner);
}
