namespace AssistantQueue.IntegrationTests.Redis;

/// <summary>Where a test's Redis comes from.</summary>
public enum RedisKind
{
    /// <summary>A container of its own, through Testcontainers.</summary>
    Container,

    /// <summary>The machine's <c>redis-server</c>.</summary>
    Process,

    /// <summary>The embedded one (Garnet).</summary>
    Embedded,
}
