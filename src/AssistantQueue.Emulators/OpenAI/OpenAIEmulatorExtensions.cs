using AssistantQueue;
using AssistantQueue.Emulators;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Puts a queue on an OpenAI emulator in the app's own process.</summary>
public static class OpenAIEmulatorExtensions
{
    /// <summary>Runs an OpenAI emulator in this process and lets the queue use it, whatever endpoint and key its settings have.</summary>
    /// <remarks>
    /// All queues of a host share one; it is up before the first of them runs a batch, and ends after them with the host's services.
    /// A process without a worker starts none. It binds the section <c>AssistantQueue:Emulators:OpenAI</c>; state and ledger are kept in the folder <c>openai</c>
    /// below <c>AssistantQueue:Emulators:DataDirectory</c> (a relative path counts from the content root); without that setting they are in memory only.
    /// Calls <c>UseOpenAI()</c> when the queue has no backend yet. An <c>OpenAIClient</c> that the app registers goes before it.
    /// The running <see cref="OpenAIEmulator"/> is a singleton service.
    /// </remarks>
    /// <param name="builder">The queue.</param>
    /// <param name="configure">Changes the emulator's options; wins over the configuration.</param>
    /// <returns>The same builder.</returns>
    public static IAssistantQueueBuilder UseOpenAIEmulator(this IAssistantQueueBuilder builder, Action<OpenAIEmulatorOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        var services = builder.Services;

        // Options are asked for before anything of the host runs, and asking can't wait otherwise.
        EmulatorServices.AddServer<OpenAIEmulator, OpenAIEmulatorOptions>(
            services, Bind, configure, (provider, options) => Task.Run(() => OpenAIEmulator.StartAsync(
                options, provider.GetService<TimeProvider>(), provider.GetService<ILoggerFactory>())).GetAwaiter().GetResult());
        if (!services.Any(s => s.ServiceType == typeof(IAssistantBackend) && Equals(s.ServiceKey, builder.Name)))
        {
            builder.UseOpenAI();
        }

        services.AddOptions<OpenAIOptions>(builder.Name).PostConfigure<IServiceProvider>((options, provider) =>
        {
            if (QueueRole.RunsWorker(provider, builder.Name))
            {
                Point(options, provider.GetRequiredService<OpenAIEmulator>());
            }
        });
        return builder;
    }

    private static void Point(OpenAIOptions options, OpenAIEmulator emulator)
    {
        options.Endpoint = emulator.BaseUrl;
        options.AzureEndpoint = null;
        options.AzureApiVersion = null;
        options.ApiKey = emulator.Options.ApiKeys.FirstOrDefault() ?? "emulator";
        if (options.Api == OpenAIApi.Assistants || (options.Api is null && options.AssistantId is not null))
        {
            options.AssistantId ??= emulator.Options.AssistantIds.FirstOrDefault() ?? "asst_emulated";
        }
        else
        {
            options.Model ??= emulator.Options.Models.FirstOrDefault() ?? "emulated";
        }
    }

    private static void Bind(OpenAIEmulatorOptions options, IConfigurationSection emulators, IServiceProvider services)
    {
        emulators.GetSection("OpenAI").Bind(options);
        options.DataDirectory = EmulatorServices.Folder(options.DataDirectory, "openai", emulators, services);
    }
}
