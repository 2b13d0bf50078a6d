using System.Net;
using System.Text;

namespace AssistantQueue.Tests.OpenAIBackends;

/// <summary>A service whose conversations show what is new in them later than anybody looks.</summary>
internal sealed class LateItems() : DelegatingHandler(new SocketsHttpHandler())
{
    private const string None = """{"object":"list","data":[],"first_id":null,"last_id":null,"has_more":false}""";

    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
        request.Method == HttpMethod.Get && request.RequestUri!.AbsolutePath.EndsWith("/items", StringComparison.Ordinal)
            ? Task.FromResult(new HttpResponseMessage(HttpStatusCode.OK) { RequestMessage = request, Content = new StringContent(None, Encoding.UTF8, "application/json") })
            : base.SendAsync(request, cancellationToken);
}
