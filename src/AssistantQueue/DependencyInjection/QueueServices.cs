using System.Diagnostics.Metrics;
using AssistantQueue.Admin;
using AssistantQueue.Deliver;
using AssistantQueue.Diagnostics;
using AssistantQueue.Enqueue;
using AssistantQueue.Redis;
using AssistantQueue.Run;
using AssistantQueue.Store;
using AssistantQueue.Watch;
using AssistantQueue.Worker;
using Microsoft.Extensions.AI;
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
        services.AddSingleton<IHostedService>(s => new QueueHost(registration, s));
        services.AddMetrics();
        services.AddKeyedSingleton(name, (s, _) => new QueueMetrics(name, s.GetService<IMeterFactory>()));
        services.AddKeyedSingleton(name, (s, _) => RedisServices.Connect(s, name));
        services.AddKeyedSingleton<IQueueStore>(name, (s, _) => new RedisQueueStore(
            s.GetRequiredKeyedService<RedisConnection>(name), Settings(s, name), Clock(s), () => RedisServices.ConnectApart(s, name)));
        services.AddKeyedSingleton<IAssistantMessageQueue>(name, (s, _) => CreateQueue(s, name));
        services.AddKeyedSingleton<IAssistantQueueAdmin>(name, (s, _) => CreateAdmin(s.GetRequiredKeyedService<IQueueStore>(name)));
        if (name.Length == 0)
        {
            services.AddSingleton(s => s.GetRequiredKeyedService<IAssistantQueueAdmin>(name));
            services.AddSingleton(s => s.GetRequiredKeyedService<IAssistantMessageQueue>(name));
        }
    }

    /// <summary>The worker of a queue. Asked for when the host starts, after all settings were checked: the backend is made here.</summary>
    public static AssistantQueueWorker CreateWorker(IServiceProvider services, string name)
    {
        var loggers = services.GetRequiredService<ILoggerFactory>();
        var dispatcher = new HandlerDispatcher(
            services.GetRequiredService<IServiceScopeFactory>(),
            scope => scope.GetKeyedServices<IAssistantReplyHandler>(name),
            services.GetRequiredService<IServiceProviderIsKeyedService>().IsKeyedService(typeof(IAssistantReplyHandler), name),
            loggers.CreateLogger("AssistantQueue.Deliver"));
        return new AssistantQueueWorker(
            name,
            services.GetRequiredKeyedService<IQueueStore>(name),
            services.GetRequiredKeyedService<IAssistantBackend>(name),
            new ToolSet(name, services.GetKeyedServices<AIFunction>(name)),
            new ToolCaller(services.GetRequiredService<IServiceScopeFactory>(), Clock(services), loggers.CreateLogger("AssistantQueue.Tools")),
            Settings(services, name),
            dispatcher,
            services.GetRequiredKeyedService<QueueMetrics>(name),
            Clock(services),
            loggers.CreateLogger<AssistantQueueWorker>(),
            services.GetRequiredService<IHostApplicationLifetime>(),
            services.GetRequiredService<IOptions<HostOptions>>().Value.ShutdownTimeout);
    }

    private static AssistantMessageQueue CreateQueue(IServiceProvider services, string name)
    {
        var store = services.GetRequiredKeyedService<IQueueStore>(name);
        var time = Clock(services);
        return new AssistantMessageQueue(
            name,
            store,
            Settings(services, name),
            new ReplyWaiter(store, new ThreadSubscriptions(store.SubscribeToOutcomesAsync), time),
            new ThreadWatcher(store, new ThreadSubscriptions(store.SubscribeToThreadAsync), Settings(services, name), time, services.GetRequiredService<ILoggerFactory>().CreateLogger("AssistantQueue.Watch")),
            services.GetRequiredKeyedService<QueueMetrics>(name),
            ContentFault(services, name));
    }

    // Only where the backend is registered: a producer needs none. Made at the first message with content parts.
    private static Func<IReadOnlyList<AIContent>, string?>? ContentFault(IServiceProvider services, string name) =>
        services.GetRequiredService<IServiceProviderIsKeyedService>().IsKeyedService(typeof(IAssistantBackend), name)
            ? contents => services.GetRequiredKeyedService<IAssistantBackend>(name).FindContentFault(contents)
            : null;

    private static AssistantQueueAdmin CreateAdmin(IQueueStore store) => new(store.Failed, new ToolApprovals(store));

    private static Func<AssistantQueueOptions> Settings(IServiceProvider services, string name)
    {
        var current = services.GetRequiredKeyedService<CurrentOptions>(name);
        return () => current.Value;
    }

    private static TimeProvider Clock(IServiceProvider services) => services.GetService<TimeProvider>() ?? TimeProvider.System;

    private static void AddOptions(IServiceCollection services, QueueRegistration registration)
    {
        var name = registration.Name;
        services.AddOptions();
        services.AddKeyedSingleton(name, (s, _) => new QueueOptionsSetup(registration, s.GetService<IConfiguration>()));
        services.AddSingleton<IConfigureOptions<AssistantQueueOptions>>(s => s.GetRequiredKeyedService<QueueOptionsSetup>(name));
        services.AddSingleton<IPostConfigureOptions<AssistantQueueOptions>>(s => s.GetRequiredKeyedService<QueueOptionsSetup>(name));
        services.AddSingleton<IOptionsChangeTokenSource<AssistantQueueOptions>>(s => s.GetRequiredKeyedService<QueueOptionsSetup>(name));
        services.AddSingleton<IValidateOptions<AssistantQueueOptions>>(s => new AssistantQueueOptionsValidator(registration, () => RedisServices.HasMultiplexer(s, name), RedisConnectionString.FaultOf));
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
