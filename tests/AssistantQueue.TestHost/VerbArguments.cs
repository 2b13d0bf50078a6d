namespace AssistantQueue.TestHost;

/// <summary>Reads a verb's <c>--name value</c> pairs.</summary>
internal static class VerbArguments
{
    /// <summary>The value after <c>--name</c>, or null when it isn't there.</summary>
    public static string? Value(this string[] args, string name)
    {
        var at = Array.IndexOf(args, "--" + name);
        return at >= 0 && at + 1 < args.Length ? args[at + 1] : null;
    }
}
