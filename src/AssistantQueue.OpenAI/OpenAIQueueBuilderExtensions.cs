using AssistantQueue;
using AssistantQueue.OpenAI;
using AssistantQueue.OpenAI.Assistants;
using AssistantQueue.OpenAI.Client;
using AssistantQueue.OpenAI.Responses;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Runs a queue's batches on OpenAI, Azure OpenAI, or a server that speaks their protocol.</summary>
public static class OpenAIQueueBuilderExtensions
{
    /// <summary>Uses OpenAI: the Responses API, or the Assistants API when an assistant is set.</summary>
    /// <remarks>
    /// Binds the section <c>OpenAI</c> below the queue's own (<c>AssistantQueue:OpenAI</c>); <paramref name="configure"/> wins over it.
    /// An <c>OpenAIClient</c> or a <c>TokenCredential</c> (for Azure) in DI is used as it is, one keyed by the queue's name first.
    /// An <see cref="HttpClient"/> is used only when it is keyed by the queue's name or by <c>"AssistantQueue"</c>. It must not repeat posts, and needs <c>Timeout.InfiniteTimeSpan</c> where its own timeout is not to cut what <see cref="OpenAIOptions.NetworkTimeout"/> allows.
    /// The settings are checked when the host starts, unless this process only produces.
    /// </remarks>
    /// <param name="builder">The queue.</param>
    /// <param name="configure">Changes the settings after the configuration was read.</param>
    /// <returns>The same builder.</returns>
    public static IAssistantQueueBuilder UseOpenAI(this IAssistantQueueBuilder builder, Action<OpenAIOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        var name = builder.Name;
        var path = ConfigurationPath.Combine(builder.ConfigurationPath, "OpenAI");
        builder.Services.TryAddSingleton(TimeProvider.System);
        AddOptions(builder, name, path, configure);
        return builder.UseBackend(services => CreateBackend(builder, services, path));
    }

    private static void AddOptions(IAssistantQueueBuilder builder, string name, string path, Action<OpenAIOptions>? configure)
    {
        var options = builder.Services.AddOptions<OpenAIOptions>(name)
            .Configure<IServiceProvider>((settings, services) => OpenAIOptionsBinder.Bind(settings, SectionsOf(builder, services), services.GetService<IConfiguration>()));
        if (configure is not null)
        {
            options.Configure(configure);
        }

        builder.Services.AddSingleton<IOptionsChangeTokenSource<OpenAIOptions>>(services => new SectionsChangeToken(name, [.. SectionsOf(builder, services)]));
        builder.Services.AddSingleton<IValidateOptions<OpenAIOptions>>(services => new OpenAIOptionsValidator(name, path, services));
        builder.Services.AddKeyedSingleton<IStartupValidator>(name, (services, _) => new BackendSettingsCheck<OpenAIOptions>(services.GetRequiredService<IOptionsMonitor<OpenAIOptions>>(), name));
    }

    private static IEnumerable<IConfigurationSection> SectionsOf(IAssistantQueueBuilder builder, IServiceProvider services) =>
        builder.GetSections(services).Select(section => section.GetSection("OpenAI"));

    private static OpenAIBackend CreateBackend(IAssistantQueueBuilder builder, IServiceProvider services, string path)
    {
        var name = builder.Name;
        var options = services.GetRequiredService<IOptionsMonitor<OpenAIOptions>>();
        var time = services.GetRequiredService<TimeProvider>();
        var logger = services.GetRequiredService<ILogger<OpenAIBackend>>();
        foreach (var setting in OpenAIOptionsBinder.UnknownNames(SectionsOf(builder, services)))
        {
            Log.UnknownSetting(logger, setting);
        }

        // The worker asks for its backend after the settings were checked: what is bad later finds these.
        var current = new KeptOptions<OpenAIOptions>(options, name, Rejected);
        var queue = new KeptOptions<AssistantQueueOptions>(services.GetRequiredService<IOptionsMonitor<AssistantQueueOptions>>(), name, Rejected);
        var atStart = current.Value;
        return new OpenAIBackend(
            path,
            atStart.EffectiveApi,
            // A client that can't be made now is tried again with the next run, from the same settings.
            new Lazy<IOpenAIRunner>(() => CreateRunner(services, name, atStart, time), LazyThreadSafetyMode.PublicationOnly),
            current,
            queue,
            time,
            logger);

        void Rejected(string faults) => Log.SettingsRejected(logger, name, faults);
    }

    private static IOpenAIRunner CreateRunner(IServiceProvider services, string name, OpenAIOptions options, TimeProvider time)
    {
        var client = OpenAIClientFactory.Create(services, name, options);
        var calls = new ApiCalls(time, options.ApiKey);
        return options.EffectiveApi == OpenAIApi.Assistants
            ? new AssistantsBackend(new AssistantsApi(client.GetAssistantClient(), calls))
            : new ResponsesBackend(
                new ResponsesApi(client.GetResponsesClient(), client.GetConversationClient(), calls),
                OpenAIClientFactory.HasConversations(client, options));
    }
}
