using AssistantQueue.Redis;
using AssistantQueue.Worker;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace AssistantQueue;

/// <summary>One queue's part of the host: connects in the background and, unless this process only produces, runs the worker. Made before settings are checked, so it looks at them only when it starts.</summary>
internal sealed class QueueHost(QueueRegistration registration, IServiceProvider services) : BackgroundService
{
    private AssistantQueueWorker? _worker;

    /// <summary>The worker's task: the host stops when it fails.</summary>
    public override Task? ExecuteTask => _worker?.ExecuteTask;

    public override Task StartAsync(CancellationToken cancellationToken)
    {
        var logger = services.GetRequiredService<ILoggerFactory>().CreateLogger("AssistantQueue");
        var options = services.GetRequiredKeyedService<CurrentOptions>(registration.Name).Value;
        foreach (var section in registration.SectionsIn(services.GetService<IConfiguration>()))
        {
            foreach (var setting in SettingsBinder.UnknownNames(section))
            {
                Log.UnknownSetting(logger, setting);
            }
        }

        services.GetRequiredKeyedService<RedisConnection>(registration.Name).Start();
        if (!options.RunWorker)
        {
            Log.ProducesOnly(logger, registration.Name);
            return Task.CompletedTask;
        }

        _worker = QueueServices.CreateWorker(services, registration.Name);
        return _worker.StartAsync(cancellationToken);
    }

    public override Task StopAsync(CancellationToken cancellationToken) => _worker?.StopAsync(cancellationToken) ?? Task.CompletedTask;

    public override void Dispose()
    {
        _worker?.Dispose();
        base.Dispose();
    }

    // Never called: the worker has a loop of its own.
    protected override Task ExecuteAsync(CancellationToken stoppingToken) => Task.CompletedTask;
}
