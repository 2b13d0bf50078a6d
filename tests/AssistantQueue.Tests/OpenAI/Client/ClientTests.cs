using System.ClientModel;
using Azure.Core;
using AssistantQueue.Emulators;
using AssistantQueue.OpenAI.Client;
using Microsoft.Extensions.DependencyInjection;
using OpenAI;

namespace AssistantQueue.Tests.OpenAIBackends.Client;

/// <summary>The clients that the backend makes, and those that it is given.</summary>
public class ClientTests : BackendTest
{
    protected override void Configure(OpenAIOptions options) => options.Model = "gpt-test";

    [Fact]
    public async Task Run_AzureResourceWithKey_ChainsResponsesBelowOpenaiV1()
    {
        var backend = NewBackend(Azure);
        var first = new StoredBatch("t", "hi");
        await CompleteAsync(backend, first);

        var reply = await CompleteAsync(backend, new StoredBatch("t", "again") { BatchId = "batch-2", Conversation = first.Conversation });

        Assert.Contains("Before that you had written 1 message", reply.Text);
        Assert.All(Ledger.Requests, r => Assert.StartsWith("/openai/v1/responses", r.Path));
    }

    [Fact]
    public async Task Run_AzureEndpointWithConversationsOn_HasConversations()
    {
        Emulator.Options.AzureHasConversations = true;

        await CompleteAsync(NewBackend(o =>
        {
            Azure(o);
            o.UseConversations = true;
        }), new StoredBatch("t", "hi"));

        Assert.Contains(Ledger.Requests, r => r is { Operation: "create_conversation", Status: 200 });
    }

    [Theory]
    [InlineData("2025-04-01-preview", "/openai/threads")]
    [InlineData(null, "/openai/v1/threads")]
    public async Task Run_AzureAssistants_ReachesTheDatedOrThePlainPath(string? version, string path)
    {
        await CompleteAsync(NewBackend(o =>
        {
            Azure(o);
            o.AssistantId = "asst_1";
            o.AzureApiVersion = version;
        }), new StoredBatch("t", "hi"));

        Assert.All(Ledger.Requests, r => Assert.StartsWith(path, r.Path));
        Assert.All(Ledger.Requests, r => Assert.Equal(version is not null, r.Path.Contains($"api-version={version}", StringComparison.Ordinal) && version is not null));
    }

