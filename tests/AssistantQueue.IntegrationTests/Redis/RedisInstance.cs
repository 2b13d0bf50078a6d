using StackExchange.Redis;

namespace AssistantQueue.IntegrationTests.Redis;

/// <summary>One running Redis and what can be done to it. Its address stays the same through stops and starts.</summary>
public abstract class RedisInstance(RedisKind kind, string description) : IAsyncDisposable
{
    /// <summary>Where it comes from.</summary>
    public RedisKind Kind { get; } = kind;

    /// <summary>Where to connect, in the syntax of StackExchange.Redis.</summary>
    public abstract string ConnectionString { get; }

    /// <summary>Starts one that no other test uses.</summary>
    public static Task<RedisInstance> StartDedicatedAsync(RedisInstanceOptions? options = null) => TestRedis.StartAsync(options ?? new());

    /// <summary>Connects, as patiently as a busy machine asks for unless the test says how long it may take; it is not connected then when nobody answers.</summary>
    public async Task<ConnectionMultiplexer> ConnectAsync(TimeSpan? patience = null)
    {
        var options = ConfigurationOptions.Parse(ConnectionString);
        options.AbortOnConnectFail = false;
        options.AllowAdmin = true;
        options.ConnectTimeout = options.SyncTimeout = options.AsyncTimeout = (int)(patience ?? TimeSpan.FromSeconds(30)).TotalMilliseconds;
        return await ConnectionMultiplexer.ConnectAsync(options);
    }

    /// <summary>Lets it stand still, its connections open.</summary>
    public abstract Task PauseAsync();

    /// <summary>Lets it go on after <see cref="PauseAsync"/>.</summary>
    public abstract Task ResumeAsync();

    /// <summary>Ends it in order.</summary>
    public abstract Task StopAsync();

    /// <summary>Ends it with SIGKILL.</summary>
    public abstract Task KillAsync();

    /// <summary>Starts it again at the same address after <see cref="StopAsync"/> or <see cref="KillAsync"/>; with its data if it keeps it.</summary>
    public abstract Task StartAgainAsync();

    public abstract ValueTask DisposeAsync();

    public override string ToString() => description;
}
