using System.Reflection;
using AssistantQueue.Emulators;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;

namespace AssistantQueue.Tests.Architecture;

/// <summary>Arrows point one way: what each folder of the library uses is what the table of imports in its README allows.</summary>
public sealed class ArrowTests
{
    private static readonly string[] Steps = ["Enqueue", "Claim", "Run", "Finish", "Deliver"];
    private static readonly Assembly Library = typeof(IAssistantMessageQueue).Assembly;
    private static readonly ImportTable Table = ImportTable.Read(Path.Combine(SourceTree.Root, "src", "AssistantQueue", "README.md"));
    private static readonly IReadOnlyDictionary<string, string> Folders = SourceTree.FoldersOf("AssistantQueue");

    [Fact]
    public void Library_EveryUse_IsInTheTableOfImports()
    {
        var wrong = from type in Library.GetTypes()
                    let home = PartOf(type)
                    where home is not null
                    from used in TypeReferences.Of(type)
                    let part = PartOf(used)
                    where part is not null && part != home && !Table.Allows(home, part)
                    select $"{home} may not use {part}: {type.FullName} uses {used.FullName}";

        var lines = wrong.Distinct().Order().ToArray();
        Assert.True(lines.Length == 0, string.Join(Environment.NewLine, lines));
    }

    [Fact]
    public void Table_EveryFolder_HasARowAndEveryRowAFolder()
    {
        var parts = Library.GetTypes().Select(PartOf).OfType<string>().Append(ImportTable.Public).Distinct().Order();

        Assert.Equal(parts, Table.Parts.Order());
    }

    [Fact]
    public void Table_Arrows_NeverLeadBack()
    {
        foreach (var part in Table.Parts)
        {
            Assert.DoesNotContain(part, Table.Reachable(part));
        }
    }

    [Fact]
    public void Table_Steps_DoNotUseEachOther()
    {
        foreach (var step in Steps)
        {
            Assert.Empty(Table.Reachable(step).Intersect(Steps));
        }
    }

    // xunit 2 knows IAsyncLifetime and IDisposable; a test class that only has IAsyncDisposable is never ended, and its workers stay.
    [Fact]
    public void TestClasses_WithAnAsynchronousEnd_AreEndedByTheRunner() =>
        Assert.DoesNotContain(
            typeof(ArrowTests).Assembly.GetTypes(),
            t => typeof(IAsyncDisposable).IsAssignableFrom(t) && !typeof(IAsyncLifetime).IsAssignableFrom(t) && t.GetMethods().Any(m => m.IsDefined(typeof(FactAttribute))));

    [Theory]
    [InlineData(typeof(IAssistantMessageQueue), "Microsoft.Agents", "OpenAI", "Azure.", "System.ClientModel", "Garnet")]
    [InlineData(typeof(OpenAIQueueBuilderExtensions), "StackExchange.Redis", "Garnet")]
    [InlineData(typeof(AgentQueueBuilderExtensions), "StackExchange.Redis", "Garnet", "OpenAI", "Azure.")]
    [InlineData(typeof(AssistantQueueEndpointRouteBuilderExtensions), "StackExchange.Redis", "Garnet", "OpenAI", "Azure.")]
    [InlineData(typeof(EmbeddedRedis), "StackExchange.Redis", "OpenAI", "Azure.")]
    public void Package_SdkThatLivesElsewhere_IsNotUsed(Type ofPackage, params string[] elsewhere)
    {
        var used = ofPackage.Assembly.GetReferencedAssemblies().Select(a => a.Name!);

        Assert.DoesNotContain(used, name => elsewhere.Any(e => name.StartsWith(e, StringComparison.Ordinal)));
    }

    // The public types are one part wherever they are written, and a package outside is one by its name.
    private static string? PartOf(Type type)
    {
        while (type.DeclaringType is { } outer)
        {
            type = outer;
        }

        if (type.Assembly != Library)
        {
            return ImportTable.IsPackage(type.Assembly.GetName().Name!) ? type.Assembly.GetName().Name : null;
        }

        return type is { IsPublic: true, Namespace: "AssistantQueue" }
            ? ImportTable.Public
            // What the compiler makes by itself (source generators, inline arrays) is in no file of ours.
            : Folders.GetValueOrDefault(type.FullName!.Split('`')[0]) switch
            {
                "" => ImportTable.Public,
                var folder => folder,
            };
    }
}
