using AssistantQueue.Redis;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace AssistantQueue;

/// <summary>Stands for "all queues of this host" where the options system wants a type to check at start.</summary>
internal sealed class HostCheck;

/// <summary>Checks all queues of the host when it starts: each one's settings and its backend's, what they lack, and where they get in each other's way.</summary>
internal sealed class HostCheckValidator(IServiceProvider services, IReadOnlyList<QueueRegistration> queues) : IValidateOptions<HostCheck>
{
    public ValidateOptionsResult Validate(string? name, HostCheck options)
    {
        var faults = new List<string>();
        var good = new List<(QueueRegistration Queue, AssistantQueueOptions Options)>();
        foreach (var queue in queues)
        {
            try
            {
                var settings = services.GetRequiredKeyedService<CurrentOptions>(queue.Name).Value;
                good.Add((queue, settings));
            }
            catch (OptionsValidationException e)
            {
                faults.AddRange(e.Failures);
            }

            CheckBackends(faults, queue);
            CheckRoles(faults, queue, QueueRole.RunsWorker(services, queue.Name));
        }

        CheckPrefixes(faults, good);
        return faults.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(faults);
    }

    // A backend that was chosen twice has registered its check twice.
    private void CheckBackends(List<string> faults, QueueRegistration queue)
    {
        foreach (var check in services.GetKeyedServices<IStartupValidator>(queue.Name))
        {
            try
            {
                check.Validate();
            }
            catch (OptionsValidationException e)
            {
                faults.AddRange(e.Failures.Except(faults));
            }
        }
    }

    private void CheckRoles(List<string> faults, QueueRegistration queue, bool runsWorker)
    {
        var known = services.GetRequiredService<IServiceProviderIsKeyedService>();
        if (runsWorker && !known.IsKeyedService(typeof(IAssistantBackend), queue.Name))
        {
            faults.Add($"{queue.DisplayName} has a worker in this host but no backend that runs its batches; call .UseOpenAI() (package AssistantQueue.OpenAI), .UseChatClient(), .UseAgent() (package AssistantQueue.Agents) or .UseBackend<T>() after AddAssistantMessageQueue(), or .ProducerOnly() if workers run elsewhere");
        }

        if (!runsWorker && known.IsKeyedService(typeof(IAssistantReplyHandler), queue.Name))
        {
            faults.Add($"{queue.DisplayName} has a reply handler but no worker in this host ({queue.ConfigurationPath}:{nameof(AssistantQueueOptions.RunWorker)} is false or .ProducerOnly() was called), so it would never be called; register AddReplyHandler, OnReply, OnFailed and OnRetrying in worker hosts, or follow replies with WaitForReplyAsync or WatchThreadAsync");
        }
    }

    private void CheckPrefixes(List<string> faults, List<(QueueRegistration Queue, AssistantQueueOptions Options)> queues)
    {
        for (var i = 0; i < queues.Count; i++)
        {
            for (var j = i + 1; j < queues.Count; j++)
            {
                var (one, other) = (queues[i], queues[j]);
                if (one.Options.QueuePrefix == other.Options.QueuePrefix
                    && RedisServices.IsSameServer(services, (one.Queue.Name, one.Options), (other.Queue.Name, other.Options)))
                {
                    faults.Add($"{one.Queue.ConfigurationPath}:{nameof(AssistantQueueOptions.QueuePrefix)} and {other.Queue.ConfigurationPath}:{nameof(AssistantQueueOptions.QueuePrefix)} are both '{one.Options.QueuePrefix}' on one Redis, so the queues would take each other's messages; give each a prefix of its own");
                }
            }
        }
    }
}
