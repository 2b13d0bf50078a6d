using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace WebChat.Api;

/// <summary>Reads a delay: seconds as a number (2.5), or a string (<c>"hh:mm:ss"</c>, with days in front as <c>"d.hh:mm:ss"</c>).</summary>
public sealed class DelayConverter : JsonConverter<TimeSpan?>
{
    private const string Rule = "A delay is a number of seconds, or a string like \"00:01:30\".";

    public override TimeSpan? Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        switch (reader.TokenType)
        {
            case JsonTokenType.Null:
                return null;
            // The bound only keeps TimeSpan from overflowing; the queue has its own.
            case JsonTokenType.Number when reader.TryGetDouble(out var seconds) && Math.Abs(seconds) < 1e9:
                return TimeSpan.FromSeconds(seconds);
            case JsonTokenType.String when reader.GetString() is { } text && text.Contains(':', StringComparison.Ordinal)
                && TimeSpan.TryParse(text, CultureInfo.InvariantCulture, out var delay):
                return delay;
            default:
                throw new JsonException(Rule);
        }
    }

    public override void Write(Utf8JsonWriter writer, TimeSpan? value, JsonSerializerOptions options)
    {
        if (value is { } delay)
        {
            writer.WriteNumberValue(delay.TotalSeconds);
        }
        else
        {
            writer.WriteNullValue();
        }
    }
}
