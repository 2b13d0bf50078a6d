namespace AssistantQueue.OpenAI.Client;

/// <summary>Tells Azure's addresses apart and completes them.</summary>
internal static class AzureEndpoints
{
    private static readonly string[] Hosts = [".openai.azure.com", ".services.ai.azure.com", ".cognitiveservices.azure.com"];

    /// <summary>Whether the address is Azure's, by its host.</summary>
    public static bool IsAzure(Uri endpoint) => Hosts.Any(host => endpoint.Host.EndsWith(host, StringComparison.OrdinalIgnoreCase));

    /// <summary>Whether the address is a Foundry project's: those have conversations, resources have none.</summary>
    public static bool IsProject(Uri endpoint) => endpoint.AbsolutePath.Contains("/api/projects/", StringComparison.OrdinalIgnoreCase);

    /// <summary>The address of the version-less API: <c>…/openai/v1</c>.</summary>
    public static Uri V1(Uri endpoint) => Below(endpoint, "/openai/v1");

    /// <summary>The address of the dated API: <c>…/openai</c>.</summary>
    public static Uri Dated(Uri endpoint) => Below(endpoint, "/openai");

    private static Uri Below(Uri endpoint, string path)
    {
        var root = endpoint.GetLeftPart(UriPartial.Path).TrimEnd('/');
        foreach (var known in (string[])["/openai/v1", "/openai"])
        {
            if (root.EndsWith(known, StringComparison.OrdinalIgnoreCase))
            {
                root = root[..^known.Length];
                break;
            }
        }

        return new Uri(root + path);
    }
}
