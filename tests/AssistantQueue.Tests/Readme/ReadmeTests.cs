using System.Globalization;
using System.Reflection;
using System.Text;
using System.Text.RegularExpressions;
using AssistantQueue.Emulators;
using AssistantQueue.Tests.Architecture;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace AssistantQueue.Tests.Readme;

/// <summary>What the README says is so: its snippets compile and run, its settings are the real ones with their real defaults.</summary>
public sealed partial class ReadmeTests
{
    private static readonly string Readme = Resource("README.md");

    public static TheoryData<string> SnippetNames => [.. SnippetMark().Matches(Readme).Select(m => m.Groups[1].Value)];

    [Theory]
    [MemberData(nameof(SnippetNames))]
    public void Snippet_InTheReadme_IsTheCompiledOne(string name)
    {
        var shown = Regex.Match(Readme, $"<!-- snippet: {name} -->\n```csharp\n(.*?)```", RegexOptions.Singleline).Groups[1].Value;

        // A program of its own says what it uses; .ci/sample runs it with that.
        Assert.Equal(Compiled(name), Usings().Replace(shown, ""));
    }

    [Fact]
    public void Snippets_AllCSharpOfTheReadme_IsMarked() =>
        Assert.Equal(Regex.Count(Readme, "```csharp"), SnippetNames.Count);

    [Fact]
    public void Snippets_EachOne_IsRunByATest()
    {
        Assert.Equal(SnippetMark().Matches(Readme).Select(m => m.Groups[1].Value), SnippetRuns.All.Keys);
        Assert.All(SnippetRuns.All.Values, run => Assert.Contains(SourcesWith(run.Test), source => source.Contains(run.With, StringComparison.Ordinal)));
    }

    [Fact]
    public async Task TenLines_Run_AnswerBothMessagesAtOnce()
    {
        var reply = await Snippets.TenLinesAsync(["--AssistantQueue:MessageDelay=00:00:02", "--AssistantQueue:OpenAI:PollInterval=00:00:00.05"]).WaitAsync(TimeSpan.FromSeconds(60));

        Assert.Equal(2, reply.MessageIds.Count);
    }

