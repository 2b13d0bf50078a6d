using AssistantQueue;
using AssistantQueue.Agents;
using Microsoft.Agents.AI;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Runs a queue's batches with an agent of Microsoft Agent Framework.</summary>
public static class AgentQueueBuilderExtensions
{
    /// <summary>Uses the app's <see cref="AIAgent"/>: one keyed by the queue's name first, else the one without a key. Each thread has a session, kept in Redis.</summary>
    /// <remarks>
    /// <para>Binds the section <c>Agent</c> below the queue's own (<c>AssistantQueue:Agent</c>); <paramref name="configure"/> wins over it.
    /// The settings are checked when the host starts, unless this process only produces.</para>
    /// <para>The agent calls its tools itself, so <c>AddTool</c> is an error with it, and so is a tool of the agent's that needs approval. An attempt that fails or whose worker dies is begun again from the last completed batch's session,
    /// tools included; an agent that keeps its history at a service may have the batch's messages twice there then. New messages don't interrupt or join a run.</para>
    /// </remarks>
    /// <param name="builder">The queue.</param>
    /// <param name="configure">Changes the settings after the configuration was read.</param>
    /// <returns>The same builder.</returns>
    public static IAssistantQueueBuilder UseAgent(this IAssistantQueueBuilder builder, Action<AgentOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        var name = builder.Name;
        return Use(builder, services => name.Length > 0 && services.GetKeyedService<AIAgent>(name) is { } own ? own : services.GetRequiredService<AIAgent>(), configure, looksInServices: true);
    }

    /// <summary>Uses this agent.</summary>
    /// <inheritdoc cref="UseAgent(IAssistantQueueBuilder, Action{AgentOptions}?)" path="/remarks"/>
    /// <param name="builder">The queue.</param>
    /// <param name="agent">The agent, thread-safe.</param>
    /// <param name="configure">Changes the settings after the configuration was read.</param>
    /// <returns>The same builder.</returns>
    public static IAssistantQueueBuilder UseAgent(this IAssistantQueueBuilder builder, AIAgent agent, Action<AgentOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentNullException.ThrowIfNull(agent);
        return Use(builder, _ => agent, configure, looksInServices: false);
    }

    /// <summary>Uses an agent that is made when the first batch runs.</summary>
    /// <inheritdoc cref="UseAgent(IAssistantQueueBuilder, Action{AgentOptions}?)" path="/remarks"/>
    /// <param name="builder">The queue.</param>
    /// <param name="create">Makes the agent, thread-safe; called until it succeeds once.</param>
    /// <param name="configure">Changes the settings after the configuration was read.</param>
    /// <returns>The same builder.</returns>
    public static IAssistantQueueBuilder UseAgent(this IAssistantQueueBuilder builder, Func<IServiceProvider, AIAgent> create, Action<AgentOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentNullException.ThrowIfNull(create);
        return Use(builder, create, configure, looksInServices: false);
    }

    private static IAssistantQueueBuilder Use(IAssistantQueueBuilder builder, Func<IServiceProvider, AIAgent> create, Action<AgentOptions>? configure, bool looksInServices)
    {
        var name = builder.Name;
        var path = ConfigurationPath.Combine(builder.ConfigurationPath, AgentOptionsSetup.Section);
        AgentOptionsSetup Setup(IServiceProvider services) => new(name, path, services, [.. SectionsOf(builder, services)], looksInServices);
        builder.Services.AddSingleton<IConfigureOptions<AgentOptions>>(Setup);
        builder.Services.AddSingleton<IValidateOptions<AgentOptions>>(Setup);
        builder.Services.AddSingleton<IOptionsChangeTokenSource<AgentOptions>>(Setup);
        builder.Services.AddKeyedSingleton<IStartupValidator>(name, (services, _) => new BackendSettingsCheck<AgentOptions>(services.GetRequiredService<IOptionsMonitor<AgentOptions>>(), name));
        var options = builder.Services.AddOptions<AgentOptions>(name);
        if (configure is not null)
        {
            options.Configure(configure);
        }

        return builder.UseBackend(services => Create(builder, services, create));
    }

    private static AgentBackend Create(IAssistantQueueBuilder builder, IServiceProvider services, Func<IServiceProvider, AIAgent> create)
    {
        var logger = services.GetRequiredService<ILogger<AgentBackend>>();
        foreach (var setting in AgentOptionsSetup.UnknownNames(SectionsOf(builder, services)))
        {
            Log.UnknownSetting(logger, setting);
        }

        var current = new KeptOptions<AgentOptions>(services.GetRequiredService<IOptionsMonitor<AgentOptions>>(), builder.Name, Rejected);
        var queue = new KeptOptions<AssistantQueueOptions>(services.GetRequiredService<IOptionsMonitor<AssistantQueueOptions>>(), builder.Name, Rejected);
        // An agent that can't be made now is tried again with the next run.
        var agent = new Lazy<AIAgent>(() => create(services), LazyThreadSafetyMode.PublicationOnly);
        return new AgentBackend(() => agent.Value, () => current.Value, () => queue.Value, services.GetService<TimeProvider>() ?? TimeProvider.System, logger);

        void Rejected(string faults) => Log.SettingsRejected(logger, builder.Name, faults);
    }

    private static IEnumerable<IConfigurationSection> SectionsOf(IAssistantQueueBuilder builder, IServiceProvider services) =>
        builder.GetSections(services).Select(section => section.GetSection(AgentOptionsSetup.Section));
}
