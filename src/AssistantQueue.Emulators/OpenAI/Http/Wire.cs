using System.Buffers;
using System.Security.Cryptography;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace AssistantQueue.Emulators;

/// <summary>JSON as it goes over the wire: writing nodes, reading fields, making ids.</summary>
internal static class Wire
{
    private static readonly JsonWriterOptions Readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static byte[] Utf8(JsonNode node)
    {
        var buffer = new ArrayBufferWriter<byte>(512);
        using (var writer = new Utf8JsonWriter(buffer, Readable))
        {
            node.WriteTo(writer);
        }

        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>Writes one line: the kinds and values of a change, without copying the nodes.</summary>
    public static byte[] Line(ReadOnlySpan<(string Kind, JsonNode Value)> parts)
    {
        var buffer = new ArrayBufferWriter<byte>(512);
        using (var writer = new Utf8JsonWriter(buffer, Readable))
        {
            writer.WriteStartArray();
            foreach (var (kind, value) in parts)
            {
                writer.WriteStartObject();
                writer.WritePropertyName(kind);
                value.WriteTo(writer);
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
        }

        buffer.Write("\n"u8);
        return buffer.WrittenSpan.ToArray();
    }

    public static string? Text(this JsonNode? node, string name) =>
        node is JsonObject o && o.TryGetPropertyValue(name, out var v) && v is JsonValue value && value.TryGetValue<string>(out var text) ? text : null;

    public static bool Flag(this JsonNode? node, string name, bool otherwise = false) =>
        node is JsonObject o && o.TryGetPropertyValue(name, out var v) && v is JsonValue value && value.TryGetValue<bool>(out var flag) ? flag : otherwise;

    public static long? Number(this JsonNode? node, string name) =>
        node is JsonObject o && o.TryGetPropertyValue(name, out var v) && v is JsonValue value && value.TryGetValue<long>(out var number) ? number : null;

    public static JsonObject? Child(this JsonNode? node, string name) => node is JsonObject o && o.TryGetPropertyValue(name, out var v) ? v as JsonObject : null;

    public static JsonArray? List(this JsonNode? node, string name) => node is JsonObject o && o.TryGetPropertyValue(name, out var v) ? v as JsonArray : null;

    /// <summary>A copy of a field that may be missing or null.</summary>
    public static JsonNode? Copy(this JsonNode? node, string name) => node is JsonObject o && o.TryGetPropertyValue(name, out var v) ? v?.DeepClone() : null;

    public static JsonArray ArrayOf(IEnumerable<JsonNode?> nodes)
    {
        var array = new JsonArray();
        foreach (var node in nodes)
        {
            array.Add(node);
        }

        return array;
    }

    public static JsonArray Copies(IEnumerable<JsonNode> nodes) => ArrayOf(nodes.Select(n => n.DeepClone()));

    public static IReadOnlyDictionary<string, string>? Metadata(this JsonNode? node) =>
        node.Child("metadata") is { } map ? map.ToDictionary(p => p.Key, p => p.Value is JsonValue v && v.TryGetValue<string>(out var s) ? s : "") : null;

    public static string NewId(string prefix) => prefix + Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16));
}
