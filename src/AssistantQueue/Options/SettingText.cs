using System.Globalization;

namespace AssistantQueue;

/// <summary>How a setting's value is written, in the words of faults. Also compiled into the packages that bind settings of their own.</summary>
internal static class SettingText
{
    /// <summary>What a value of this type must be.</summary>
    public static string Expected(Type type) =>
        type == typeof(TimeSpan) ? "a time as [days.]hours:minutes:seconds, for example 00:00:10"
        : type == typeof(bool) ? "true or false"
        : type.IsEnum ? string.Join(" or ", Enum.GetNames(type))
        : type == typeof(Uri) ? "an address, for example https://example.org/v1"
        : "a whole number";

    /// <summary>The fault of a time that is a bare number, or null: <c>10</c> is ten days to .NET, a trap that nobody means.</summary>
    public static string? BareNumberFault(string path, Type type, string? value) =>
        type == typeof(TimeSpan) && int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number != 0
            ? $"{path} is '{value}', which means {value} days; write {TimeSpan.FromSeconds(number)} for seconds, or {number}.00:00:00 if days are meant"
            : null;
}
