namespace AssistantQueue.IntegrationTests.Redis;

/// <summary>A test that starts several redis-servers which talk to each other: skipped, and said so, where there is no redis-server on the PATH.</summary>
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
