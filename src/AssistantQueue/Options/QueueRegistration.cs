using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace AssistantQueue;

/// <summary>What the app said about one queue while it registered services; complete once the host is built.</summary>
internal sealed class QueueRegistration(string name)
{
    private readonly List<IConfiguration> _sections = [];
    private readonly List<Action<AssistantQueueOptions>> _code = [];

    /// <summary>The queue's name; empty for the unnamed queue.</summary>
    public string Name { get; } = name;

    /// <summary>Where the queue's settings lie, as it is named in messages.</summary>
    public string ConfigurationPath { get; private set; } = DefaultPath(name);

    /// <summary>How the queue is called in messages.</summary>
    public string DisplayName { get; } = name.Length == 0 ? "the queue" : $"queue '{name}'";

    /// <summary>Whether the section of the app's own configuration is bound; it comes before sections that were given.</summary>
    public bool BindsDefaultSection { get; private set; }

    public IReadOnlyList<Action<AssistantQueueOptions>> Code => _code;

    /// <summary>Whether <c>ProducerOnly()</c> was called; it wins over every setting.</summary>
    public bool IsProducerOnly { get; set; }

    public static string DefaultPath(string name) =>
        name.Length == 0 ? AssistantQueueOptions.SectionName : $"{AssistantQueueOptions.SectionName}:Queues:{name}";

    public static QueueRegistration? Find(IServiceCollection services, string name) => services
        .Where(d => d.ServiceType == typeof(QueueRegistration) && d.IsKeyedService)
        .Select(d => (QueueRegistration)d.KeyedImplementationInstance!)
        .FirstOrDefault(r => r.Name == name);

    public void AddDefaultSection() => BindsDefaultSection = true;

    public void AddCode(Action<AssistantQueueOptions> configure) => _code.Add(configure);

    public void AddSection(IConfiguration configuration)
    {
        // The app's whole configuration was given: its usual section is meant.
        var section = configuration as IConfigurationSection ?? configuration.GetSection(DefaultPath(Name));
        if (_sections.Count == 0)
        {
            ConfigurationPath = section.Path;
        }

        _sections.Add(section);
    }

    /// <summary>The sections to bind, in their order.</summary>
    public IEnumerable<IConfiguration> SectionsIn(IConfiguration? appConfiguration) =>
        BindsDefaultSection && appConfiguration is not null ? _sections.Prepend(appConfiguration.GetSection(DefaultPath(Name))) : _sections;
}
