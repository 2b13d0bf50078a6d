using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;

namespace AssistantQueue.Emulators;

/// <summary>Takes a request through ledger, key, fault and rules to its handler, and the answer back to the client.</summary>
internal sealed class RequestPipeline
{
    private readonly EmulatorCore core;
    private readonly Routes routes = new();
    private readonly ControlEndpoints control;
    private readonly ThreadEndpoints threads;
    private readonly ResponseEndpoints responses;

    public RequestPipeline(EmulatorCore core)
    {
        this.core = core;
        control = new ControlEndpoints(core);
        threads = new ThreadEndpoints(core);
        responses = new ResponseEndpoints(core);
        var runs = new RunEndpoints(core);
        runs.MapTo(routes);
        threads.MapTo(routes);
        new MessageEndpoints(core).MapTo(routes);
        new RunStepEndpoints(core).MapTo(routes);
        new AssistantEndpoints(core).MapTo(routes);
        responses.MapTo(routes);
        new ConversationEndpoints(core).MapTo(routes);
        new ConversationItemEndpoints(core).MapTo(routes);
    }

    /// <summary>Takes up what the process before this one had under way.</summary>
    public void GoOn()
    {
        core.Ledger.CloseLost(core.State.EndOf, core.Now);
        RunWork.GoOn(core);
        ResponseWork.GoOn(core);
    }

    public async Task HandleAsync(HttpContext http)
    {
        var segments = http.Request.Path.Value!.Split('/', StringSplitOptions.RemoveEmptyEntries);
        if (segments is ["__emulator", ..])
        {
            await control.HandleAsync(http, segments[1..]).ConfigureAwait(false);
            return;
        }

        using var stream = new MemoryStream();
        await http.Request.Body.CopyToAsync(stream, http.RequestAborted).ConfigureAwait(false);
        var raw = Encoding.UTF8.GetString(stream.GetBuffer(), 0, (int)stream.Length);

        // Azure's dated Assistants: …/openai/threads?api-version=…
        var dated = segments is ["openai", "threads" or "assistants", ..] && http.Request.Query.ContainsKey("api-version");
        var azure = dated || segments is ["openai", "v1", ..];
        var path = dated ? segments[1..] : azure ? segments[2..] : segments is ["v1", ..] ? segments[1..] : null;
        var arguments = new Dictionary<string, string>();
        var pathKnown = false;
        var route = path is null || !IsThere(path, azure) ? null : routes.Find(http.Request.Method, path, out arguments, out pathKnown);
        var exchange = new Exchange(http, route?.Operation ?? "unknown", azure, arguments);
        var (body, parseable) = Parse(raw);
        exchange.Body = body;
        var request = LedgerLines.Request(core, exchange, raw);
        var sequence = core.Ledger.Arrived(request);
        exchange.Fault = core.Faults.Take(
            exchange.Operation, http.Request.Path, raw, body.Flag("stream") || exchange.Query("stream") == "true", ThreadKeys.Of(core, request));

        var outcome = new Outcome();
        try
        {
            Check(http, azure, path);
            if (exchange.Fault is { AfterWork: false } early && await StrikeAsync(http, early, outcome).ConfigureAwait(false))
            {
                return;
            }

            if (route is null)
            {
                throw pathKnown ? ApiException.WrongMethod(http.Request.Method, http.Request.Path) : ApiException.UnknownRoute(http.Request.Method, http.Request.Path);
            }

            if (!parseable)
            {
                throw ApiException.NotJson();
            }

            route.Rules?.Invoke(body);
            var answer = await route.Handler(exchange).ConfigureAwait(false);
            if (exchange.Fault is { AfterWork: true } late && await StrikeAsync(http, late, outcome).ConfigureAwait(false))
            {
                return;
            }

            await WriteAsync(http, answer, exchange.Fault, outcome).ConfigureAwait(false);
        }
        catch (ApiException e)
        {
            outcome.Error = e.Code ?? e.Message;
            await WriteAsync(http, e.Status, Wire.Utf8(e.ToBody()), outcome).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // the client went away, or the emulator stops; without the abort the server would answer 200 with nothing
            http.Abort();
        }
        catch (Exception e) when (e is not StreamCutException && !http.Response.HasStarted)
        {
            core.Broke(http.Request.Path, e);
            await WriteAsync(http, 500, Wire.Utf8(ApiException.Body("The emulator broke: " + e.Message, "server_error", null, null)), outcome).ConfigureAwait(false);
        }
        finally
        {
            if (!core.Stopping.IsCancellationRequested)
            {
                core.Ledger.Answered(sequence, core.Now, outcome.Status, outcome.Error, exchange.Fault?.Kind.ToString(), exchange.RunId);
            }
        }
    }

