namespace AssistantQueue.Tests.Architecture;

/// <summary>The table of imports in the library's README: part, its job, the parts that it may use, the packages that it may use.</summary>
internal sealed class ImportTable
{
    /// <summary>The part that all public types are, with what lies in the library's root.</summary>
    public const string Public = "public types";

    // Packages whose home is ruled; the framework's own are everybody's.
    private static readonly string[] Packages = ["StackExchange.Redis", "Polly", "Polly.Core", "OpenAI", "Azure.Core", "Azure.AI.OpenAI", "System.ClientModel"];

    private readonly Dictionary<string, HashSet<string>> _uses = new(StringComparer.Ordinal);

    public IEnumerable<string> Parts => _uses.Keys;

    /// <summary>Reads the rows of the first table whose head begins with "part".</summary>
    public static ImportTable Read(string path)
    {
        var table = new ImportTable();
        var rows = File.ReadLines(path).SkipWhile(line => !line.StartsWith("| part ", StringComparison.Ordinal)).Skip(2).TakeWhile(line => line.StartsWith('|'));
        foreach (var row in rows)
        {
            var cells = row.Trim('|').Split('|').Select(cell => cell.Replace("`", "", StringComparison.Ordinal).Trim()).ToArray();
            table._uses[cells[0]] = [.. Words(cells[2]), .. Words(cells[3])];
        }

        return table;
    }

    public static bool IsPackage(string name) => Packages.Contains(name, StringComparer.Ordinal);

    public bool Allows(string part, string used) => _uses.TryGetValue(part, out var uses) && uses.Contains(used is "Polly.Core" ? "Polly" : used);

    /// <summary>Every part that a part's arrows lead to, over any number of steps.</summary>
    public IReadOnlySet<string> Reachable(string part)
    {
        var found = new HashSet<string>(StringComparer.Ordinal);
        var open = new Queue<string>(_uses[part]);
        while (open.TryDequeue(out var next))
        {
            if (found.Add(next) && _uses.TryGetValue(next, out var further))
            {
                foreach (var use in further)
                {
                    open.Enqueue(use);
                }
            }
        }

        return found;
    }

    private static IEnumerable<string> Words(string cell) => cell.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Where(word => word != "–");
}
