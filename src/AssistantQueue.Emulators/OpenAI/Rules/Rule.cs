using System.Text.Json;
using System.Text.Json.Nodes;

namespace AssistantQueue.Emulators;

/// <summary>Checks one value of a request's body, or throws the API's error for it.</summary>
internal delegate void Rule(string path, JsonNode? value);

/// <summary>One field of an object.</summary>
internal sealed record Field(string Name, Rule Rule, bool Required = false);

/// <summary>The few rules of which all request bodies are made; the errors are worded as the API words them.</summary>
internal static class Is
{
    public static Rule Anything { get; } = (_, _) => { };

    public static Rule Flag { get; } = (path, value) => Expect(path, value, "a boolean", JsonValueKind.True, JsonValueKind.False);

    public static Rule Map { get; } = (path, value) => Expect(path, value, "an object", JsonValueKind.Object);

    /// <summary>16 pairs, keys to 64 and values to 512 characters.</summary>
    public static Rule Metadata { get; } = OrNull((path, value) =>
    {
        Map(path, value);
        var map = (JsonObject)value!;
        if (map.Count > 16)
        {
            throw new ApiException(400, $"Invalid '{path}': too many properties. Expected an object with at most 16 properties, but got an object with {map.Count} properties instead.", "object_above_max_properties", path);
        }

        foreach (var (key, item) in map)
        {
            if (key.Length > 64)
            {
                throw new ApiException(400, $"Invalid '{path}': property name too long. Expected a property name with maximum length 64, but got a property name with length {key.Length} instead.", "property_name_above_max_length", path);
            }

            Text(max: 512)($"{path}.{key}", item);
        }
    });

    public static Rule Text(int min = 0, int max = int.MaxValue) => (path, value) =>
    {
        Expect(path, value, "a string", JsonValueKind.String);
        var length = value!.GetValue<string>().Length;
        if (length > max)
        {
            throw new ApiException(400, $"Invalid '{path}': string too long. Expected a string with maximum length {max}, but got a string with length {length} instead.", "string_above_max_length", path);
        }

        if (length < min)
        {
            throw new ApiException(400, $"Invalid '{path}': string too short. Expected a string with minimum length {min}, but got a string with length {length} instead.", "string_below_min_length", path);
        }
    };

    public static Rule Choice(params string[] values) => (path, value) =>
    {
        Expect(path, value, $"one of {Listed(values, "or")}", JsonValueKind.String);
        var text = value!.GetValue<string>();
        if (!values.Contains(text, StringComparer.Ordinal))
        {
            throw new ApiException(400, $"Invalid value: '{text}'. Supported values are: {Listed(values, "and")}.", "invalid_value", path);
        }
    };

    public static Rule Integer(long min = long.MinValue, long max = long.MaxValue) => (path, value) =>
    {
        Expect(path, value, "an integer", JsonValueKind.Number);
        if (!value!.AsValue().TryGetValue<long>(out var number))
        {
            throw WrongType(path, "an integer", "a decimal number");
        }

        Bounds(path, number, min, max, "integer", "integer");
    };

    public static Rule Number(double min, double max) => (path, value) =>
    {
        Expect(path, value, "a decimal number", JsonValueKind.Number);
        Bounds(path, value!.GetValue<double>(), min, max, "decimal", "decimal");
    };

    public static Rule ListOf(Rule item, int min = 0, int max = int.MaxValue) => (path, value) =>
    {
        Expect(path, value, "an array", JsonValueKind.Array);
        var list = (JsonArray)value!;
        if (list.Count > max)
        {
            throw new ApiException(400, $"Invalid '{path}': array too long. Expected an array with maximum length {max}, but got an array with length {list.Count} instead.", "array_above_max_length", path);
        }

        if (list.Count < min)
        {
            throw new ApiException(400, $"Invalid '{path}': empty array. Expected an array with minimum length {min}, but got an empty array instead.", "empty_array", path);
        }

        for (var i = 0; i < list.Count; i++)
        {
            item($"{path}[{i}]", list[i]);
        }
    };

    public static Rule OrNull(Rule rule) => (path, value) =>
    {
        if (value is not null)
        {
            rule(path, value);
        }
    };

    /// <summary>An object with these fields and no others.</summary>
    public static Rule Only(params Field[] fields) => (path, value) =>
    {
        Map(path, value);
        var map = (JsonObject)value!;
        var prefix = path.Length == 0 ? "" : path + ".";
        if (map.FirstOrDefault(p => fields.All(f => f.Name != p.Key)).Key is { } unknown)
        {
            throw new ApiException(400, $"Unknown parameter: '{prefix}{unknown}'.", "unknown_parameter", prefix + unknown);
        }

        foreach (var field in fields)
        {
            if (map.TryGetPropertyValue(field.Name, out var item))
            {
                field.Rule(prefix + field.Name, item);
            }
            else if (field.Required)
            {
                throw Missing(prefix + field.Name);
            }
        }
    };

    /// <summary>One rule for strings, another for everything else.</summary>
    public static Rule TextOr(Rule text, Rule other) => (path, value) => (value?.GetValueKind() == JsonValueKind.String ? text : other)(path, value);

    /// <summary>A rule that depends on the object's <c>type</c>; without one, <paramref name="otherwise"/> names the type that is meant.</summary>
    public static Rule ByType(Dictionary<string, Rule> rules, string? otherwise = null) => (path, value) =>
    {
        Map(path, value);
        var type = value.Text("type") ?? otherwise ?? throw Missing(path + ".type");
        Choice([.. rules.Keys])(path + ".type", type);
        rules[type](path, value);
    };

    private static ApiException Missing(string path) => new(400, $"Missing required parameter: '{path}'.", "missing_required_parameter", path);

    private static void Bounds<T>(string path, T number, T min, T max, string noun, string code)
        where T : IComparable<T>
    {
        if (number.CompareTo(min) < 0)
        {
            throw new ApiException(400, $"Invalid '{path}': {noun} below minimum value. Expected a value >= {min}, but got {number} instead.", code + "_below_min_value", path);
        }

        if (number.CompareTo(max) > 0)
        {
            throw new ApiException(400, $"Invalid '{path}': {noun} above maximum value. Expected a value <= {max}, but got {number} instead.", code + "_above_max_value", path);
        }
    }

    private static void Expect(string path, JsonNode? value, string expected, params ReadOnlySpan<JsonValueKind> kinds)
    {
        var kind = value?.GetValueKind() ?? JsonValueKind.Null;
        if (!kinds.Contains(kind))
        {
            throw WrongType(path, expected, kind switch
            {
                JsonValueKind.Null => "null",
                JsonValueKind.String => "a string",
                JsonValueKind.Number => value!.AsValue().TryGetValue<long>(out _) ? "an integer" : "a decimal number",
                JsonValueKind.Array => "an array",
                JsonValueKind.Object => "an object",
                _ => "a boolean",
            });
        }
    }

    private static ApiException WrongType(string path, string expected, string got) =>
        new(400, $"Invalid type for '{path}': expected {expected}, but got {got} instead.", "invalid_type", path);

    private static string Listed(string[] values, string word) => values.Length == 1
        ? $"'{values[0]}'"
        : string.Join(", ", values[..^1].Select(v => $"'{v}'")) + (values.Length > 2 ? "," : "") + $" {word} '{values[^1]}'";
}
