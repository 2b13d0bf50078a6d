namespace AssistantQueue.IntegrationTests.Redis;

/// <summary>What a Redis of a test's own is like.</summary>
public sealed record RedisInstanceOptions
{
    /// <summary>Which kind; null takes what the machine has, as the shared one does.</summary>
    public RedisKind? Kind { get; init; }

    /// <summary>Whether every write is on disk before it is answered, so that a restart finds it again.</summary>
    public bool KeepsData { get; init; }

    /// <summary>Further arguments of <c>redis-server</c>, for example <c>--maxmemory 5mb</c>; the embedded one has none of them.</summary>
    public IReadOnlyList<string> Arguments { get; init; } = [];

    /// <summary>All arguments of a <c>redis-server</c>, without port and folder.</summary>
    internal IReadOnlyList<string> ServerArguments =>
        [.. KeepsData ? (string[])["--appendonly", "yes", "--appendfsync", "always"] : ["--appendonly", "no"], "--save", "", "--protected-mode", "no", .. Arguments];
}
