using Microsoft.Extensions.Configuration;
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
internal sealed class LastGood<T>(IOptionsMonitor<T> options, string name)
    where T : class
{
    private volatile T? _last;

    public T Value
    {
        get
        {
            try
            {
                return _last = options.Get(name);
            }
            catch (OptionsValidationException) when (_last is not null)
            {
                // a running queue goes on as it was
                return _last;
            }
        }
    }
}
