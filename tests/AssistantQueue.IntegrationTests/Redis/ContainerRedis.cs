using DotNet.Testcontainers.Configurations;
using DotNet.Testcontainers.Containers;
using Testcontainers.Redis;

namespace AssistantQueue.IntegrationTests.Redis;

/// <summary>A Redis in a container.</summary>
internal sealed class ContainerRedis : RedisInstance
{
    // Pulling an image takes a while; a registry that never answers must not hold the tests up for ever.
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    private readonly RedisContainer _container;

    private ContainerRedis(RedisContainer container, string image)
        : base(RedisKind.Container, $"Redis in a container of {image}")
    {
        _container = container;
    }

    /// <summary>The image that <c>ASSISTANTQUEUE_TEST_REDIS_IMAGE</c> names, or a current Redis.</summary>
    public static string Image { get; } = Environment.GetEnvironmentVariable("ASSISTANTQUEUE_TEST_REDIS_IMAGE") is { Length: > 0 } named ? named : "redis:7.4";

    public override string ConnectionString => _container.GetConnectionString();

    public static async Task<ContainerRedis> StartAsync(RedisInstanceOptions options)
    {
        try
        {
            return await TryStartAsync(options);
        }
        catch (Exception) when (TestcontainersSettings.ResourceReaperEnabled)
        {
            // The reaper is an image of its own, which a machine may be unable to pull; without it a killed test run leaves its containers behind.
            TestcontainersSettings.ResourceReaperEnabled = false;
            return await TryStartAsync(options);
        }
    }

    public override Task PauseAsync() => _container.PauseAsync();

    public override Task ResumeAsync() => _container.UnpauseAsync();

    public override Task StopAsync() => _container.StopAsync();

    public override Task KillAsync() => DockerEngine.KillAsync(_container.Id);

    public override async Task StartAgainAsync()
    {
        // After a kill from outside Testcontainers still believes that it runs.
        await _container.StopAsync();
        await _container.StartAsync();
    }

    public override ValueTask DisposeAsync() => RemoveAsync(_container);

    private static async Task<ContainerRedis> TryStartAsync(RedisInstanceOptions options)
    {
        using var patience = new CancellationTokenSource(Patience);
        // A port of our choice: one of Docker's changes at each start.
        var container = new RedisBuilder(Image)
            .WithCommand([.. options.ServerArguments])
            .WithPortBinding(FreePort.Find(), RedisBuilder.RedisPort)
            .Build();
        try
        {
            await container.StartAsync(patience.Token);
            return new ContainerRedis(container, Image);
        }
        catch
        {
            await RemoveAsync(container);
            throw;
        }
    }

    // Without the reaper the library only stops it.
    private static async ValueTask RemoveAsync(RedisContainer container)
    {
        var id = container.State == TestcontainersStates.Undefined ? null : container.Id;
        await container.DisposeAsync();
        if (id is not null)
        {
            await DockerEngine.RemoveAsync(id);
        }
    }
}
