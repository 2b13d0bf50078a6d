using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;

namespace AssistantQueue;

/// <summary>Builds one queue's options: the name's defaults, then configuration, then code, then what follows from both.</summary>
internal sealed class QueueOptionsSetup(QueueRegistration registration, IConfiguration? appConfiguration)
    : IConfigureNamedOptions<AssistantQueueOptions>, IPostConfigureOptions<AssistantQueueOptions>, IOptionsChangeTokenSource<AssistantQueueOptions>
{
    public string Name => registration.Name;

    public void Configure(AssistantQueueOptions options) => Configure(Options.DefaultName, options);

    public void Configure(string? name, AssistantQueueOptions options)
    {
        if (name != registration.Name)
        {
            return;
        }

        if (name.Length > 0)
        {
            options.QueuePrefix = $"{options.QueuePrefix}-{name}";
        }

        foreach (var section in registration.SectionsIn(appConfiguration))
        {
            SettingsBinder.Bind(section, options);
        }

        foreach (var configure in registration.Code)
        {
            configure(options);
        }
    }

    public void PostConfigure(string? name, AssistantQueueOptions options)
    {
        if (name != registration.Name)
        {
            return;
        }

        if (string.IsNullOrWhiteSpace(options.RedisConnectionString))
        {
            options.RedisConnectionString = appConfiguration?.GetConnectionString("redis");
        }

        options.RunWorker &= !registration.IsProducerOnly;
    }

    public IChangeToken GetChangeToken() =>
        new CompositeChangeToken([.. registration.SectionsIn(appConfiguration).Select(s => s.GetReloadToken())]);
}
