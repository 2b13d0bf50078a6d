using AssistantQueue;
using AssistantQueue.ChatClient;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Runs a queue's batches with any <see cref="IChatClient"/>.</summary>
public static class ChatClientQueueBuilderExtensions
{
    /// <summary>Uses the app's <see cref="IChatClient"/>: one keyed by the queue's name first, else the one without a key. The conversation's history is kept in Redis, within bounds.</summary>
    /// <remarks>
    /// <para>Binds the section <c>ChatClient</c> below the queue's own (<c>AssistantQueue:ChatClient</c>); <paramref name="configure"/> wins over it.
    /// The settings are checked when the host starts, unless this process only produces.</para>
    /// <para>Functions registered with <c>AddTool</c> are offered as declarations and called by the queue, which journals each call, also when the client's pipeline has a <c>FunctionInvokingChatClient</c>;
    /// tools of that pipeline's own are called by it, and called again when a request has to be repeated.
    /// A worker that dies, or whose request fails, has cost tokens and nothing else: the next attempt sends the request again.</para>
    /// </remarks>
    /// <param name="builder">The queue.</param>
    /// <param name="configure">Changes the settings after the configuration was read.</param>
    /// <returns>The same builder.</returns>
    public static IAssistantQueueBuilder UseChatClient(this IAssistantQueueBuilder builder, Action<ChatClientOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        var name = builder.Name;
        return Use(builder, services => name.Length > 0 && services.GetKeyedService<IChatClient>(name) is { } own ? own : services.GetRequiredService<IChatClient>(), configure, looksInServices: true);
    }

    /// <summary>Uses this client.</summary>
    /// <inheritdoc cref="UseChatClient(IAssistantQueueBuilder, Action{ChatClientOptions}?)" path="/remarks"/>
    /// <param name="builder">The queue.</param>
    /// <param name="client">The client, thread-safe; the app keeps it and disposes it.</param>
    /// <param name="configure">Changes the settings after the configuration was read.</param>
    /// <returns>The same builder.</returns>
    public static IAssistantQueueBuilder UseChatClient(this IAssistantQueueBuilder builder, IChatClient client, Action<ChatClientOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentNullException.ThrowIfNull(client);
        return Use(builder, _ => client, configure, looksInServices: false);
    }

    /// <summary>Uses a client that is made when the first batch runs.</summary>
    /// <inheritdoc cref="UseChatClient(IAssistantQueueBuilder, Action{ChatClientOptions}?)" path="/remarks"/>
    /// <param name="builder">The queue.</param>
    /// <param name="create">Makes the client, thread-safe; called until it succeeds once. What it makes is not disposed by the queue.</param>
    /// <param name="configure">Changes the settings after the configuration was read.</param>
    /// <returns>The same builder.</returns>
    public static IAssistantQueueBuilder UseChatClient(this IAssistantQueueBuilder builder, Func<IServiceProvider, IChatClient> create, Action<ChatClientOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentNullException.ThrowIfNull(create);
        return Use(builder, create, configure, looksInServices: false);
    }

    private static IAssistantQueueBuilder Use(IAssistantQueueBuilder builder, Func<IServiceProvider, IChatClient> create, Action<ChatClientOptions>? configure, bool looksInServices)
    {
        var name = builder.Name;
        var path = ConfigurationPath.Combine(builder.ConfigurationPath, ChatClientOptionsBinder.Section);
        var options = builder.Services.AddOptions<ChatClientOptions>(name)
            .Configure<IServiceProvider>((settings, services) => ChatClientOptionsBinder.Bind(settings, SectionsOf(builder, services)));
        if (configure is not null)
        {
            options.Configure(configure);
        }

        builder.Services.AddSingleton<IOptionsChangeTokenSource<ChatClientOptions>>(services => new ChatClientSectionsChange(name, [.. SectionsOf(builder, services)]));
        builder.Services.AddSingleton<IValidateOptions<ChatClientOptions>>(services => new ChatClientOptionsValidator(name, path, services, looksInServices));
        builder.Services.AddKeyedSingleton<IStartupValidator>(name, (services, _) => new BackendSettingsCheck<ChatClientOptions>(services.GetRequiredService<IOptionsMonitor<ChatClientOptions>>(), name));
        return builder.UseBackend(services => Create(builder, services, create));
    }

    private static ChatClientBackend Create(IAssistantQueueBuilder builder, IServiceProvider services, Func<IServiceProvider, IChatClient> create)
    {
        var logger = services.GetRequiredService<ILoggerFactory>().CreateLogger("AssistantQueue.ChatClient");
        foreach (var setting in ChatClientOptionsBinder.UnknownNames(SectionsOf(builder, services)))
        {
            Log.UnknownSetting(logger, setting);
        }

        var current = new KeptOptions<ChatClientOptions>(
            services.GetRequiredService<IOptionsMonitor<ChatClientOptions>>(), builder.Name, faults => Log.SettingsRejected(logger, builder.Name, faults));
        // A client that can't be made now is tried again with the next run.
        var client = new Lazy<IChatClient>(() => create(services), LazyThreadSafetyMode.PublicationOnly);
        return new ChatClientBackend(() => client.Value, () => current.Value, services.GetService<TimeProvider>() ?? TimeProvider.System, logger);
    }

    private static IEnumerable<IConfigurationSection> SectionsOf(IAssistantQueueBuilder builder, IServiceProvider services) =>
        builder.GetSections(services).Select(section => section.GetSection(ChatClientOptionsBinder.Section));
}
