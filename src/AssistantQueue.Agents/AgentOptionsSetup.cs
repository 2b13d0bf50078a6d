using System.Globalization;
using Microsoft.Agents.AI;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;

namespace AssistantQueue.Agents;

/// <summary>Reads one queue's agent settings from its sections, and checks them and what the agent needs when the host starts.</summary>
internal sealed class AgentOptionsSetup(string queue, string path, IServiceProvider services, IReadOnlyList<IConfigurationSection> sections, bool looksInServices)
    : IConfigureNamedOptions<AgentOptions>, IValidateOptions<AgentOptions>, IOptionsChangeTokenSource<AgentOptions>
{
    public const string Section = "Agent";

    private const int Least = 1_000, Most = 10_485_760;

    public string Name => queue;

    /// <summary>The names in the sections that are no settings, most likely misspelt.</summary>
    public static IEnumerable<string> UnknownNames(IEnumerable<IConfigurationSection> sections) => sections
        .SelectMany(section => section.GetChildren())
        .Where(s => !string.Equals(s.Key, nameof(AgentOptions.MaxSessionCharacters), StringComparison.OrdinalIgnoreCase))
        .Select(s => s.Path);

    public IChangeToken GetChangeToken() => new CompositeChangeToken([.. sections.Select(section => section.GetReloadToken())]);

    public void Configure(AgentOptions options) => Configure(Options.DefaultName, options);

    public void Configure(string? name, AgentOptions options)
    {
        foreach (var section in name == queue ? sections : [])
        {
            if (section[nameof(options.MaxSessionCharacters)] is not { } value)
            {
                continue;
            }

            if (int.TryParse(value, NumberStyles.Integer, CultureInfo.InvariantCulture, out var characters))
            {
                options.MaxSessionCharacters = characters;
            }
            else
            {
                options.Faults.Add($"{section.Path}:{nameof(options.MaxSessionCharacters)} is '{value}'; it must be a whole number");
            }
        }
    }

    public ValidateOptionsResult Validate(string? name, AgentOptions options)
    {
        if ((name ?? "") != queue || !QueueRole.RunsWorker(services, queue))
        {
            return ValidateOptionsResult.Skip;
        }

        var faults = options.Faults.ToList();
        var known = services.GetRequiredService<IServiceProviderIsKeyedService>();
        var called = queue.Length == 0 ? "The queue" : $"Queue '{queue}'";
        if (options.MaxSessionCharacters is < Least or > Most)
        {
            faults.Add(string.Create(CultureInfo.InvariantCulture, $"{path}:{nameof(options.MaxSessionCharacters)} is {options.MaxSessionCharacters:N0}; it must be {Least:N0} to {Most:N0}"));
        }

        if (looksInServices && !known.IsService(typeof(AIAgent)) && !(queue.Length > 0 && known.IsKeyedService(typeof(AIAgent), queue)))
        {
            faults.Add($"{called} uses an agent, but there is no AIAgent in DI; register one (with the queue's name as its key, or without a key), or give it to .UseAgent(…)");
        }

        if (known.IsKeyedService(typeof(AIFunction), queue))
        {
            faults.Add($"{called} has tools registered with .AddTool(), but an agent calls only tools of its own; give them to the agent where it is made, or use .UseChatClient()");
        }

        return faults.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(faults);
    }
}
