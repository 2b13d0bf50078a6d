namespace WebChat.Api;

/// <summary>Ids as they stand in a path.</summary>
public static class RouteText
{
    /// <summary>Kestrel decodes a path except for %2F, which would otherwise look like two segments.</summary>
    public static string Unescape(string routeValue) => routeValue.Replace("%2F", "/", StringComparison.OrdinalIgnoreCase);
}
