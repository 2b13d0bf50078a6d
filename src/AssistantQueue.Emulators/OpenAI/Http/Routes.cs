namespace AssistantQueue.Emulators;

/// <summary>The table of operations: method, path, name (the one that faults and ledger use) and handler.</summary>
internal sealed class Routes
{
    private readonly List<Route> routes = [];

    public void Add(string method, string path, string operation, Func<Exchange, Task<Answer>> handler, Action<System.Text.Json.Nodes.JsonObject>? rules = null) =>
        routes.Add(new(method, path.Split('/', StringSplitOptions.RemoveEmptyEntries), operation, handler, rules));

    public void Add(string method, string path, string operation, Func<Exchange, Answer> handler, Action<System.Text.Json.Nodes.JsonObject>? rules = null) =>
        Add(method, path, operation, e => Task.FromResult(handler(e)), rules);

    /// <summary>Finds the operation of a path; <paramref name="pathKnown"/> tells a wrong method from a wrong path.</summary>
    public Route? Find(string method, string[] segments, out Dictionary<string, string> arguments, out bool pathKnown)
    {
        arguments = [];
        pathKnown = false;
        foreach (var route in routes)
        {
            if (Match(route.Segments, segments) is not { } found)
            {
                continue;
            }

            pathKnown = true;
            if (route.Method == method)
            {
                arguments = found;
                return route;
            }
        }

        return null;
    }

    private static Dictionary<string, string>? Match(string[] pattern, string[] segments)
    {
        if (pattern.Length != segments.Length)
        {
            return null;
        }

        var found = new Dictionary<string, string>();
        for (var i = 0; i < pattern.Length; i++)
        {
            if (pattern[i][0] == '{')
            {
                found[pattern[i][1..^1]] = Uri.UnescapeDataString(segments[i]);
            }
            else if (pattern[i] != segments[i])
            {
                return null;
            }
        }

        return found;
    }
}

/// <summary>One operation.</summary>
internal sealed record Route(string Method, string[] Segments, string Operation, Func<Exchange, Task<Answer>> Handler, Action<System.Text.Json.Nodes.JsonObject>? Rules);