    [Fact]
    public async Task Run_GivenClientWithTheSdksRetries_IsStillPostedOnce()
    {
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.Error, Status = 500 });
        var given = new OpenAIClient(new ApiKeyCredential("sk-given"), new OpenAIClientOptions { Endpoint = Emulator.BaseUrl });

        await FailAsync(NewBackend(o => o.ApiKey = null, services: s => s.AddSingleton(given)), new StoredBatch("t", "hi"));

        Assert.Equal(1, Ledger.TimesPosted("hi"));
    }

    [Fact]
    public async Task Run_GivenClientWithTheSdksRetriesAndACutConnection_IsStillPostedOnce()
    {
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.Cut, AfterWork = true });
        var given = new OpenAIClient(new ApiKeyCredential("sk-given"), new OpenAIClientOptions { Endpoint = Emulator.BaseUrl });

        var failure = await FailAsync(NewBackend(o => o.ApiKey = null, services: s => s.AddSingleton(given)), new StoredBatch("t", "hi"));

        Assert.Equal(1, Ledger.TimesPosted("hi"));
        Assert.True(failure.IsOutcomeUnknown);
    }

    [Fact]
    public async Task Run_NamedQueue_TakesTheClientThatIsKeyedByItsName()
    {
        var services = new ServiceCollection();
        services.AddSingleton<TimeProvider>(Time);
        services.AddSingleton(new OpenAIClient(new ApiKeyCredential("sk"), new OpenAIClientOptions { Endpoint = new Uri("http://127.0.0.1:9/v1") }));
        services.AddKeyedSingleton("support", new OpenAIClient(new ApiKeyCredential("sk"), new OpenAIClientOptions { Endpoint = Emulator.BaseUrl }));
        services.AddAssistantMessageQueue("support", o => o.RedisConnectionString = "127.0.0.1:1").UseOpenAI(Configure);
        await using var host = services.BuildServiceProvider();

        await CompleteAsync(host.GetRequiredKeyedService<IAssistantBackend>("support"), new StoredBatch("t", "hi"));

        Assert.Single(Ledger.Runs);
    }

    [Theory]
    [InlineData("http://127.0.0.1:9/v1", null, "AssistantQueue:OpenAI:Endpoint")]
    [InlineData(null, "http://127.0.0.1:9", "AssistantQueue:OpenAI:AzureEndpoint")]
    public async Task Run_NothingListens_PausesTheBackendAndNamesTheAddressToLookAt(string? endpoint, string? azure, string setting)
    {
        var failure = await FailAsync(
            NewBackend(o =>
            {
                o.Endpoint = endpoint is null ? null : new Uri(endpoint);
                o.AzureEndpoint = azure is null ? null : new Uri(azure);
            }),
            new StoredBatch("t", "hi") { Conversation = { ["conversation"] = "conv_1", ["last_item"] = "msg_1" } });

        Assert.Equal(BackendErrorKind.BackendUnavailable, failure.Kind);
        Assert.False(failure.IsOutcomeUnknown);
        Assert.Contains("can't be reached", failure.Message);
        Assert.Contains($"Look at {setting}.", failure.Message);
    }

    [Fact]
    public async Task Run_NothingListensAndTheConversationsEndIsNotKnown_PausesTheBackendWithoutAskingTenTimes()
    {
        var before = Time.Waited;

        var failure = await FailAsync(NewBackend(o => o.Endpoint = new Uri("http://127.0.0.1:9/v1")), new StoredBatch("t", "hi") { Conversation = { ["conversation"] = "conv_1" } });

        Assert.Equal(BackendErrorKind.BackendUnavailable, failure.Kind);
        Assert.Equal(before, Time.Waited);
    }

    [Fact]
    public async Task Run_NobodyToTrustThere_PausesTheBackend()
    {
        // the emulator speaks no TLS
        var failure = await FailAsync(NewBackend(o => o.Endpoint = new Uri($"https://127.0.0.1:{Emulator.BaseUrl.Port}/v1")), new StoredBatch("t", "hi"));

        Assert.Equal(BackendErrorKind.BackendUnavailable, failure.Kind);
        Assert.Contains("Look at AssistantQueue:OpenAI:Endpoint.", failure.Message);
        Assert.Empty(Ledger.Requests);
    }

    [Fact]
    public async Task Run_UnreachableWhileAResponseIsUnderWay_KeepsItForTheNextOwner()
    {
        var batch = new StoredBatch("t", "/slow 1\nhi");
        await LeaveAsync(NewBackend(), batch, update => update is RunStarted);

        var failure = await FailAsync(NewBackend(o => o.Endpoint = new Uri("http://127.0.0.1:9/v1")), batch);
        var reply = await CompleteAsync(NewBackend(), batch);

        Assert.Equal((BackendErrorKind.BackendUnavailable, true), (failure.Kind, failure.IsOutcomeUnknown));
        Assert.Equal(Assert.Single(Ledger.Runs).Id, reply.RunId);
    }

    [Fact]
    public async Task Run_HttpClientWithoutKey_IsLeftToTheApp()
    {
        // as AddHttpClient() registers one, with whatever the app's defaults put into it
        await CompleteAsync(NewBackend(services: s => s.AddTransient(_ => new HttpClient(new BreaksAfterTheWork()))), new StoredBatch("t", "hi"));

        Assert.Single(Ledger.Runs);
    }

    [Fact]
    public async Task Run_NamedQueue_TakesTheHttpClientThatIsKeyedByItsName()
    {
        var services = new ServiceCollection();
        services.AddSingleton<TimeProvider>(Time);
        services.AddKeyedSingleton("AssistantQueue", new HttpClient(new BreaksAfterTheWork()));
        services.AddKeyedSingleton("support", new HttpClient());
        services.AddAssistantMessageQueue("support", o => o.RedisConnectionString = "127.0.0.1:1").UseOpenAI(o =>
        {
            (o.ApiKey, o.Endpoint) = ("sk-test", Emulator.BaseUrl);
            Configure(o);
        });
        await using var host = services.BuildServiceProvider();

        await CompleteAsync(host.GetRequiredKeyedService<IAssistantBackend>("support"), new StoredBatch("t", "hi"));

        Assert.Single(Ledger.Runs);
    }

    [Fact]
    public async Task Run_HandlerOfTheAppThrowsAfterTheWork_IsFoundAndNotPostedAgain()
    {
        var breaks = new BreaksAfterTheWork();
        var batch = new StoredBatch("t", "hi");

        var failure = await FailAsync(NewBackend(services: s => s.AddKeyedSingleton("AssistantQueue", new HttpClient(breaks))), batch);
        await CompleteAsync(NewBackend(), batch);

        Assert.Equal((BackendErrorKind.Transient, true), (failure.Kind, failure.IsOutcomeUnknown));
        Assert.Contains("The handler gave up", failure.Message);
        Assert.Equal(1, Ledger.TimesPosted("hi"));
    }

    [Fact]
    public async Task Run_ApiHangs_EndsAfterTheNetworkTimeoutWithAnUnknownOutcome()
    {
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.Hang });

        var failure = await FailAsync(NewBackend(o => o.NetworkTimeout = TimeSpan.FromSeconds(1)), new StoredBatch("t", "hi"));

        Assert.Equal(BackendErrorKind.Transient, failure.Kind);
        Assert.True(failure.IsOutcomeUnknown);
        Assert.Contains("NetworkTimeout", failure.Message);
    }

    [Fact]
    public async Task Run_WrongKey_PausesTheBackendAndNeverSaysTheKey()
    {
        const string key = "sk-very-secret-indeed";
        Emulator.Options.ApiKeys.Add("sk-good");
        Emulator.Faults.Add(new() { Kind = OpenAIFaultKind.Error, Status = 401, Code = "invalid_api_key", Message = $"Incorrect API key provided: {key}." });

        var failure = await FailAsync(NewBackend(o => o.ApiKey = key), new StoredBatch("t", "hi"));

        Assert.Equal(BackendErrorKind.BackendUnavailable, failure.Kind);
        Assert.Contains("AssistantQueue:OpenAI:ApiKey", failure.Message);
        Assert.DoesNotContain(key, failure.ToString());
    }

    [Fact]
    public async Task Run_ClientCanNotBeMade_PausesTheBackendAndIsTriedAgainWithTheNextRun()
    {
        var isBroken = true;
        var backend = NewBackend(services: s => s.AddKeyedTransient("AssistantQueue", (_, _) => isBroken ? throw new InvalidOperationException("no proxy is set") : new HttpClient()));
        var batch = new StoredBatch("t", "hi");

        var failure = await FailAsync(backend, batch);
        isBroken = false;
        await CompleteAsync(backend, batch);

        Assert.Equal(BackendErrorKind.BackendUnavailable, failure.Kind);
        Assert.Contains("(AssistantQueue:OpenAI): no proxy is set", failure.Message);
        Assert.Equal(1, Ledger.TimesPosted("hi"));
    }

    [Fact]
    public async Task Run_ClientCanNotBeMadeWhileAResponseIsUnderWay_LeavesItToTheNextOwner()
    {
        var batch = new StoredBatch("t", "/slow 1\nhi");
        await LeaveAsync(NewBackend(), batch, update => update is RunStarted);

        var failure = await FailAsync(NewBackend(services: NoProxy), batch);
        var reply = await CompleteAsync(NewBackend(), batch);

        Assert.Equal(BackendErrorKind.BackendUnavailable, failure.Kind);
        Assert.Equal(Assert.Single(Ledger.Runs).Id, reply.RunId);
        Assert.Equal(1, Ledger.TimesPosted("/slow 1\nhi"));

        static void NoProxy(IServiceCollection services) => services.AddKeyedTransient<HttpClient>("AssistantQueue", (_, _) => throw new InvalidOperationException("no proxy is set"));
    }

    [Fact]
    public async Task Run_CredentialGivesNoToken_PausesTheBackend()
    {
        var failure = await FailAsync(
            NewBackend(
                o =>
                {
                    o.Endpoint = null;
                    o.ApiKey = null;
                    o.AzureEndpoint = new Uri("https://example.openai.azure.com");
                },
                services: s => s.AddSingleton<TokenCredential>(new NoToken())),
            new StoredBatch("t", "hi"));

        Assert.Equal(BackendErrorKind.BackendUnavailable, failure.Kind);
        Assert.Contains("nobody is signed in", failure.Message);
        Assert.Contains("Look at the TokenCredential in DI.", failure.Message);
        Assert.False(failure.IsOutcomeUnknown);
    }

    [Theory]
    [InlineData("https://r.openai.azure.com", "https://r.openai.azure.com/openai/v1", "https://r.openai.azure.com/openai")]
    [InlineData("https://r.openai.azure.com/", "https://r.openai.azure.com/openai/v1", "https://r.openai.azure.com/openai")]
    [InlineData("https://r.openai.azure.com/openai/v1/", "https://r.openai.azure.com/openai/v1", "https://r.openai.azure.com/openai")]
    [InlineData("https://r.openai.azure.com/openai", "https://r.openai.azure.com/openai/v1", "https://r.openai.azure.com/openai")]
    [InlineData("https://x.services.ai.azure.com/api/projects/p", "https://x.services.ai.azure.com/api/projects/p/openai/v1", "https://x.services.ai.azure.com/api/projects/p/openai")]
    public void AzureEndpoints_AnySpelling_IsCompleted(string given, string v1, string dated)
    {
        Assert.Equal(v1, AzureEndpoints.V1(new Uri(given)).ToString());
        Assert.Equal(dated, AzureEndpoints.Dated(new Uri(given)).ToString());
    }

    [Theory]
    [InlineData("https://r.openai.azure.com/openai/v1", false)]
    [InlineData("https://x.services.ai.azure.com/openai/v1", false)]
    [InlineData("https://x.services.ai.azure.com/api/projects/p/openai/v1", true)]
    [InlineData("https://api.openai.com/v1", true)]
    [InlineData("http://localhost:8080/v1", true)]
    public void HasConversations_FollowsFromTheEndpoint(string endpoint, bool expected)
    {
        var options = new OpenAIOptions { ApiKey = "k", Endpoint = new Uri(endpoint) };
        using var services = new ServiceCollection().BuildServiceProvider();

        Assert.Equal(expected, OpenAIClientFactory.HasConversations(OpenAIClientFactory.Create(services, "", options), options));
    }

    private void Azure(OpenAIOptions options)
    {
        options.Endpoint = null;
        options.AzureEndpoint = new Uri(Emulator.BaseUrl, "/");
    }

    /// <summary>Lets a response be made, then throws what no transport throws, as resilience handlers do.</summary>
    private sealed class BreaksAfterTheWork() : DelegatingHandler(new SocketsHttpHandler())
    {
        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            var response = await base.SendAsync(request, cancellationToken);
            return request.RequestUri!.AbsolutePath.EndsWith("/responses", StringComparison.Ordinal) ? throw new InvalidOperationException("The handler gave up.") : response;
        }
    }

    private sealed class NoToken : TokenCredential
    {
        public override AccessToken GetToken(TokenRequestContext requestContext, CancellationToken cancellationToken) => throw new InvalidOperationException("nobody is signed in");

        public override ValueTask<AccessToken> GetTokenAsync(TokenRequestContext requestContext, CancellationToken cancellationToken) => throw new InvalidOperationException("nobody is signed in");
    }
}
