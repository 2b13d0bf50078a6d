using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text.Json.Serialization;

namespace AssistantQueue.IntegrationTests.Redis;

/// <summary>The Docker engine's own interface, for what Testcontainers doesn't offer: whether one answers, SIGKILL, and removing a container without its reaper.</summary>
internal static class DockerEngine
{
    private const string DefaultSocket = "/var/run/docker.sock";

    // What the client library asks for when nobody says otherwise.
    private static readonly Version Expected = new(1, 44);

    private static readonly HttpClient Client = new(new SocketsHttpHandler { ConnectCallback = ConnectAsync })
    {
        BaseAddress = new Uri("http://docker"),
        Timeout = TimeSpan.FromSeconds(10),
    };

    /// <summary>Whether an engine answers; an older one is told to the client library by its environment variable.</summary>
    public static async Task<bool> AnswersAsync()
    {
        try
        {
            var version = await Client.GetFromJsonAsync<EngineVersion>("/version");
            if (Version.TryParse(version?.ApiVersion, out var api) && api < Expected && Environment.GetEnvironmentVariable("DOCKER_API_VERSION") is null)
            {
                Environment.SetEnvironmentVariable("DOCKER_API_VERSION", api.ToString());
            }

            return version is not null;
        }
        catch (Exception e) when (e is HttpRequestException or TaskCanceledException or NotSupportedException)
        {
            // No engine is an answer, not an error.
            return false;
        }
    }

    /// <summary>SIGKILL to a container.</summary>
    public static async Task KillAsync(string containerId)
    {
        using var answer = await Client.PostAsync(new Uri($"/containers/{containerId}/kill", UriKind.Relative), content: null);
        answer.EnsureSuccessStatusCode();
        // Answers when the container is down.
        using var down = await Client.PostAsync(new Uri($"/containers/{containerId}/wait?condition=not-running", UriKind.Relative), content: null);
        down.EnsureSuccessStatusCode();
    }

    /// <summary>Removes a container with its volume, if it is still there.</summary>
    public static async Task RemoveAsync(string containerId)
    {
        using var answer = await Client.DeleteAsync(new Uri($"/containers/{containerId}?force=true&v=true", UriKind.Relative));
        if (answer.StatusCode is not (HttpStatusCode.NotFound or HttpStatusCode.Conflict))
        {
            // A conflict: it is being removed already.
            answer.EnsureSuccessStatusCode();
        }
    }

    private static async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken)
    {
        var host = Environment.GetEnvironmentVariable("DOCKER_HOST") is { Length: > 0 } given ? new Uri(given) : new Uri("unix://" + DefaultSocket);
        if (host.Scheme is not ("unix" or "tcp"))
        {
            throw new NotSupportedException($"An engine at {host.Scheme} isn't looked for.");
        }

        var socket = host.Scheme == "unix"
            ? new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified)
            : new Socket(SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await (host.Scheme == "unix"
                ? socket.ConnectAsync(new UnixDomainSocketEndPoint(host.AbsolutePath), cancellationToken)
                : socket.ConnectAsync(host.Host, host.Port, cancellationToken));
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private sealed record EngineVersion([property: JsonPropertyName("ApiVersion")] string? ApiVersion);
}