    private static (JsonObject Body, bool Parseable) Parse(string raw)
    {
        if (raw.Length == 0)
        {
            return ([], true);
        }

        try
        {
            return JsonNode.Parse(raw, documentOptions: new JsonDocumentOptions { AllowDuplicateProperties = false }) is JsonObject body ? (body, true) : ([], false);
        }
        catch (JsonException)
        {
            return ([], false); // answered 400 by the caller
        }
    }

    private bool IsThere(string[] path, bool azure) => path switch
    {
        ["conversations", ..] => azure ? core.Options.AzureHasConversations : core.Options.HasConversations,
        ["threads" or "assistants", ..] => core.Options.HasAssistants,
        _ => true,
    };

    private void Check(HttpContext http, bool azure, string[]? path)
    {
        var key = http.Request.Headers.Authorization.ToString() is ['B', 'e', 'a', 'r', 'e', 'r', ' ', .. var bearer] ? bearer.Trim()
            : azure ? http.Request.Headers["api-key"].ToString() : "";
        if (key.Length == 0)
        {
            throw azure ? ApiException.WrongAzureKey() : ApiException.NoKey();
        }

        if (core.Options.ApiKeys.Count > 0 && !core.Options.ApiKeys.Contains(key))
        {
            throw azure ? ApiException.WrongAzureKey() : ApiException.WrongKey(key);
        }

        if (path is ["threads" or "assistants", ..] && core.Options.HasAssistants && http.Request.Headers["OpenAI-Beta"].ToString() != "assistants=v2")
        {
            throw ApiException.NoBeta();
        }
    }

    /// <summary>Lets a fault strike; false for a fault of another moment.</summary>
    private async Task<bool> StrikeAsync(HttpContext http, OpenAIFault fault, Outcome outcome)
    {
        switch (fault.Kind)
        {
            case OpenAIFaultKind.Error:
                foreach (var (name, value) in fault.Headers ?? new Dictionary<string, string>())
                {
                    http.Response.Headers[name] = value;
                }

                outcome.Error = fault.Code ?? fault.Message;
                await WriteAsync(http, fault.Status ?? 500, Wire.Utf8(ApiException.Body(fault.Message, fault.Type, fault.Param, fault.Code)), outcome).ConfigureAwait(false);
                return true;
            case OpenAIFaultKind.Cut:
                http.Abort();
                return true;
            case OpenAIFaultKind.Hang:
                using (var end = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted, core.Stopping))
                {
                    await Task.Delay(Timeout.InfiniteTimeSpan, end.Token).ConfigureAwait(false);
                }

                return true;
            case OpenAIFaultKind.Garbage:
                await WriteAsync(http, 200, "}{ this is no JSON"u8.ToArray(), outcome).ConfigureAwait(false);
                return true;
            case OpenAIFaultKind.Html:
                http.Response.ContentType = "text/html";
                await WriteAsync(http, 200, "<!doctype html><html><body><h1>502 Bad Gateway</h1></body></html>"u8.ToArray(), outcome).ConfigureAwait(false);
                return true;
            case OpenAIFaultKind.Empty:
                await WriteAsync(http, 200, [], outcome).ConfigureAwait(false);
                return true;
            default:
                return false;
        }
    }

    private async Task WriteAsync(HttpContext http, Answer answer, OpenAIFault? fault, Outcome outcome)
    {
        if (answer is StreamAnswer stream)
        {
            using var end = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted, core.Stopping);
            Identify(http);
            outcome.Status = await EventStreamWriter.WriteAsync(http, stream, fault, end.Token).ConfigureAwait(false) ? 200 : null;
        }
        else
        {
            await WriteAsync(http, fault?.Kind == OpenAIFaultKind.OtherStatus ? fault.Status ?? 201 : 200, ((JsonAnswer)answer).Utf8, outcome).ConfigureAwait(false);
        }
    }

    private static async Task WriteAsync(HttpContext http, int status, byte[] body, Outcome outcome)
    {
        Identify(http);
        http.Response.StatusCode = status;
        http.Response.ContentType ??= "application/json";
        http.Response.ContentLength = body.Length;
        outcome.Status = status;
        await http.Response.Body.WriteAsync(body, http.RequestAborted).ConfigureAwait(false);
    }

    private static void Identify(HttpContext http)
    {
        http.Response.Headers["x-request-id"] = Wire.NewId("req_");
        http.Response.Headers["openai-version"] = "2020-10-01";
    }

    private sealed class Outcome
    {
        public int? Status { get; set; }

        public string? Error { get; set; }
    }
}
