using System.Collections.Concurrent;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using AssistantQueue.Emulators;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;

namespace AssistantQueue.Tests.OpenAIBackends.Client;

/// <summary>Azure's side of the network: the emulator behind https and Azure's host names, with a certificate that only <see cref="Client"/> trusts.</summary>
internal sealed class AzureFront : IAsyncDisposable
{
    private const string Project = "/api/projects/p";

    private readonly WebApplication _server;
    private readonly X509Certificate2 _certificate;
    private readonly HttpClient _onward;

    private AzureFront(WebApplication server, X509Certificate2 certificate, HttpClient onward)
    {
        (_server, _certificate, _onward) = (server, certificate, onward);
        Client = new HttpClient(new SocketsHttpHandler
        {
            ConnectCallback = async (_, token) =>
            {
                var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
                await socket.ConnectAsync(IPAddress.Loopback, new Uri(server.Urls.Single()).Port, token);
                return new NetworkStream(socket, ownsSocket: true);
            },
            SslOptions = new SslClientAuthenticationOptions
            {
                // The name must be right; that nobody has signed it is known.
                RemoteCertificateValidationCallback = (_, shown, _, errors) =>
                    shown!.GetCertHashString() == certificate.Thumbprint && (errors & ~SslPolicyErrors.RemoteCertificateChainErrors) == SslPolicyErrors.None,
            },
        });
    }

    public static Uri Resource { get; } = new("https://queue-test.openai.azure.com");

    public static Uri FoundryProject { get; } = new("https://queue-test.services.ai.azure.com" + Project);

    /// <summary>Reaches this front at Azure's addresses.</summary>
    public HttpClient Client { get; }

    /// <summary>How each request had signed in, in order: its Authorization header, and its key behind a comma if it had one.</summary>
    public ConcurrentQueue<string> SignIns { get; } = [];

    /// <summary>The hosts and paths that were asked, in order.</summary>
    public ConcurrentQueue<string> Addresses { get; } = [];

    public static async Task<AzureFront> StartAsync(OpenAIEmulator emulator)
    {
        var certificate = NewCertificate();
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.UseHttps(certificate)));
        var server = builder.Build();
        var front = new AzureFront(server, certificate, new HttpClient { BaseAddress = new Uri(emulator.BaseUrl, "/") });
        server.Run(front.PassOnAsync);
        await server.StartAsync();
        return front;
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await _server.DisposeAsync();
        _onward.Dispose();
        _certificate.Dispose();
    }

    private static X509Certificate2 NewCertificate()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=queue-test", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(Resource.Host);
        names.AddDnsName(FoundryProject.Host);
        request.CertificateExtensions.Add(names.Build());
        return request.CreateSelfSigned(DateTimeOffset.UtcNow.AddHours(-1), DateTimeOffset.UtcNow.AddHours(1));
    }

    private async Task PassOnAsync(HttpContext http)
    {
        var path = http.Request.Path.Value!;
        Addresses.Enqueue(http.Request.Host.Value + path);
        SignIns.Enqueue(string.Join(',', http.Request.Headers.Authorization.Concat(http.Request.Headers["api-key"])));

        // The emulator has resources only; a project's paths are the same below its own.
        var target = (path.StartsWith(Project, StringComparison.Ordinal) ? path[Project.Length..] : path) + http.Request.QueryString;
        using var request = new HttpRequestMessage(new HttpMethod(http.Request.Method), target) { Content = new StreamContent(http.Request.Body) };
        foreach (var (name, value) in http.Request.Headers.Where(h => h.Key is "Authorization" or "api-key" or "OpenAI-Beta"))
        {
            request.Headers.TryAddWithoutValidation(name, value.AsEnumerable());
        }

        request.Content.Headers.TryAddWithoutValidation("Content-Type", http.Request.ContentType);
        using var answer = await _onward.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, http.RequestAborted);
        http.Response.StatusCode = (int)answer.StatusCode;
        http.Response.ContentType = answer.Content.Headers.ContentType?.ToString();
        await answer.Content.CopyToAsync(http.Response.Body, http.RequestAborted);
    }
}
