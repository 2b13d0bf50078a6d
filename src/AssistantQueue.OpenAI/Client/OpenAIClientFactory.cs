using System.ClientModel;
using System.ClientModel.Primitives;
using Azure.AI.OpenAI;
using Azure.Core;
using Microsoft.Extensions.DependencyInjection;
using OpenAI;

namespace AssistantQueue.OpenAI.Client;

/// <summary>Makes a queue's client from its settings, or takes what the app has put into DI for it.</summary>
internal static class OpenAIClientFactory
{
    private const string ProjectAudience = "https://ai.azure.com/.default";
    private const string ResourceAudience = "https://cognitiveservices.azure.com/.default";
    private const string UserAgent = "AssistantQueue";

    /// <summary>The key of an <see cref="HttpClient"/> for all queues.</summary>
    private const string HttpClientKey = "AssistantQueue";

    public static OpenAIClient Create(IServiceProvider services, string name, OpenAIOptions options)
    {
        if (Given<OpenAIClient>(services, name) is { } given)
        {
            return given;
        }

        var http = GivenHttpClient(services, name) ?? NewHttpClient();
        if (options.AzureEndpoint is not { } azure)
        {
            return new OpenAIClient(new ApiKeyCredential(options.ApiKey!), With(new OpenAIClientOptions { Endpoint = options.Endpoint }, options, http));
        }

        var credential = string.IsNullOrEmpty(options.ApiKey) ? Given<TokenCredential>(services, name) : null;
        return options.EffectiveApi == OpenAIApi.Assistants
            ? AzureAssistants(azure, credential is null ? null : new KeptTokenCredential(credential, services.GetService<TimeProvider>() ?? TimeProvider.System), options, http)
            : AzureResponses(AzureEndpoints.V1(azure), credential, options, http);
    }

    /// <summary>Whether threads can have conversations there.</summary>
    public static bool HasConversations(OpenAIClient client, OpenAIOptions options)
    {
        var endpoint = options.AzureEndpoint ?? client.Endpoint;
        var isAzure = options.AzureEndpoint is not null || client is AzureOpenAIClient || (endpoint is not null && AzureEndpoints.IsAzure(endpoint));
        return !isAzure || (endpoint is not null && AzureEndpoints.IsProject(endpoint));
    }

    private static AzureOpenAIClient AzureResponses(Uri endpoint, TokenCredential? credential, OpenAIOptions options, HttpClient http)
    {
        var client = With(new AzureOpenAIClientOptions { UserAgentApplicationId = UserAgent }, options, http);
        if (credential is null)
        {
            return new AzureOpenAIClient(endpoint, new ApiKeyCredential(options.ApiKey!), client);
        }

        client.Audience = Audience(endpoint);
        return new AzureOpenAIClient(endpoint, credential, client);
    }

    // AzureOpenAIClient has no Assistants any more; the plain client reaches them with Azure's way of signing in
    private static OpenAIClient AzureAssistants(Uri azure, KeptTokenCredential? credential, OpenAIOptions options, HttpClient http)
    {
        var isDated = !string.IsNullOrEmpty(options.AzureApiVersion);
        var client = With(new OpenAIClientOptions { Endpoint = isDated ? AzureEndpoints.Dated(azure) : AzureEndpoints.V1(azure) }, options, http);
        if (isDated)
        {
            client.AddPolicy(new ApiVersionPolicy(options.AzureApiVersion!), PipelinePosition.PerCall);
        }

        AuthenticationPolicy signIn = credential is null
            ? ApiKeyAuthenticationPolicy.CreateHeaderApiKeyPolicy(new ApiKeyCredential(options.ApiKey!), "api-key")
            : new BearerTokenPolicy(credential, Audience(azure));
        return new OpenAIClient(signIn, client);
    }

    private static string Audience(Uri endpoint) => AzureEndpoints.IsProject(endpoint) ? ProjectAudience : ResourceAudience;

    private static T With<T>(T client, OpenAIOptions options, HttpClient http)
        where T : ClientPipelineOptions
    {
        // the SDK's own retries repeat a failed post four times without a pause: retries are the queue's business
        client.RetryPolicy = new ClientRetryPolicy(maxRetries: 0);
        client.NetworkTimeout = options.NetworkTimeout;
        client.Transport = new HttpClientPipelineTransport(http);
        if (client is OpenAIClientOptions plain)
        {
            plain.UserAgentApplicationId = UserAgent;
        }

        return client;
    }

    private static HttpClient NewHttpClient() => new(new SocketsHttpHandler
    {
        // a long-lived worker must notice when the service's address moves
        PooledConnectionLifetime = TimeSpan.FromMinutes(5),
        ConnectTimeout = TimeSpan.FromSeconds(15),
    })
    {
        // HttpClient's own 100 s would cut calls that NetworkTimeout allows
        Timeout = Timeout.InfiniteTimeSpan,
    };

    // not: the HttpClient without a key, as for the other types
    // but: every app with AddHttpClient() has one, made for other purposes: retries in it repeat posts, its timeout cuts streams
    private static HttpClient? GivenHttpClient(IServiceProvider services, string name) =>
        Keyed<HttpClient>(services, name) ?? Keyed<HttpClient>(services, HttpClientKey);

    private static T? Given<T>(IServiceProvider services, string name)
        where T : class
        => Keyed<T>(services, name) ?? services.GetService<T>();

    private static T? Keyed<T>(IServiceProvider services, string key)
        where T : class
        => key.Length > 0 && services is IKeyedServiceProvider keyed ? keyed.GetKeyedService(typeof(T), key) as T : null;
}
