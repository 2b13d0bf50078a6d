using System.Globalization;
using System.Reflection;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace AssistantQueue.Tests.Options;

/// <summary>Every setting that there is, given as an environment variable.</summary>
public sealed class EnvironmentVariableTests
{
    // Of this test run alone: the variables of a process are everybody's.
    private static readonly string Prefix = "T" + Guid.NewGuid().ToString("N") + "_";

    public static TheoryData<Type, string, string> Settings
    {
        get
        {
            var settings = new TheoryData<Type, string, string>();
            foreach (var (type, section) in new[] { (typeof(AssistantQueueOptions), ""), (typeof(OpenAIOptions), "OpenAI__") })
            {
                foreach (var (name, value) in Values(type))
                {
                    settings.Add(type, section + name, value);
                }
            }

            return settings;
        }
    }

    [Theory]
    [MemberData(nameof(Settings))]
    public void Variable_OfASetting_IsBound(Type options, string name, string value)
    {
        var bound = options == typeof(OpenAIOptions) ? (object)Bind<OpenAIOptions>(name, value) : Bind<AssistantQueueOptions>(name, value);

        foreach (var part in name.Split("__").Where(p => p != "OpenAI"))
        {
            bound = bound.GetType().GetProperty(part)!.GetValue(bound)!;
        }

        Assert.Equal(value, Convert.ToString(bound, CultureInfo.InvariantCulture), ignoreCase: true);
    }

    private static T Bind<T>(string name, string value)
        where T : class
    {
        var variable = $"{Prefix}AssistantQueue__{name}";
        Environment.SetEnvironmentVariable(variable, value);
        try
        {
            var services = new ServiceCollection();
            services.AddSingleton<IConfiguration>(new ConfigurationBuilder().AddEnvironmentVariables(Prefix).Build());
            services.AddAssistantMessageQueue().UseOpenAI();

            // As they are bound: whether they fit together is another matter.
            services.Where(s => s.ServiceType == typeof(IValidateOptions<T>)).ToList().ForEach(s => services.Remove(s));
            using var provider = services.BuildServiceProvider();
            return provider.GetRequiredService<IOptionsMonitor<T>>().CurrentValue;
        }
        finally
        {
            Environment.SetEnvironmentVariable(variable, null);
        }
    }

    private static IEnumerable<(string Name, string Value)> Values(Type type, string path = "")
    {
        foreach (var property in type.GetProperties(BindingFlags.Public | BindingFlags.Instance).Where(p => p.SetMethod is { IsPublic: true }))
        {
            var kind = Nullable.GetUnderlyingType(property.PropertyType) ?? property.PropertyType;
            var name = path + property.Name;
            if (kind.IsSubclassOf(typeof(Delegate)))
            {
                // set in code only
                continue;
            }

            if (kind == typeof(BackoffOptions) || kind == typeof(ToolOptions))
            {
                foreach (var inner in Values(kind, name + "__"))
                {
                    yield return inner;
                }

                continue;
            }

            yield return (name, kind switch
            {
                _ when kind == typeof(string) => "something",
                _ when kind == typeof(int) => "17",
                _ when kind == typeof(bool) => property.GetValue(Activator.CreateInstance(type)) is true ? "False" : "True",
                _ when kind == typeof(TimeSpan) => "00:00:17",
                _ when kind == typeof(Uri) => "http://example.org/v1",
                _ when kind == typeof(Durability) => "Replicas(2)",
                _ when kind.IsEnum => Enum.GetNames(kind)[^1],
                _ => throw new NotSupportedException($"{name} is a {kind.Name}; this test doesn't know a value for it."),
            });
        }
    }
}
