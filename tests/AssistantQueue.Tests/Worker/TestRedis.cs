using AssistantQueue.Emulators;

namespace AssistantQueue.Tests.Worker;

/// <summary>One embedded Redis for all tests of the worker; each test has a prefix of its own.</summary>
internal static class TestRedis
{
    private static readonly Lazy<Task<EmbeddedRedis>> One = new(() => EmbeddedRedis.StartAsync());

    public static async Task<string> ConnectionStringAsync() => (await One.Value).ConnectionString;
}
