using Azure.Core;
using AssistantQueue.Emulators;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace AssistantQueue.Tests.OpenAIBackends.Client;

/// <summary>A whole queue at Azure without a key: it signs in with the <see cref="TokenCredential"/> in DI, over https, at Azure's own addresses.</summary>
public sealed class AzureSignInTests
{
    private const string ResourceScope = "https://cognitiveservices.azure.com/.default";
    private const string ProjectScope = "https://ai.azure.com/.default";

    [Theory]
    [InlineData("Resource", "Model", "gpt-test", null, ResourceScope, "/openai/v1/responses")]
    [InlineData("FoundryProject", "Model", "gpt-test", null, ProjectScope, "/api/projects/p/openai/v1/conversations")]
    [InlineData("Resource", "AssistantId", "asst_1", null, ResourceScope, "/openai/v1/threads")]
    [InlineData("Resource", "AssistantId", "asst_1", "2025-04-01-preview", ResourceScope, "/openai/threads")]
    public async Task Ask_TokenCredentialInDI_SignsInWithItsTokensForAzuresScope(string endpoint, string setting, string value, string? version, string scope, string firstPath)
    {
        var azure = endpoint == "Resource" ? AzureFront.Resource : AzureFront.FoundryProject;
        var credential = new Tokens();
        await using var emulator = await OpenAIEmulator.StartAsync(new OpenAIEmulatorOptions { AzureHasConversations = endpoint != "Resource", ApiKeys = { "token-1", "token-2" } });
        await using var front = await AzureFront.StartAsync(emulator);
        await using var redis = await EmbeddedRedis.StartAsync();
        using var host = BuildHost(redis, front, credential, new() { ["AzureEndpoint"] = azure.ToString(), [setting] = value, ["AzureApiVersion"] = version });
        await host.StartAsync();

        var reply = await host.Services.GetRequiredService<IAssistantMessageQueue>().AskAsync("c1", "who is there?").WaitAsync(TimeSpan.FromSeconds(60));

        Assert.Contains("who is there?", reply.Text, StringComparison.Ordinal);
        Assert.Single(emulator.Ledger.Snapshot().Runs);
        Assert.Equal(azure.Host + firstPath, front.Addresses.First());
        // The first token is over at once; the second is used for as long as it lasts.
        Assert.Equal(["Bearer token-1", "Bearer token-2"], front.SignIns.Distinct());
        Assert.Equal([scope, scope], credential.Scopes);
        await host.StopAsync();
    }

    private static IHost BuildHost(EmbeddedRedis redis, AzureFront front, TokenCredential credential, Dictionary<string, string?> openAI)
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Configuration.AddInMemoryCollection(openAI.Where(s => s.Value is not null).ToDictionary(s => "AssistantQueue:OpenAI:" + s.Key, s => s.Value));
        builder.Services.AddKeyedSingleton("AssistantQueue", front.Client);
        builder.Services.AddSingleton(credential);
        builder.Services
            .AddAssistantMessageQueue(o => (o.RedisConnectionString, o.MessageDelay) = (redis.ConnectionString, TimeSpan.Zero))
            .UseOpenAI(o => o.PollInterval = TimeSpan.FromMilliseconds(20));
        return builder.Build();
    }

    /// <summary>Gives token-1, which is over at once, then token-2, which lasts an hour.</summary>
    private sealed class Tokens : TokenCredential
    {
        private readonly List<string> _scopes = [];

        public IReadOnlyList<string> Scopes => _scopes;

        public override AccessToken GetToken(TokenRequestContext requestContext, CancellationToken cancellationToken)
        {
            lock (_scopes)
            {
                _scopes.AddRange(requestContext.Scopes);
                return new AccessToken($"token-{_scopes.Count}", DateTimeOffset.UtcNow + (_scopes.Count == 1 ? TimeSpan.Zero : TimeSpan.FromHours(1)));
            }
        }

        public override ValueTask<AccessToken> GetTokenAsync(TokenRequestContext requestContext, CancellationToken cancellationToken) => new(GetToken(requestContext, cancellationToken));
    }
}
