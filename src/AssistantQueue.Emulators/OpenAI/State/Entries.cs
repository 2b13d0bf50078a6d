using System.Text.Json.Nodes;

namespace AssistantQueue.Emulators;

/// <summary>A thread of the Assistants API. Guarded by the state's lock, like everything in this file.</summary>
internal sealed class ThreadEntry(JsonObject body)
{
    public JsonObject Body { get; } = body;

    public string Id => Body.Text("id")!;

    public List<JsonObject> Messages { get; } = [];

    public List<RunEntry> Runs { get; } = [];

    /// <summary>Gets or sets how many of the messages the last run began with.</summary>
    public int SeenMessages { get; set; }

    /// <summary>Gets the run that keeps the thread busy; there is at most one.</summary>
    public RunEntry? Active => Runs.Count > 0 && !Runs[^1].IsTerminal ? Runs[^1] : null;
}

/// <summary>A run, its steps, and the work on it.</summary>
internal sealed class RunEntry(JsonObject body)
{
    public JsonObject Body { get; } = body;

    public string Id => Body.Text("id")!;

    public string Status => Body.Text("status")!;

    public bool IsTerminal => Status is "completed" or "failed" or "cancelled" or "expired" or "incomplete";

    public List<JsonObject> Steps { get; } = [];

    /// <summary>Gets the position of the first message that is new with this run.</summary>
    public int FreshFrom { get; init; }

    public RunWork? Work { get; set; }
}

/// <summary>A conversation, its items, and the response that holds its lock.</summary>
internal sealed class ConversationEntry(JsonObject body)
{
    public JsonObject Body { get; } = body;

    public string Id => Body.Text("id")!;

    public List<JsonObject> Items { get; } = [];

    public ResponseEntry? Active { get; set; }
}

/// <summary>A response with what only the service knows of it: one document, so that it is saved as a whole.</summary>
internal sealed class ResponseEntry(JsonObject document)
{
    public JsonObject Document { get; } = document;

    public JsonObject Body => (JsonObject)Document["body"]!;

    /// <summary>Gets the input items as stored, with ids.</summary>
    public IEnumerable<JsonObject> Input => Document["input"]!.AsArray().Select(i => (JsonObject)i!);

    public IEnumerable<JsonObject> Output => Body["output"]!.AsArray().Select(i => (JsonObject)i!);

    public string Id => Body.Text("id")!;

    public string Status => Body.Text("status")!;

    public string? ConversationId => Body.Child("conversation").Text("id");

    public string? PreviousId => Body.Text("previous_response_id");

    public bool Background => Body.Flag("background");

    public bool Streamed => Document.Flag("streamed");

    public bool Stored => Body.Flag("store", otherwise: true);

    public bool IsTerminal => Status is "completed" or "failed" or "cancelled" or "incomplete";

    /// <summary>Gets a value indicating whether other calls may see it: a response in the foreground shows up when it has ended.</summary>
    public bool IsVisible => Stored && (Background || IsTerminal);

    /// <summary>Gets a value indicating whether its input and output are part of the history.</summary>
    public bool IsHistory => Status is "completed" or "incomplete";

    public ResponseWork? Work { get; set; }
}
