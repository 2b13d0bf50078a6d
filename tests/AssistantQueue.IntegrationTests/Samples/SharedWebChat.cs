namespace AssistantQueue.IntegrationTests.Samples;

/// <summary>One WebChat for tests that leave each other alone: each uses threads of its own.</summary>
public sealed class SharedWebChat : IAsyncLifetime
{
    private WebChat? _chat;

    internal WebChat Chat => _chat!;

    public async Task InitializeAsync() => _chat = await WebChat.StartAsync(null, ("MaxAttempts", "1"), ("MessageDelay", "00:00:00.2"));

    public async Task DisposeAsync() => await Chat.DisposeAsync();
}
