using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;

namespace AssistantQueue.OpenAI;

/// <summary>Puts the configuration's values into the options one by one, so that every value that can't be read is told, not only the first.</summary>
internal static class OpenAIOptionsBinder
{
    public static void Bind(OpenAIOptions options, IEnumerable<IConfigurationSection> sections, IConfiguration? app)
    {
        foreach (var setting in sections.SelectMany(section => section.GetChildren()))
        {
            try
            {
                new ConfigurationBuilder().AddInMemoryCollection([new(setting.Key, setting.Value)]).Build().Bind(options);
            }
            catch (InvalidOperationException)
            {
                // the validator tells it together with the other faults
                options.Faults.Add($"{setting.Path} is '{setting.Value}', which can't be read. Look at its documentation for what it takes.");
            }
        }

        if (string.IsNullOrEmpty(options.ApiKey))
        {
            options.ApiKey = app?[options.AzureEndpoint is null ? "OPENAI_API_KEY" : "AZURE_OPENAI_API_KEY"];
        }
    }
}

/// <summary>Tells that a queue's sections have changed.</summary>
internal sealed class SectionsChangeToken(string name, IReadOnlyList<IConfigurationSection> sections) : IOptionsChangeTokenSource<OpenAIOptions>
{
    public string Name => name;

    public IChangeToken GetChangeToken() => new CompositeChangeToken([.. sections.Select(section => section.GetReloadToken())]);
}

/// <summary>A queue's options as they are now; while values that were changed are bad, as they were before.</summary>
internal sealed class LastGood<T>
    where T : class
{
    private readonly IOptionsMonitor<T> _options;
    private readonly string _name;
    private readonly ILogger _logger;
    private volatile T _last;
    private volatile string? _told;

    /// <exception cref="OptionsValidationException">There are no good values to begin with.</exception>
    public LastGood(IOptionsMonitor<T> options, string name, ILogger logger)
    {
        (_options, _name, _logger) = (options, name, logger);
        _last = options.Get(name);
    }

    public T Value
    {
        get
        {
            try
            {
                _last = _options.Get(_name);
                _told = null;
            }
            catch (OptionsValidationException e)
            {
                // A running queue goes on as it was; each fault is told once.
                if (_told != e.Message)
                {
                    _told = e.Message;
                    Log.SettingsRejected(_logger, _name, e.Message);
                }
            }

            return _last;
        }
    }
}
