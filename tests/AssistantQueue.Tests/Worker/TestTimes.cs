namespace AssistantQueue.Tests.Worker;

/// <summary>Times of these tests.</summary>
internal static class TestTimes
{
    /// <summary>How long a signal may take before a test fails; long, because it says nothing but that.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    /// <summary>Asks again until it is so.</summary>
    public static async Task UntilAsync(Func<Task<bool>> isSo)
    {
        using var limit = new CancellationTokenSource(Patience);
        while (!await isSo())
        {
            await Task.Delay(5, limit.Token);
        }
    }
}
