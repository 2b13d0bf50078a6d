using System.Text.Json.Nodes;
using NJsonSchema;

namespace AssistantQueue.Tests.Emulators;

/// <summary>OpenAI's published OpenAPI description as a measure: validates requests, answers and stream events against it.</summary>
/// <remarks>Every method returns the faults found, empty when there are none. Thread-safe.</remarks>
internal static class OpenAISchema
{
    private static readonly Lazy<Loaded> Schemas = new(Load);

    public static IReadOnlyList<string> Request(string method, string path, string json) => [.. Body(method, path, json), .. Query(method, path)];

    private static string[] Body(string method, string path, string json) => Operation(method, path) switch
    {
        null => Unpublished(method, path),
        var name when json.Length == 0 && !Schemas.Value.BodyRequired.Contains(name) => [],
        var name when Schemas.Value.Root.Definitions.TryGetValue("request " + name, out var schema) => Faults(schema, json),
        _ => json.Length == 0 ? [] : [$"{method} {path} takes no body."],
    };

    public static IReadOnlyList<string> Response(string method, string path, int status, string json)
    {
        if (status >= 400)
        {
            return Faults(Schemas.Value.Root.Definitions["ErrorResponse"], json);
        }

        return Operation(method, path) switch
        {
            null => Unpublished(method, path),
            var name when Schemas.Value.Root.Definitions.TryGetValue("response " + name, out var schema) => Faults(schema, json),
            _ => [], // the description says nothing about this body (DELETE /responses/{id})
        };
    }

    /// <summary>Validates one server-sent event of either API.</summary>
    public static IReadOnlyList<string> Event(string name, string data)
    {
        if (!Schemas.Value.Events.TryGetValue(name, out var definition))
        {
            return [$"The published API has no event {name}."];
        }

        if (name == "error" && (string?)JsonNode.Parse(data)!["type"] == "error")
        {
            return Faults(Schemas.Value.Root.Definitions["ResponseErrorEvent"], data); // both APIs have an event of that name
        }

        // events of runs are published as {event, data}, those of responses as their data alone
        var json = !name.StartsWith("response.", StringComparison.Ordinal)
            ? new JsonObject { ["event"] = name, ["data"] = name == "done" ? data : JsonNode.Parse(data) }.ToJsonString()
            : data;
        var faults = Faults(Schemas.Value.Root.Definitions[definition], json).ToList();
        if (name.StartsWith("response.", StringComparison.Ordinal) && (string?)JsonNode.Parse(data)!["type"] != name)
        {
            faults.Add($"The event {name} says another type in its data.");
        }

        return faults;
    }

    /// <summary>Validates against a schema of the description by its name.</summary>
    public static IReadOnlyList<string> Named(string schema, string json) => Faults(Schemas.Value.Root.Definitions[schema], json);

    private static string[] Faults(JsonSchema schema, string json)
    {
        try
        {
            return [.. schema.Validate(json).Select(e => e.ToString())];
        }
        catch (Newtonsoft.Json.JsonException e)
        {
            return [$"No JSON: {e.Message}"];
        }
    }

    private static IEnumerable<string> Query(string method, string path)
    {
        if (Operation(method, path) is not { } operation || path.Split('?') is not [_, { Length: > 0 } query, ..])
        {
            yield break;
        }

        foreach (var pair in query.Split('&'))
        {
            var (name, value) = pair.Split('=', 2) is [var n, var v] ? (Uri.UnescapeDataString(n), Uri.UnescapeDataString(v)) : (pair, "");
            if (name == "api-version" && path.StartsWith("/openai/", StringComparison.Ordinal))
            {
                continue; // Azure's own
            }

            if (!Schemas.Value.Queries.TryGetValue($"{operation} {name}", out var schema))
            {
                yield return $"{operation} has no query parameter {name}.";
            }
            else if (!Fits(schema, value))
            {
                yield return $"{operation} takes no {name}={value}.";
            }
        }
    }

    private static bool Fits(JsonNode schema, string value) =>
        (string?)schema["type"] switch
        {
            "integer" => long.TryParse(value, System.Globalization.CultureInfo.InvariantCulture, out _),
            "boolean" => value is "true" or "false",
            _ => true,
        }
        && (schema["enum"] is not JsonArray words || words.Any(word => (string?)word == value));

    // The description is cut down to what runs need; an assistant's own tools are read besides.
    private static string[] Unpublished(string method, string path) =>
        method == "GET" && path.Contains("/assistants/", StringComparison.Ordinal) ? [] : [$"The published API has no {method} {path}."];

    /// <summary>The operation as the description names it; paths may begin with /v1, /openai/v1 or (Azure's dated ones) /openai, and have a query.</summary>
    private static string? Operation(string method, string path)
    {
        var segments = path.Split('?')[0].Split('/', StringSplitOptions.RemoveEmptyEntries);
        segments = segments is ["openai", "v1", .. var azure] ? azure : segments is ["v1" or "openai", .. var rest] ? rest : segments;
        return Schemas.Value.Operations
            .Where(o => o.Method == method && o.Path.Length == segments.Length && o.Path.Zip(segments).All(p => p.First[0] == '{' || p.First == p.Second))
            .OrderBy(o => o.Path.Count(p => p[0] == '{'))
            .Select(o => o.Name)
            .FirstOrDefault();
    }

