using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace AssistantQueue;

/// <summary>The builder that <c>AddAssistantMessageQueue()</c> returns; a view of the registration, so that two of one name are the same.</summary>
internal sealed class AssistantQueueBuilder(IServiceCollection services, QueueRegistration registration) : IAssistantQueueBuilder
{
    public string Name => registration.Name;

    public IServiceCollection Services => services;

    public string ConfigurationPath => registration.ConfigurationPath;

    public IEnumerable<IConfiguration> GetSections(IServiceProvider services) => registration.SectionsIn(services.GetService<IConfiguration>());
}
