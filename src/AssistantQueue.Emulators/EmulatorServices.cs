using System.Diagnostics.CodeAnalysis;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace AssistantQueue.Emulators;

/// <summary>What both emulators have in common where they are registered: one server a host, its options from the configuration, its folder.</summary>
internal static class EmulatorServices
{
    private const string Section = "AssistantQueue:Emulators";

    /// <summary>Adds the server and where its options come from, once for all queues that ask for it.</summary>
    /// <param name="services">The host's services.</param>
    /// <param name="bind">Sets the options from the configuration.</param>
    /// <param name="configure">The app's own changes; they come after the configuration.</param>
    /// <param name="start">Starts the server.</param>
    public static void AddServer<TServer, [DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicParameterlessConstructor)] TOptions>(
        IServiceCollection services, Action<TOptions, IConfigurationSection, IServiceProvider> bind, Action<TOptions>? configure, Func<IServiceProvider, TOptions, TServer> start)
        where TServer : class
        where TOptions : class
    {
        if (!services.Any(s => s.ServiceType == typeof(TServer)))
        {
            services.AddSingleton<IConfigureOptions<TOptions>>(provider => new ConfigureOptions<TOptions>(options =>
            {
                if (provider.GetService<IConfiguration>() is { } configuration)
                {
                    bind(options, configuration.GetSection(Section), provider);
                }
            }));
            services.AddSingleton(provider => start(provider, provider.GetRequiredService<IOptions<TOptions>>().Value));
        }

        if (configure is not null)
        {
            services.Configure(configure);
        }
    }

    /// <summary>The folder of one server: its own, or one below the folder of all; a relative path counts from the content root.</summary>
    public static string? Folder(string? own, string name, IConfigurationSection section, IServiceProvider services)
    {
        var folder = own ?? (section["DataDirectory"] is { Length: > 0 } parent ? Path.Combine(parent, name) : null);
        return folder is { Length: > 0 } && services.GetService<IHostEnvironment>() is { } host ? Path.Combine(host.ContentRootPath, folder) : folder;
    }
}