    private static Loaded Load()
    {
        using var stream = typeof(OpenAISchema).Assembly.GetManifestResourceStream("openai-openapi.json")!;
        var document = JsonNode.Parse(stream)!;
        var definitions = new JsonObject();
        foreach (var (name, schema) in document["components"]!["schemas"]!.AsObject())
        {
            definitions[name] = Convert(schema!);
        }

        var operations = new List<Published>();
        var bodyRequired = new HashSet<string>();
        var queries = new Dictionary<string, JsonNode>();
        foreach (var (path, methods) in document["paths"]!.AsObject())
        {
            foreach (var (method, operation) in methods!.AsObject().Where(m => m.Value is JsonObject && m.Key != "parameters"))
            {
                var name = $"{method.ToUpperInvariant()} {path}";
                operations.Add(new(method.ToUpperInvariant(), path.Split('/', StringSplitOptions.RemoveEmptyEntries), name));
                foreach (var parameter in operation!["parameters"]?.AsArray().Where(p => (string?)p!["in"] == "query") ?? [])
                {
                    queries[$"{name} {(string)parameter!["name"]!}"] = parameter["schema"]!;
                }

                if (operation["requestBody"]?["content"]?["application/json"]?["schema"] is { } request)
                {
                    definitions["request " + name] = Convert(request);
                    if (operation["requestBody"]!["required"] is JsonValue required && required.GetValue<bool>())
                    {
                        bodyRequired.Add(name);
                    }
                }

                if (operation["responses"]?["200"]?["content"]?["application/json"]?["schema"] is { } response)
                {
                    definitions["response " + name] = Convert(response);
                }
            }
        }

        var events = Events(definitions);
        var root = JsonSchema.FromJsonAsync(new JsonObject { ["definitions"] = definitions }.ToJsonString()).GetAwaiter().GetResult();
        return new(root, operations, bodyRequired, queries, events);
    }

    /// <summary>Finds the schema of each event by its name, and gives the unnamed ones a definition, so that a fault names its place instead of 58 alternatives.</summary>
    private static Dictionary<string, string> Events(JsonObject definitions)
    {
        var events = new Dictionary<string, string>();
        foreach (var union in new[] { "ThreadStreamEvent", "RunStreamEvent", "RunStepStreamEvent", "MessageStreamEvent" })
        {
            foreach (var branch in definitions[union]!["anyOf"]!.AsArray())
            {
                var name = (string)branch!["properties"]!["event"]!["enum"]![0]!;
                definitions["event " + name] = branch.DeepClone();
                events[name] = "event " + name;
            }
        }

        foreach (var branch in definitions["ResponseStreamEvent"]!["anyOf"]!.AsArray())
        {
            var definition = ((string)branch!["$ref"]!).Split('/')[^1];
            var name = (string)definitions[definition]!["properties"]!["type"]!["enum"]![0]!;
            events[name] = definition;
        }

        events["error"] = "ErrorEvent";
        events["done"] = "DoneEvent";
        return events;
    }

    /// <summary>Turns a schema of OpenAPI 3.1 into what a validator of JSON Schema understands.</summary>
    private static JsonObject Convert(JsonNode schema)
    {
        var from = schema.AsObject();
        if (from["$ref"] is { } reference)
        {
            // what stands beside a $ref (type, default, nullable) repeats or comments it; only nullable means something
            var to = new JsonObject { ["$ref"] = ((string)reference!).Replace("#/components/schemas/", "#/definitions/", StringComparison.Ordinal) };
            return IsNullable(from) ? OrNull(to) : to;
        }

        var result = new JsonObject();
        foreach (var (name, value) in from)
        {
            switch (name)
            {
                case "properties":
                    result[name] = new JsonObject(value!.AsObject().Select(p => KeyValuePair.Create(p.Key, (JsonNode?)Convert(p.Value!))));
                    break;
                case "items" or "additionalProperties" when value is JsonObject:
                    result[name] = Convert(value);
                    break;
                case "anyOf" or "allOf":
                    result[name] = new JsonArray([.. value!.AsArray().Where(v => !IsOnlyNullable(v!)).Select(v => Convert(v!))]);
                    break;
                case "oneOf":
                    // the unions overlap: a message of a user is an EasyInputMessage, an InputMessage and, by type, several more;
                    // the discriminator that would choose can't, as three of them share the type "message"
                    result["anyOf"] = new JsonArray([.. value!.AsArray().Select(v => Convert(v!))]);
                    break;
                case "required" when (string?)from["type"] == "array":
                    break; // the description puts one beside an array's items by mistake; JSON Schema ignores it there, the validator doesn't
                case "type" or "required" or "enum" or "minimum" or "maximum" or "minLength" or "maxLength" or "minItems" or "maxItems" or "pattern" or "additionalProperties":
                    result[name] = value?.DeepClone();
                    break;
                    // left out: texts, examples, defaults, x-…, and format, which is unixtime on numbers and uri on data: URLs too long for a check
            }
        }

        var nullable = IsNullable(from) || (from["allOf"] is JsonArray parts && parts.Any(p => IsOnlyNullable(p!)));
        return nullable ? OrNull(result) : result;
    }

    // nullable is OpenAPI 3.0's word; the description still uses it in places, with a type, a $ref or alone in an allOf
    private static bool IsNullable(JsonObject schema) => schema["nullable"] is JsonValue value && value.GetValue<bool>();

    private static bool IsOnlyNullable(JsonNode schema) => schema is JsonObject { Count: 1 } only && IsNullable(only);

    private static JsonObject OrNull(JsonObject schema) => new() { ["anyOf"] = new JsonArray(schema, new JsonObject { ["type"] = "null" }) };

    private sealed record Loaded(JsonSchema Root, IReadOnlyList<Published> Operations, IReadOnlySet<string> BodyRequired, IReadOnlyDictionary<string, JsonNode> Queries, IReadOnlyDictionary<string, string> Events);

    private sealed record Published(string Method, string[] Path, string Name);
}
