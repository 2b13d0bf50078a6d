using Azure.Core;

namespace AssistantQueue.OpenAI.Client;

/// <summary>Asks the app's credential for a token of one scope only when the one before is nearly over.</summary>
/// <remarks>The plain client asks for each request, and not every credential remembers: one that runs a command would run it for each look at a run. Thread-safe.</remarks>
internal sealed class KeptTokenCredential(TokenCredential credential, TimeProvider time) : TokenCredential
{
    // A token that ends on its way is refused; Azure's own clients take a new one as early.
    private static readonly TimeSpan Margin = TimeSpan.FromMinutes(5);

    private volatile Kept? _kept;

    public override AccessToken GetToken(TokenRequestContext requestContext, CancellationToken cancellationToken) =>
        Current() ?? Keep(credential.GetToken(requestContext, cancellationToken));

    public override async ValueTask<AccessToken> GetTokenAsync(TokenRequestContext requestContext, CancellationToken cancellationToken) =>
        Current() ?? Keep(await credential.GetTokenAsync(requestContext, cancellationToken));

    private AccessToken? Current() => _kept is { Token: var token } && time.GetUtcNow() < (token.RefreshOn ?? token.ExpiresOn - Margin) ? token : null;

    private AccessToken Keep(AccessToken token)
    {
        _kept = new Kept(token);
        return token;
    }

    private sealed record Kept(AccessToken Token);
}
