namespace WebChat;

/// <summary>Where a connection string leads, for people: hosts and ports, no user and no password.</summary>
internal static class RedisAddress
{
    /// <summary>The hosts of StackExchange.Redis syntax, or of a <c>redis://</c> or <c>rediss://</c> URL.</summary>
    public static string Of(string connectionString)
    {
        var text = connectionString.Trim();
        var scheme = text.IndexOf("://", StringComparison.Ordinal);
        if (scheme < 0)
        {
            return string.Join(", ", text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
                .Where(part => !part.Contains('=', StringComparison.Ordinal))
                .Select(AfterSignIn));
        }

        var (address, options) = Cut(text[(scheme + 3)..], '?');
        // An '@' among the options: a password with a '?' in it, or one as an option. Nothing that is left is surely no secret.
        return options.Contains('@', StringComparison.Ordinal) ? "as configured" : Cut(AfterSignIn(address), '/').Before.Replace(",", ", ", StringComparison.Ordinal);
    }

    // The last one: a password may have an '@' itself, a host has none.
    private static string AfterSignIn(string address) => address[(address.LastIndexOf('@') + 1)..];

    private static (string Before, string After) Cut(string text, char separator)
    {
        var at = text.IndexOf(separator, StringComparison.Ordinal);
        return at < 0 ? (text, "") : (text[..at], text[(at + 1)..]);
    }
}
