using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace AssistantQueue;

/// <summary>Configures one queue. Returned by <c>AddAssistantMessageQueue()</c>; packages add their <c>Use…</c> extensions to it.</summary>
public interface IAssistantQueueBuilder
{
    /// <summary>Gets the queue's name: the key of its services and the name of its options; empty for the unnamed queue, whose services have no key.</summary>
    string Name { get; }

    /// <summary>Gets the services that the queue is registered in.</summary>
    IServiceCollection Services { get; }

    /// <summary>Gets the path of the queue's configuration section, for example <c>AssistantQueue</c>; packages bind their own subsections of it.</summary>
    string ConfigurationPath { get; }

    /// <summary>Gets the configuration sections that hold the queue's settings, in their order: what a later one says wins.</summary>
    /// <param name="services">The built host's services.</param>
    /// <returns>The sections; none when the app has no configuration and gave none.</returns>
    IEnumerable<IConfiguration> GetSections(IServiceProvider services);
}
