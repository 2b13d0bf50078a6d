using System.Globalization;
using System.Text.RegularExpressions;
using StackExchange.Redis;

namespace AssistantQueue.Redis;

/// <summary>Reads where Redis is: StackExchange.Redis syntax, or a <c>redis://</c> or <c>rediss://</c> URL.</summary>
/// <remarks>
/// URL: <c>redis[s]://[user[:password]@]host[:port][,host[:port]…][/database][?option=value&amp;…]</c>; user, password and values are percent-decoded,
/// options are those of StackExchange.Redis (<c>connectTimeout</c>, <c>serviceName</c>, …). <c>rediss</c> means TLS.
/// </remarks>
internal static partial class RedisConnectionString
{
    private const string Plain = "redis://", Secure = "rediss://";

    /// <exception cref="FormatException">The text can't be read; the message says why and holds no password.</exception>
    public static ConfigurationOptions Parse(string text)
    {
        try
        {
            var options = IsUrl(text) ? ParseUrl(text.Trim()) : ConfigurationOptions.Parse(text);
            return options.EndPoints.Count > 0 ? options : throw new FormatException("it names no server");
        }
        catch (ArgumentException e)
        {
            throw new FormatException(FirstLine(e), e);
        }
    }

    /// <summary>What is wrong with a text and how to write it, without its passwords; null when it can be read.</summary>
    public static string? FaultOf(string text)
    {
        try
        {
            Parse(text);
            return null;
        }
        catch (FormatException e)
        {
            return $"is '{Redact(text)}', which can't be read ({e.Message}); write it as host:port[,option=value…], or as redis[s]://[user:password@]host[:port][/database]";
        }
    }

    /// <summary>The text without its passwords, also when it can't be read.</summary>
    public static string Redact(string text)
    {
        if (!IsUrl(text))
        {
            return PasswordOption().Replace(text, "$1***");
        }

        var start = text.IndexOf("://", StringComparison.Ordinal) + 3;
        var at = text.LastIndexOf('@');
        var user = at < start ? "" : text[start..at].Split(':')[0];
        var rest = at < start ? text[start..] : text[(at + 1)..];
        return text[..start] + (at < start ? "" : user + ":***@") + PasswordOption().Replace(rest, "$1***");
    }

    private static bool IsUrl(string text) => text.TrimStart().StartsWith("redis", StringComparison.OrdinalIgnoreCase) && text.Contains("://", StringComparison.Ordinal);

    private static ConfigurationOptions ParseUrl(string url)
    {
        var secure = url.StartsWith(Secure, StringComparison.OrdinalIgnoreCase);
        if (!secure && !url.StartsWith(Plain, StringComparison.OrdinalIgnoreCase))
        {
            throw new FormatException("a URL begins with redis:// or rediss://");
        }

        var (address, query) = Cut(url[(secure ? Secure : Plain).Length..], '?');
        var at = address.LastIndexOf('@');
        var (hosts, database) = Cut(address[(at + 1)..], '/');
        if (hosts.Length == 0)
        {
            throw new FormatException("the URL names no host (a '/', '?' or '@' in a password is written %2F, %3F or %40)");
        }

        var pairs = query.Split('&', StringSplitOptions.RemoveEmptyEntries).Select(Decode).Prepend(hosts);
        var options = ConfigurationOptions.Parse(string.Join(',', pairs));
        options.Ssl |= secure;
        if (at >= 0)
        {
            var (user, password) = Cut(address[..at], ':');
            options.User = user.Length > 0 ? Decode(user) : null;
            options.Password = password.Length > 0 ? Decode(password) : null;
        }

        if (database.Length > 0)
        {
            options.DefaultDatabase = int.TryParse(database, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
                ? number
                : throw new FormatException($"the database '{database}' is not a number");
        }

        return options;
    }

    private static string Decode(string text) => Uri.UnescapeDataString(text);

    private static (string Before, string After) Cut(string text, char separator)
    {
        var at = text.IndexOf(separator, StringComparison.Ordinal);
        return at < 0 ? (text, "") : (text[..at], text[(at + 1)..]);
    }

    // "Keyword 'foo' is not supported. (Parameter 'foo')": what follows the sentence says nothing to a reader of settings.
    private static string FirstLine(ArgumentException e)
    {
        var end = e.Message.IndexOfAny(['\r', '\n']);
        var line = end < 0 ? e.Message : e.Message[..end];
        var parameter = line.IndexOf(" (Parameter", StringComparison.Ordinal);
        return (parameter < 0 ? line : line[..parameter]).TrimEnd('.');
    }

    [GeneratedRegex(@"(password\s*=)[^,&]*", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex PasswordOption();
}
