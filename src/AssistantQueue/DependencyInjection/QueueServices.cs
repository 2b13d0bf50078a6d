using AssistantQueue.Redis;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace AssistantQueue;

/// <summary>The services of one queue, all keyed by its name; the unnamed queue's producer also has no key.</summary>
internal static class QueueServices
{
    public static void Add(IServiceCollection services, QueueRegistration registration)
    {
        var name = registration.Name;
        services.AddLogging();
        services.AddKeyedSingleton(name, registration);
        AddOptions(services, registration);
        services.AddKeyedSingleton(name, (s, _) => RedisServices.Connect(s, name));
        services.AddSingleton<IHostedService>(s => new QueueHost(registration, s));
    }

    private static void AddOptions(IServiceCollection services, QueueRegistration registration)
    {
        var name = registration.Name;
        services.AddOptions();
        services.AddKeyedSingleton(name, (s, _) => new QueueOptionsSetup(registration, s.GetService<IConfiguration>()));
        services.AddSingleton<IConfigureOptions<AssistantQueueOptions>>(s => s.GetRequiredKeyedService<QueueOptionsSetup>(name));
        services.AddSingleton<IPostConfigureOptions<AssistantQueueOptions>>(s => s.GetRequiredKeyedService<QueueOptionsSetup>(name));
        services.AddSingleton<IOptionsChangeTokenSource<AssistantQueueOptions>>(s => s.GetRequiredKeyedService<QueueOptionsSetup>(name));
        services.AddSingleton<IValidateOptions<AssistantQueueOptions>>(s => new AssistantQueueOptionsValidator(registration, () => RedisServices.HasMultiplexer(s, name)));
        services.AddKeyedSingleton(name, (s, _) => new CurrentOptions(
            name,
            s.GetRequiredService<IOptionsFactory<AssistantQueueOptions>>(),
            s.GetServices<IOptionsChangeTokenSource<AssistantQueueOptions>>(),
            s.GetRequiredService<ILoggerFactory>().CreateLogger("AssistantQueue.Options")));

        // One check for all queues of the host, so that every fault is in one message, and so that queues are compared.
        if (services.All(d => d.ServiceType != typeof(IValidateOptions<HostCheck>)))
        {
            services.AddOptions<HostCheck>().ValidateOnStart();
            services.AddSingleton<IValidateOptions<HostCheck>>(s => new HostCheckValidator(s, Registrations(services)));
        }
    }

    private static List<QueueRegistration> Registrations(IServiceCollection services) =>
        [.. services.Where(d => d.ServiceType == typeof(QueueRegistration)).Select(d => (QueueRegistration)d.KeyedImplementationInstance!)];
}
