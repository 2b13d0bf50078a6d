using AssistantQueue;
using Microsoft.Extensions.Configuration;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers queues. Each method may be called again for the same queue: what it says adds up, and code wins over configuration.</summary>
public static class AssistantQueueServiceCollectionExtensions
{
    private const int MaxName = 64;

    /// <summary>Adds the unnamed queue with the settings of the configuration section <c>AssistantQueue</c>, when the app has a configuration.</summary>
    /// <param name="services">The app's services.</param>
    /// <returns>The queue's builder: choose a backend with it, or <c>ProducerOnly()</c>.</returns>
    public static IAssistantQueueBuilder AddAssistantMessageQueue(this IServiceCollection services) =>
        Add(services, "", registration => registration.AddDefaultSection());

    /// <summary>Adds the unnamed queue with the settings of a section.</summary>
    /// <param name="services">The app's services.</param>
    /// <param name="configuration">The section with the settings; a whole configuration means its section <c>AssistantQueue</c>.</param>
    /// <returns>The queue's builder.</returns>
    public static IAssistantQueueBuilder AddAssistantMessageQueue(this IServiceCollection services, IConfiguration configuration)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        return Add(services, "", registration => registration.AddSection(configuration));
    }

    /// <summary>Adds the unnamed queue with the settings of the section <c>AssistantQueue</c> and of code, which wins.</summary>
    /// <param name="services">The app's services.</param>
    /// <param name="configure">Sets options; called again after each change of the configuration.</param>
    /// <returns>The queue's builder.</returns>
    public static IAssistantQueueBuilder AddAssistantMessageQueue(this IServiceCollection services, Action<AssistantQueueOptions> configure) =>
        Add(services, "", WithCode(configure));

    /// <summary>Adds a named queue: its services are keyed by the name, its settings lie in <c>AssistantQueue:Queues:&lt;name&gt;</c>, its prefix is <c>assistant-&lt;name&gt;</c>.</summary>
    /// <param name="services">The app's services.</param>
    /// <param name="name">The name: 1 to 64 letters, digits, <c>-</c>, <c>_</c> and <c>.</c>.</param>
    /// <returns>The queue's builder.</returns>
    /// <exception cref="ArgumentException">The name has other characters or another length.</exception>
    public static IAssistantQueueBuilder AddAssistantMessageQueue(this IServiceCollection services, string name) =>
        Add(services, Checked(name), registration => registration.AddDefaultSection());

    /// <summary>Adds a named queue with the settings of a section.</summary>
    /// <param name="services">The app's services.</param>
    /// <param name="name">The name: 1 to 64 letters, digits, <c>-</c>, <c>_</c> and <c>.</c>.</param>
    /// <param name="configuration">The section with the settings; a whole configuration means its section <c>AssistantQueue:Queues:&lt;name&gt;</c>.</param>
    /// <returns>The queue's builder.</returns>
    /// <exception cref="ArgumentException">The name has other characters or another length.</exception>
    public static IAssistantQueueBuilder AddAssistantMessageQueue(this IServiceCollection services, string name, IConfiguration configuration)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        return Add(services, Checked(name), registration => registration.AddSection(configuration));
    }

    /// <summary>Adds a named queue with the settings of its section and of code, which wins.</summary>
    /// <param name="services">The app's services.</param>
    /// <param name="name">The name: 1 to 64 letters, digits, <c>-</c>, <c>_</c> and <c>.</c>.</param>
    /// <param name="configure">Sets options; called again after each change of the configuration.</param>
    /// <returns>The queue's builder.</returns>
    /// <exception cref="ArgumentException">The name has other characters or another length.</exception>
    public static IAssistantQueueBuilder AddAssistantMessageQueue(this IServiceCollection services, string name, Action<AssistantQueueOptions> configure) =>
        Add(services, Checked(name), WithCode(configure));

    private static Action<QueueRegistration> WithCode(Action<AssistantQueueOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(configure);
        return registration =>
        {
            registration.AddDefaultSection();
            registration.AddCode(configure);
        };
    }

    private static AssistantQueueBuilder Add(IServiceCollection services, string name, Action<QueueRegistration> say)
    {
        ArgumentNullException.ThrowIfNull(services);
        var registration = QueueRegistration.Find(services, name);
        if (registration is null)
        {
            registration = new QueueRegistration(name);
            QueueServices.Add(services, registration);
        }

        say(registration);
        return new AssistantQueueBuilder(services, registration);
    }

    // The name becomes part of the settings' path and of the keys' prefix.
    private static string Checked(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        return name is { Length: > 0 and <= MaxName } && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.')
            ? name
            : throw new ArgumentException($"A queue's name is 1 to {MaxName} letters, digits, '-', '_' and '.'; '{name}' isn't.", nameof(name));
    }
}
