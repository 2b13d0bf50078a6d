namespace AssistantQueue.IntegrationTests.Redis;

/// <summary>A test that needs what only a redis-server has (several that talk to each other, a limit of memory): skipped, and said so, where there is no redis-server on the PATH.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class RedisServerFactAttribute : FactAttribute
{
    public RedisServerFactAttribute()
    {
        if (!ProcessRedis.IsInstalled)
        {
            Skip = "There is no redis-server on the PATH.";
        }
    }

    /// <summary>Whether it runs on the Redis of the tests, and is skipped where they are to take the embedded one.</summary>
    public bool ButNotGarnet
    {
        get;
        set
        {
            field = value;
            if (value && string.Equals(Environment.GetEnvironmentVariable("ASSISTANTQUEUE_TEST_REDIS"), nameof(RedisKind.Embedded), StringComparison.OrdinalIgnoreCase))
            {
                Skip = "It is about a redis-server.";
            }
        }
    }
}
