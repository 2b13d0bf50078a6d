using System.Globalization;
using Microsoft.Extensions.Configuration;

namespace AssistantQueue;

/// <summary>Puts a configuration section's values into the options; what can't be read becomes a fault of the options, so that all faults are told at once.</summary>
internal static class SettingsBinder
{
    private static readonly Dictionary<string, Type> Settings = typeof(AssistantQueueOptions).GetProperties()
        .Where(p => p.PropertyType != typeof(BackoffOptions) && p.PropertyType != typeof(ToolOptions) && p.Name != nameof(AssistantQueueOptions.FlushWhen))
        .Select(p => (p.Name, p.PropertyType))
        .Concat(typeof(BackoffOptions).GetProperties().Select(p => ($"{nameof(AssistantQueueOptions.Backoff)}:{p.Name}", p.PropertyType)))
        .Concat(typeof(ToolOptions).GetProperties().Select(p => ($"{nameof(AssistantQueueOptions.Tools)}:{p.Name}", p.PropertyType)))
        .ToDictionary(p => p.Item1, p => Nullable.GetUnderlyingType(p.Item2) ?? p.Item2, StringComparer.OrdinalIgnoreCase);

    public static void Bind(IConfiguration section, AssistantQueueOptions options)
    {
        try
        {
            section.Bind(options);
            BindDurability(section, options);
            CheckTimes(section, options);
        }
        catch (InvalidOperationException)
        {
            // Binding stops at the first value that it can't read; one by one the others are read, and each bad one is told.
            BindOneByOne(section, options);
        }
    }

    /// <summary>The values directly in the section that are no settings, most likely misspelt; sections inside it belong to others.</summary>
    public static IEnumerable<string> UnknownNames(IConfiguration section) => section.GetChildren()
        .Where(child => child.Value is not null && !Settings.ContainsKey(child.Key))
        .Select(child => child.Path);

    private static void BindOneByOne(IConfiguration section, AssistantQueueOptions options)
    {
        foreach (var (key, value) in Values(section))
        {
            try
            {
                new ConfigurationBuilder().AddInMemoryCollection([new(key, value)]).Build().Bind(options);
            }
            catch (InvalidOperationException)
            {
                options.Faults.Add($"{PathOf(section, key)} is '{value}'; it must be {SettingText.Expected(Settings[key])}");
            }
        }

        BindDurability(section, options);
        CheckTimes(section, options);
    }

    // The generated binder knows no types of ours.
    private static void BindDurability(IConfiguration section, AssistantQueueOptions options)
    {
        const string Key = nameof(AssistantQueueOptions.Durability);
        if (section[Key] is not { } value)
        {
            return;
        }

        if (Durability.TryParse(value, CultureInfo.InvariantCulture, out var durability))
        {
            options.Durability = durability;
        }
        else
        {
            options.Faults.Add($"{PathOf(section, Key)} is '{value}'; it must be Primary, or Replicas(n) with n from 1 to 100");
        }
    }

    private static void CheckTimes(IConfiguration section, AssistantQueueOptions options)
    {
        foreach (var (key, value) in Values(section))
        {
            if (SettingText.BareNumberFault(PathOf(section, key), Settings[key], value) is { } fault)
            {
                options.Faults.Add(fault);
            }
        }
    }

    private static IEnumerable<KeyValuePair<string, string>> Values(IConfiguration section) => Settings.Keys
        .Select(key => new KeyValuePair<string, string?>(key, section[key]))
        .Where(pair => pair.Value is not null)!;

    private static string PathOf(IConfiguration section, string key) =>
        section is IConfigurationSection { Path: var path } ? $"{path}:{key}" : key;
}
