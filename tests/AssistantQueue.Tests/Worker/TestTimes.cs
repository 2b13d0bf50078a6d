namespace AssistantQueue.Tests.Worker;

/// <summary>Times of these tests.</summary>
internal static class TestTimes
{
    /// <summary>How long a signal may take before a test fails; long, because it says nothing but that.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
}
