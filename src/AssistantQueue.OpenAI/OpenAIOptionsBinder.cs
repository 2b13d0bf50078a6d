using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;

namespace AssistantQueue.OpenAI;

/// <summary>Puts the configuration's values into the options one by one, so that every value that can't be read is told, not only the first.</summary>
internal static class OpenAIOptionsBinder
{
    private static readonly Dictionary<string, Type> Settings = typeof(OpenAIOptions).GetProperties()
        .ToDictionary(p => p.Name, p => Nullable.GetUnderlyingType(p.PropertyType) ?? p.PropertyType, StringComparer.OrdinalIgnoreCase);

    public static void Bind(OpenAIOptions options, IEnumerable<IConfigurationSection> sections, IConfiguration? app)
    {
        foreach (var setting in sections.SelectMany(section => section.GetChildren()))
        {
            if (Settings.TryGetValue(setting.Key, out var type) && Fault(options, setting, type) is { } fault)
            {
                // the validator tells it together with the other faults
                options.Faults.Add(fault);
            }
        }

        if (string.IsNullOrEmpty(options.ApiKey))
        {
            options.ApiKey = app?[options.AzureEndpoint is null ? "OPENAI_API_KEY" : "AZURE_OPENAI_API_KEY"];
        }
    }

    /// <summary>The names in the sections that are no settings, most likely misspelt.</summary>
    public static IEnumerable<string> UnknownNames(IEnumerable<IConfigurationSection> sections) => sections
        .SelectMany(section => section.GetChildren())
        .Where(setting => !Settings.ContainsKey(setting.Key))
        .Select(setting => setting.Path);

    private static string? Fault(OpenAIOptions options, IConfigurationSection setting, Type type)
    {
        if (SettingText.BareNumberFault(setting.Path, type, setting.Value) is { } fault)
        {
            return fault;
        }

        try
        {
            new ConfigurationBuilder().AddInMemoryCollection([new(setting.Key, setting.Value)]).Build().Bind(options);
            return null;
        }
        catch (InvalidOperationException)
        {
            return $"{setting.Path} is '{setting.Value}'; it must be {SettingText.Expected(type)}";
        }
    }
}

/// <summary>Tells that a queue's sections have changed.</summary>
internal sealed class SectionsChangeToken(string name, IReadOnlyList<IConfigurationSection> sections) : IOptionsChangeTokenSource<OpenAIOptions>
{
    public string Name => name;

    public IChangeToken GetChangeToken() => new CompositeChangeToken([.. sections.Select(section => section.GetReloadToken())]);
}
