using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;

namespace AssistantQueue.Emulators;

/// <summary>One request on its way through the emulator: what was asked, and what the ledger learns about it.</summary>
internal sealed class Exchange(HttpContext http, string operation, bool azure, IReadOnlyDictionary<string, string> arguments)
{
    public HttpContext Http => http;

    public string Operation => operation;

    public bool Azure => azure;

    public JsonObject Body { get; set; } = [];

    public OpenAIFault? Fault { get; set; }

    /// <summary>Gets or sets the run or response that this request made or asked about, for the ledger.</summary>
    public string? RunId { get; set; }

    public CancellationToken Aborted => http.RequestAborted;

    public string Argument(string name) => arguments[name];

    public string? ArgumentOrNull(string name) => arguments.GetValueOrDefault(name);

    public string? Query(string name) => http.Request.Query.TryGetValue(name, out var value) ? value.ToString() : null;
}
