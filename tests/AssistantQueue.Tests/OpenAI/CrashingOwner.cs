namespace AssistantQueue.Tests.OpenAIBackends;

/// <summary>Kills an owner at one of its crash points: before or after a save, before or after a call to the API. Once dead it neither saves nor calls.</summary>
internal sealed class CrashingOwner(int at) : DelegatingHandler(new SocketsHttpHandler())
{
    private int _points;

    /// <summary>Gets how many crash points were passed.</summary>
    public int Points => _points;

    /// <summary>Gets what ends with the owner.</summary>
    public CancellationTokenSource Life { get; } = new();

    /// <summary>Gets where the owner died.</summary>
    public string? DiedAt { get; private set; }

    public void Pass(string what)
    {
        if (DiedAt is null && ++_points == at)
        {
            DiedAt = what;
            Life.Cancel();
        }

        if (DiedAt is not null)
        {
            throw new OwnerDiedException(DiedAt);
        }
    }

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var call = $"{request.Method} {request.RequestUri!.AbsolutePath}";
        Pass("before " + call);
        var response = await base.SendAsync(request, CancellationToken.None);
        Pass("after " + call);
        return response;
    }

    protected override void Dispose(bool disposing)
    {
        Life.Dispose();
        base.Dispose(disposing);
    }
}

internal sealed class OwnerDiedException(string at) : Exception("The owner died " + at);
