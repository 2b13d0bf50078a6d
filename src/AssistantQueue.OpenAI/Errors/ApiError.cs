using System.Text.Json;
using AssistantQueue.OpenAI.Content;

namespace AssistantQueue.OpenAI.Errors;

/// <summary>What an API said when it refused a call or gave up a run, without any judgement.</summary>
internal sealed record ApiError
{
    private const int MaxMessage = 2_000;

    /// <summary>Gets the HTTP status; 0 when there was no answer, 200 when a run that was taken has failed.</summary>
    public int Status { get; init; }

    public string? Code { get; init; }

    public string? Type { get; init; }

    public string? Param { get; init; }

    public string Message { get; init; } = "";

    public TimeSpan? RetryAfter { get; init; }

    /// <summary>Reads the bodies that OpenAI, Azure and the gateways before them send.</summary>
    public static ApiError Read(int status, ReadOnlySpan<byte> body, TimeSpan? retryAfter)
    {
        if (TryParse(body, out var root))
        {
            // {"error":{…}} from the APIs, {"error":"…"} and {"message":…} from gateways
            var error = root.Get("error") ?? root;
            if (error.ValueKind == JsonValueKind.String)
            {
                return new() { Status = status, Message = Cut(error.GetString()!), RetryAfter = retryAfter };
            }

            if (error.Text("message") is not null || error.Text("code") is not null)
            {
                return From(error, status) with { RetryAfter = retryAfter };
            }
        }

        return new() { Status = status, Message = $"a body of {body.Length:N0} bytes that is no error of the API", RetryAfter = retryAfter };
    }

    /// <summary>Reads an error object: a body's <c>error</c>, a response's <c>error</c>, a run's <c>last_error</c>, a stream's error event.</summary>
    public static ApiError From(JsonElement error, int status = 200) => new()
    {
        Status = status,
        Code = error.Text("code"),
        Type = error.Text("type"),
        Param = error.Text("param"),
        Message = Cut(error.Text("message") ?? "no message"),
    };

    private static string Cut(string text) => text.Length <= MaxMessage ? text : text[..MaxMessage] + "…";

    private static bool TryParse(ReadOnlySpan<byte> body, out JsonElement root)
    {
        try
        {
            root = JsonElement.Parse(body);
            return root.ValueKind == JsonValueKind.Object;
        }
        catch (JsonException)
        {
            // an HTML page or an empty body: the caller says so in its message
            root = default;
            return false;
        }
    }
}
