using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;

namespace AssistantQueue.ChatClient;

/// <summary>Puts the values of a queue's <c>ChatClient</c> sections into the options, one by one, so that every value that can't be read is told.</summary>
internal static class ChatClientOptionsBinder
{
    public const string Section = "ChatClient";

    private static readonly string[] Settings = [nameof(ChatClientOptions.Model), nameof(ChatClientOptions.MaxHistoryMessages), nameof(ChatClientOptions.MaxHistoryCharacters)];

    public static void Bind(ChatClientOptions options, IEnumerable<IConfigurationSection> sections)
    {
        foreach (var setting in sections.SelectMany(section => section.GetChildren()).Where(s => IsSetting(s.Key)))
        {
            try
            {
                new ConfigurationBuilder().AddInMemoryCollection([new(setting.Key, setting.Value)]).Build().Bind(options);
            }
            catch (InvalidOperationException)
            {
                // the validator tells it together with the other faults
                options.Faults.Add($"{setting.Path} is '{setting.Value}'; it must be a whole number");
            }
        }
    }

    /// <summary>The names in the sections that are no settings, most likely misspelt.</summary>
    public static IEnumerable<string> UnknownNames(IEnumerable<IConfigurationSection> sections) =>
        sections.SelectMany(section => section.GetChildren()).Where(s => !IsSetting(s.Key)).Select(s => s.Path);

    private static bool IsSetting(string name) => Settings.Contains(name, StringComparer.OrdinalIgnoreCase);
}

/// <summary>Tells that a queue's sections have changed.</summary>
internal sealed class ChatClientSectionsChange(string name, IReadOnlyList<IConfigurationSection> sections) : IOptionsChangeTokenSource<ChatClientOptions>
{
    public string Name => name;

    public IChangeToken GetChangeToken() => new CompositeChangeToken([.. sections.Select(section => section.GetReloadToken())]);
}
