using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http;

namespace AssistantQueue.Emulators;

/// <summary>The emulator's own paths under <c>/__emulator</c>, by which another process steers and reads it. Not part of any OpenAI API.</summary>
/// <remarks>
/// <code>
/// GET    /__emulator                 {"status":"ok"}
/// GET    /__emulator/ledger          the ledger (LedgerSnapshot); ?requests=false leaves the requests out; ?after=N waits (up to 30 s) for an entry behind N
/// GET    /__emulator/faults          [{"id", "struck", "fault"}]
/// POST   /__emulator/faults          a fault, or a list of them; answers {"ids":[…]}
/// DELETE /__emulator/faults[/id]     all, or one
/// GET    /__emulator/settings        the settings that may change (EmulatorSettings)
/// POST   /__emulator/settings        those of them to change
/// POST   /__emulator/latency         the same, for people who look for it
/// POST   /__emulator/runs/{id}/expire
/// </code>
/// </remarks>
internal sealed class ControlEndpoints(EmulatorCore core)
{
    public async Task HandleAsync(HttpContext http, string[] path)
    {
        try
        {
            var (status, json) = (http.Request.Method, path) switch
            {
                ("GET", []) => (200, """{"status":"ok"}"""),
                ("GET", ["ledger"]) => (200, await LedgerAsync(http).ConfigureAwait(false)),
                ("GET", ["faults"]) => (200, Faults()),
                ("POST", ["faults"]) => (200, await AddFaultsAsync(http).ConfigureAwait(false)),
                ("DELETE", ["faults"]) => (200, Clear()),
                ("DELETE", ["faults", var id]) when int.TryParse(id, out var number) => core.Faults.Remove(number) ? (200, "{}") : (404, """{"error":"There is no such fault."}"""),
                ("GET", ["settings" or "latency"]) => (200, Settings()),
                ("POST", ["settings" or "latency"]) => (200, await ChangeAsync(http).ConfigureAwait(false)),
                ("POST", ["runs", var id, "expire"]) => RunWork.Expire(core, id) ? (200, "{}") : (404, """{"error":"There is no such run under way."}"""),
                _ => (404, """{"error":"The emulator has no such path."}"""),
            };
            await AnswerAsync(http, status, json).ConfigureAwait(false);
        }
        catch (JsonException e)
        {
            await AnswerAsync(http, 400, Wire.Utf8(new JsonObject { ["error"] = e.Message })).ConfigureAwait(false);
        }
    }

    private static Task AnswerAsync(HttpContext http, int status, string json) => AnswerAsync(http, status, System.Text.Encoding.UTF8.GetBytes(json));

    private static async Task AnswerAsync(HttpContext http, int status, byte[] json)
    {
        http.Response.StatusCode = status;
        http.Response.ContentType = "application/json";
        await http.Response.Body.WriteAsync(json, http.RequestAborted).ConfigureAwait(false);
    }

    private async Task<string> LedgerAsync(HttpContext http)
    {
        var snapshot = long.TryParse(http.Request.Query["after"], out var after) ? await BehindAsync(after, http.RequestAborted).ConfigureAwait(false) : core.Ledger.Snapshot();
        return (http.Request.Query["requests"] == "false" ? snapshot with { Requests = [] } : snapshot).ToJson();
    }

    private async Task<LedgerSnapshot> BehindAsync(long after, CancellationToken aborted)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(aborted, core.Stopping);
        end.CancelAfter(TimeSpan.FromSeconds(30));
        try
        {
            return await core.Ledger.WaitForAsync(l => l.LastSequence > after, end.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            return core.Ledger.Snapshot(); // nothing new: the caller asks again
        }
    }

    private string Faults() => JsonSerializer.Serialize(core.Faults.List().Select(f => new ArmedFault(f.Id, f.Struck, f.Fault)).ToArray(), ControlJson.Default.ArmedFaultArray);

    private async Task<string> AddFaultsAsync(HttpContext http)
    {
        var node = await JsonNode.ParseAsync(http.Request.Body, cancellationToken: http.RequestAborted).ConfigureAwait(false);
        var faults = node is JsonArray list ? list.ToArray() : [node];
        var read = faults.Select(f => f.Deserialize(ControlJson.Default.OpenAIFault) ?? throw new JsonException("A fault is null.")).ToArray();
        return JsonSerializer.Serialize(new FaultIds([.. read.Select(core.Faults.Add)]), ControlJson.Default.FaultIds);
    }

    private string Clear()
    {
        core.Faults.Clear();
        return "{}";
    }

    private string Settings() => JsonSerializer.Serialize(EmulatorSettings.Of(core.Options), ControlJson.Default.EmulatorSettings);

    private async Task<string> ChangeAsync(HttpContext http)
    {
        var settings = await JsonSerializer.DeserializeAsync(http.Request.Body, ControlJson.Default.EmulatorSettings, http.RequestAborted).ConfigureAwait(false);
        settings?.ApplyTo(core.Options);
        return Settings();
    }
}

/// <summary>One armed fault, as it is listed.</summary>
internal sealed record ArmedFault(int Id, int Struck, OpenAIFault Fault);

/// <summary>The ids of added faults.</summary>
internal sealed record FaultIds(IReadOnlyList<int> Ids);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, UseStringEnumConverter = true, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow)]
[JsonSerializable(typeof(OpenAIFault))]
[JsonSerializable(typeof(ArmedFault[]))]
[JsonSerializable(typeof(FaultIds))]
[JsonSerializable(typeof(EmulatorSettings))]
internal sealed partial class ControlJson : JsonSerializerContext;
