using System.Text.RegularExpressions;

namespace AssistantQueue.Tests.Architecture;

/// <summary>Where the sources lie, and in which folder of a project each of its types is written.</summary>
internal static partial class SourceTree
{
    /// <summary>The repository's root: the folder above this test that has the solution.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary>Full type names of a project → the folder below it (the first level; empty for its root). A type in several files counts where most of it is: in the root.</summary>
    public static IReadOnlyDictionary<string, string> FoldersOf(string project)
    {
        var home = Path.Combine(Root, "src", project);
        var folders = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var file in Directory.EnumerateFiles(home, "*.cs", SearchOption.AllDirectories).Order(StringComparer.Ordinal))
        {
            var parts = Path.GetRelativePath(home, file).Split(Path.DirectorySeparatorChar);
            if (parts[0] is "bin" or "obj")
            {
                continue;
            }

            var text = File.ReadAllText(file);
            var space = Namespace().Match(text).Groups[1].Value;
            foreach (Match declared in Declaration().Matches(text))
            {
                var name = $"{space}.{declared.Groups[1].Value}";
                folders[name] = parts.Length == 1 || folders.GetValueOrDefault(name) == "" ? "" : parts[0];
            }
        }

        return folders;
    }

    private static string FindRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "AssistantQueue.sln")))
            {
                return folder.FullName;
            }
        }

        throw new InvalidOperationException("The tests don't run below the repository.");
    }

    [GeneratedRegex(@"^namespace ([\w.]+)", RegexOptions.Multiline)]
    private static partial Regex Namespace();

    // Types of the file's own level: file-scoped namespaces leave them at the line's beginning.
    [GeneratedRegex(@"^(?:(?:public|internal|file|static|sealed|abstract|partial|readonly|ref|unsafe) )*(?:class|record struct|record class|record|struct|interface|enum|delegate [\w<>?\[\], ]+?) ?(\w+)", RegexOptions.Multiline)]
    private static partial Regex Declaration();
}
