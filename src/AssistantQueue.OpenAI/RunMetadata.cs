using System.Text.Json;

namespace AssistantQueue.OpenAI;

/// <summary>The pairs that the API keeps with runs and conversations, within its limits.</summary>
internal static class RunMetadata
{
    public const string BatchId = "batch_id";
    public const string ThreadKey = "thread_key";
    public const string Queue = "queue";
    public const int MaxPairs = 16;
    private const int MaxValue = 512;

    public static string Cut(string value) => value.Length <= MaxValue ? value : value[..MaxValue];

    public static void Write(Utf8JsonWriter json, IEnumerable<KeyValuePair<string, string>> pairs)
    {
        json.WriteStartObject("metadata");
        foreach (var (key, value) in pairs)
        {
            json.WriteString(key, value);
        }

        json.WriteEndObject();
    }

    /// <summary>The body of a new thread or conversation: whose it is, and nothing else.</summary>
    public static byte[] Owner(BatchRun run) => Content.Json.Object(json =>
    {
        var pairs = new Dictionary<string, string>(StringComparer.Ordinal) { [ThreadKey] = Cut(run.ThreadId) };
        if (run.QueueName.Length > 0)
        {
            pairs[Queue] = Cut(run.QueueName);
        }

        Write(json, pairs);
    });
}
