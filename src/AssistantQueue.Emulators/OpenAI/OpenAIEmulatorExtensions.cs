using AssistantQueue;
using AssistantQueue.Emulators;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Lets a queue talk to an OpenAI emulator in the app's own process.</summary>
public static class OpenAIEmulatorExtensions
{
    private const string Section = "AssistantQueue:Emulators";
    private const string Key = "emulator";

    /// <summary>Runs an OpenAI emulator in this process and lets the queue's <c>UseOpenAI()</c> use it, whatever its key and endpoints say; calls that itself when the app doesn't.</summary>
    /// <remarks>
    /// All queues of a host share one, which DI has as <see cref="OpenAIEmulator"/>; it is up before the first batch runs, and ends after the workers with the host's services.
    /// Settings come from the section <c>AssistantQueue:Emulators:OpenAI</c>. State and ledger are kept in the folder <c>openai</c> below
    /// <c>AssistantQueue:Emulators:DataDirectory</c> (a relative path counts from the content root); without that setting they are in memory only.
    /// </remarks>
    /// <param name="builder">The queue.</param>
    /// <param name="configure">Changes the emulator's settings; wins over the configuration.</param>
    /// <returns>The same builder.</returns>
    public static IAssistantQueueBuilder UseOpenAIEmulator(this IAssistantQueueBuilder builder, Action<OpenAIEmulatorOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        var services = builder.Services;

        // Each queue asks for it; the server is one, and so is what its options come from.
        if (!services.Any(s => s.ServiceType == typeof(OpenAIEmulator)))
        {
            services.AddSingleton<IConfigureOptions<OpenAIEmulatorOptions>>(s => new ConfigureOptions<OpenAIEmulatorOptions>(o => Bind(o, s)));
            services.AddSingleton(Start);
        }

        if (configure is not null)
        {
            services.Configure(configure);
        }

        if (!services.Any(s => s.ServiceType == typeof(IAssistantBackend) && Equals(s.ServiceKey, builder.Name)))
        {
            builder.UseOpenAI();
        }

        services.AddOptions<OpenAIOptions>(builder.Name).PostConfigure<OpenAIEmulator>((options, emulator) =>
        {
            (options.Endpoint, options.ApiKey, options.AzureEndpoint) = (emulator.BaseUrl, emulator.Options.ApiKeys.FirstOrDefault() ?? Key, null);
            options.Model ??= emulator.Options.Models.FirstOrDefault() ?? (options.AssistantId is null ? "emulated" : null);
        });
        return builder;
    }

    // The container makes services synchronously; the start waits for a socket and, with a folder, for files. On a pool thread nobody's context is blocked.
    private static OpenAIEmulator Start(IServiceProvider services) =>
        Task.Run(() => OpenAIEmulator.StartAsync(
            services.GetRequiredService<IOptions<OpenAIEmulatorOptions>>().Value,
            services.GetService<TimeProvider>(),
            services.GetService<ILoggerFactory>())).GetAwaiter().GetResult();

    private static void Bind(OpenAIEmulatorOptions options, IServiceProvider services)
    {
        if (services.GetService<IConfiguration>() is not { } configuration)
        {
            return;
        }

        configuration.GetSection(Section + ":OpenAI").Bind(options);
        if (options.DataDirectory is null && configuration[Section + ":DataDirectory"] is { Length: > 0 } parent)
        {
            options.DataDirectory = Path.Combine(parent, "openai");
        }

        if (options.DataDirectory is { Length: > 0 } directory && services.GetService<IHostEnvironment>() is { } host)
        {
            options.DataDirectory = Path.Combine(host.ContentRootPath, directory);
        }
    }
}
