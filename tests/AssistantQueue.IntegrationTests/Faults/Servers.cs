namespace AssistantQueue.IntegrationTests.Faults;

/// <summary>Waits for what servers agree on among themselves.</summary>
internal static class Servers
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    // Redis announces neither what its gossip has spread, nor that a replica follows, nor that a hash has changed: asking is the only way to know.
    private static readonly TimeSpan BetweenQuestions = TimeSpan.FromMilliseconds(50);

    /// <summary>Asks until it is so. The one place of the tests that asks a server again and again; whatever gives a signal is waited for by it.</summary>
    public static async Task AgreeAsync(Func<Task<bool>> isSo, string what)
    {
        using var patience = new CancellationTokenSource(Patience);
        while (!await isSo())
        {
            Assert.False(patience.IsCancellationRequested, $"Not within {Patience.TotalSeconds} s: {what}");
            await Task.Delay(BetweenQuestions);
        }
    }
}
