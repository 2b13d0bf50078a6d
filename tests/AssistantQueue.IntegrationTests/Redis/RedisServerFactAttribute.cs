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
}
