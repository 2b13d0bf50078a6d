using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace AssistantQueue;

/// <summary>Whether this process runs a queue's batches, by the queue's settings as they are bound. Also compiled into the packages that have settings of their own.</summary>
internal static class QueueRole
{
    /// <summary>Whether there is a worker. Not through the checked options: one bad setting, told by its own check, would hide the role, and a producer be asked for what only workers need.</summary>
    public static bool RunsWorker(IServiceProvider services, string queue) => new OptionsFactory<AssistantQueueOptions>(
        services.GetServices<IConfigureOptions<AssistantQueueOptions>>(),
        services.GetServices<IPostConfigureOptions<AssistantQueueOptions>>()).Create(queue).RunWorker;
}