    [Fact]
    public async Task Named_Registered_AnswersWithItsBackend()
    {
        await using var redis = await EmbeddedRedis.StartAsync();
        var builder = Microsoft.Extensions.Hosting.Host.CreateEmptyApplicationBuilder(null);
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["ConnectionStrings:redis"] = redis.ConnectionString,
            ["AssistantQueue:Queues:support:MessageDelay"] = "00:00:00",
            ["AssistantQueue:Queues:sales:RunWorker"] = "false",
        });
        Snippets.Named(builder.Services);
        using var host = builder.Build();
        await host.StartAsync();

        var reply = await host.Services.GetRequiredService<Desk>().AskAsync("alice", "hi").WaitAsync(TimeSpan.FromSeconds(30));

        Assert.Equal("hi", reply.Text);
        await host.StopAsync();
    }

    [Fact]
    public void Settings_Table_HasEverySettingWithItsDefault() =>
        Assert.Equal(Defaults(new AssistantQueueOptions()), Table("Settings"));

    [Fact]
    public void OpenAISettings_Table_HasEverySettingWithItsDefault() =>
        Assert.Equal(Defaults(new OpenAIOptions()), Table("OpenAI settings"));

    [Fact]
    public void ChatClientSettings_Table_HasEverySettingWithItsDefault() =>
        Assert.Equal(Defaults(new ChatClientOptions()), Table("Chat client settings"));

    [Fact]
    public void AgentSettings_Table_HasEverySettingWithItsDefault() =>
        Assert.Equal(Defaults(new AgentOptions()), Table("Agent settings"));

    [Fact]
    public void AppSettings_Example_IsGood()
    {
        var json = Regex.Match(Readme, "```json\n(.*?)```", RegexOptions.Singleline).Groups[1].Value;
        var services = new ServiceCollection();
        services.AddSingleton<IConfiguration>(new ConfigurationBuilder().AddJsonStream(new MemoryStream(Encoding.UTF8.GetBytes(json))).Build());
        services.AddAssistantMessageQueue();
        using var provider = services.BuildServiceProvider();

        var options = provider.GetRequiredKeyedService<CurrentOptions>("").Value;

        Assert.Equal(("localhost:6379", TimeSpan.FromSeconds(5)), (options.RedisConnectionString, options.MessageDelay));
        Assert.Empty(SettingsBinder.UnknownNames(provider.GetRequiredService<IConfiguration>().GetSection("AssistantQueue")));
    }

    // .ci/sample runs all but dotnet test, which .ci/run does; each takes them from the README.
    [Fact]
    public void Commands_OfDotnet_AreThoseThatCIRuns() =>
        Assert.Equal(
            [
                "dotnet run --project samples/WebChat",
                "dotnet test",
                "dotnet new console -o ../app",
                "dotnet add ../app reference src/AssistantQueue.OpenAI src/AssistantQueue.Emulators",
                "dotnet run --project ../app",
            ],
            Commands().Matches(Readme).Select(m => m.Groups[1].Value.Trim()));

    [Fact]
    public void Commands_ForNewcomers_AreTheTwo()
    {
        var blocks = Regex.Matches(Readme, "```sh\n(.*?)```", RegexOptions.Singleline);

        Assert.Equal(["dotnet run --project samples/WebChat", "dotnet test"], blocks[0].Groups[1].Value.Split('\n').Select(l => l.Split('#')[0].Trim()).Where(l => l.Length > 0));
    }

    public static TheoryData<string> TestsShown => [.. TestShown().Matches(Section("What can fail")).Select(m => m.Groups[1].Value)];

    [Theory]
    [MemberData(nameof(TestsShown))]
    public void WhatCanFail_TestThatShowsIt_Exists(string name) =>
        Assert.NotEmpty(SourcesWith(name));

    public static TheoryData<string> TestsOfCells => [.. TestShown().Matches(File.ReadAllText(Path.Combine(SourceTree.Root, "src", "AssistantQueue.OpenAI", "README.md"))).Select(m => m.Groups[1].Value).Distinct()];

    [Theory]
    [MemberData(nameof(TestsOfCells))]
    public void OpenAITable_TestOfACell_Exists(string name) => WhatCanFail_TestThatShowsIt_Exists(name);

    [Fact]
    public void WhatCanFail_EachRow_NamesATest() =>
        Assert.All(
            Section("What can fail").Split('\n').Where(l => l.StartsWith('|')).Skip(2),
            row => Assert.Matches(TestShown(), row));

    private static IEnumerable<string> SourcesWith(string test)
    {
        var (type, method) = (test.Split('.')[0], test.Split('.')[1]);
        return typeof(ReadmeTests).Assembly.GetManifestResourceNames()
            .Where(resource => resource.StartsWith("tests/", StringComparison.Ordinal) && Path.GetFileName(resource) == type + ".cs")
            .Select(Resource)
            .Where(source => Regex.IsMatch(source, $@"\[\w*(Fact|Theory)\b[^;{{}}]* {method}\("));
    }

    private static string Section(string heading) =>
        Regex.Match(Readme, $"^## {heading}\n(.*?)(?=^## )", RegexOptions.Singleline | RegexOptions.Multiline).Groups[1].Value;

    private static SortedDictionary<string, string> Table(string heading)
    {
        var section = Section(heading);
        Assert.NotEmpty(section);
        return new(Row().Matches(section).ToDictionary(m => m.Groups[1].Value, m => m.Groups[2].Value.Trim('`')), StringComparer.Ordinal);
    }

    private static SortedDictionary<string, string> Defaults(object options)
    {
        var defaults = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var property in options.GetType().GetProperties(BindingFlags.Public | BindingFlags.Instance))
        {
            var value = property.GetValue(options);
            if (value is BackoffOptions or ToolOptions)
            {
                foreach (var (name, inner) in Defaults(value))
                {
                    defaults[$"{property.Name}:{name}"] = inner;
                }
            }
            else
            {
                defaults[property.Name] = value switch
                {
                    null => "none",
                    bool b => b ? "true" : "false",
                    _ => Convert.ToString(value, CultureInfo.InvariantCulture)!,
                };
            }
        }

        return defaults;
    }

    private static string Compiled(string name)
    {
        var lines = Regex.Match(Resource("Snippets.cs"), $"#region {name}\n(.*?)\n *#endregion", RegexOptions.Singleline).Groups[1].Value.Split('\n');
        var indent = lines.Where(l => l.Length > 0).Min(l => l.Length - l.TrimStart().Length);
        return string.Concat(lines.Select(l => (l.Length > indent ? l[indent..] : "") + "\n"));
    }

    private static string Resource(string name)
    {
        using var reader = new StreamReader(typeof(ReadmeTests).Assembly.GetManifestResourceStream(name)!);
        return reader.ReadToEnd().ReplaceLineEndings("\n");
    }

    [GeneratedRegex("`([A-Za-z]+Tests\\.[A-Za-z0-9_]+)`")]
    private static partial Regex TestShown();

    [GeneratedRegex("^(using [^;]+;\n)+\n")]
    private static partial Regex Usings();

    [GeneratedRegex("(?:^|`)(dotnet [^`#\n]+)", RegexOptions.Multiline)]
    private static partial Regex Commands();

    [GeneratedRegex("<!-- snippet: (\\S+) -->")]
    private static partial Regex SnippetMark();

    [GeneratedRegex("^\\| `([A-Za-z:]+)` \\| ([^|]+?) \\|", RegexOptions.Multiline)]
    private static partial Regex Row();
}
