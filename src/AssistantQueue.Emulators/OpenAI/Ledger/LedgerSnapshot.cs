using System.Text.Json;
using System.Text.Json.Serialization;

namespace AssistantQueue.Emulators;

/// <summary>What the emulator had been sent up to one moment, and what can be judged from it. Immutable; the same in the process and over HTTP.</summary>
public sealed record LedgerSnapshot
{
    /// <summary>Gets the position of the last entry.</summary>
    public long LastSequence { get; init; }

    /// <summary>Gets all requests in the order of their arrival.</summary>
    public IReadOnlyList<LedgerRequest> Requests { get; init; } = [];

    /// <summary>Gets all accepted runs and responses in the order of their start.</summary>
    public IReadOnlyList<LedgerRun> Runs { get; init; } = [];

    /// <summary>Gets all accepted messages of users, in order.</summary>
    public IReadOnlyList<LedgerMessage> Messages { get; init; } = [];

    /// <summary>Gets how many runs each thread had.</summary>
    [JsonIgnore]
    public IReadOnlyDictionary<string, int> RunsPerThread => Runs.GroupBy(r => r.ThreadKey).ToDictionary(g => g.Key, g => g.Count());

    /// <summary>Gets the runs that have not ended.</summary>
    [JsonIgnore]
    public IEnumerable<LedgerRun> Open => Runs.Where(r => r.EndSequence is null);

    /// <summary>Gets every pair of runs of one thread that were under way at the same time: each is a broken promise.</summary>
    /// <remarks>Judged by positions in the ledger, which are exact, not by clocks. A run waiting for tool outputs is under way.</remarks>
    [JsonIgnore]
    public IReadOnlyList<LedgerOverlap> Overlaps =>
    [
        .. from thread in Runs.GroupBy(r => r.ThreadKey)
           let runs = thread.OrderBy(r => r.Sequence).ToArray()
           from pair in runs.SelectMany((second, i) => runs.Take(i).Select(first => (first, second)))
           where pair.first.EndSequence is not { } end || end > pair.second.Sequence
           select new LedgerOverlap(thread.Key, pair.first.Id, pair.second.Id),
    ];

    /// <summary>Gets the messages that are more than once in the history of their thread: each is a broken promise when all texts differ.</summary>
    [JsonIgnore]
    public IReadOnlyList<LedgerMessage> Duplicates =>
        [.. Messages.Where(m => m.Kept).GroupBy(m => (m.ThreadKey, m.Text)).SelectMany(g => g.OrderBy(m => m.Sequence).Skip(1))];

    /// <summary>Gets the requests that were refused because the thread or conversation was busy.</summary>
    [JsonIgnore]
    public IEnumerable<LedgerRequest> Refusals => Requests.Where(r => r.Status == 400 && r.Error is { } e
        && (e == "conversation_locked" || e.Contains("already has an active run", StringComparison.Ordinal) || e.Contains("while a run", StringComparison.Ordinal)));

    /// <summary>The texts in the history of a thread, in the order in which they reached the model.</summary>
    /// <param name="threadKey">The app's name of the thread (see <see cref="LedgerRun.ThreadKey"/>).</param>
    /// <returns>The texts; empty for a thread that isn't known.</returns>
    public IReadOnlyList<string> TextsOf(string threadKey) => [.. Messages.Where(m => m.Kept && m.ThreadKey == threadKey).OrderBy(m => m.Sequence).Select(m => m.Text)];

    /// <summary>How often a text was in a request, accepted or not.</summary>
    /// <param name="text">The whole text of one message.</param>
    /// <returns>The number of times.</returns>
    public int TimesPosted(string text) => Requests.Sum(r => r.Texts.Count(t => t == text));

    /// <summary>How often a text was accepted by the service.</summary>
    /// <param name="text">The whole text of one message.</param>
    /// <returns>The number of times.</returns>
    public int TimesAccepted(string text) => Messages.Count(m => m.Text == text);

    /// <summary>Reads what <c>GET /__emulator/ledger</c> answers.</summary>
    /// <param name="json">The body.</param>
    /// <returns>The ledger.</returns>
    /// <exception cref="JsonException">The text is something else.</exception>
    public static LedgerSnapshot Parse(string json) => JsonSerializer.Deserialize(json, LedgerJson.Default.LedgerSnapshot) ?? throw new JsonException("The ledger is null.");

    /// <summary>Writes the ledger as <c>GET /__emulator/ledger</c> answers it.</summary>
    /// <returns>JSON.</returns>
    public string ToJson() => JsonSerializer.Serialize(this, LedgerJson.Default.LedgerSnapshot);
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(LedgerSnapshot))]
[JsonSerializable(typeof(LedgerEntry))]
internal sealed partial class LedgerJson : JsonSerializerContext;

/// <summary>One line of the ledger's file: at most one of the fields is set.</summary>
internal sealed record LedgerEntry
{
    public LedgerRequest? Request { get; init; }

    public LedgerRun? Run { get; init; }

    public LedgerMessage? Message { get; init; }
}
