using StackExchange.Redis;

namespace AssistantQueue.IntegrationTests.Faults;

/// <summary>Waits for what a Redis server holds and tells nobody.</summary>
internal static class Servers
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    // Redis announces neither what its gossip has spread, nor that a replica follows, nor that it is back, nor that a key or a list of clients has changed: asking is the only way to know.
    private static readonly TimeSpan BetweenQuestions = TimeSpan.FromMilliseconds(50);

    /// <summary>Asks a server until it is so; one that cuts the connection or doesn't answer is asked again. What the queue announces, the ledger has, or a process prints or writes is waited for by that signal instead.</summary>
    public static async Task AgreeAsync(Func<Task<bool>> isSo, string what)
    {
        using var patience = new CancellationTokenSource(Patience);
        while (true)
        {
            Exception? silence = null;
            try
            {
                if (await isSo())
                {
                    return;
                }
            }
            catch (Exception e) when (e is RedisConnectionException or RedisTimeoutException)
            {
                silence = e;
            }

            Assert.False(patience.IsCancellationRequested, $"Not within {Patience.TotalSeconds} s: {what}. {silence}");
            await Task.Delay(BetweenQuestions);
        }
    }
}
