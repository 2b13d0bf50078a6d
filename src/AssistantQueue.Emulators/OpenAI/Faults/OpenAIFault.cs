using System.Text.Json.Serialization;

namespace AssistantQueue.Emulators;

/// <summary>What goes wrong.</summary>
public enum OpenAIFaultKind
{
    /// <summary>An error status with an error body (see <see cref="OpenAIFault.Status"/>).</summary>
    Error,

    /// <summary>The connection is cut without an answer.</summary>
    Cut,

    /// <summary>No answer comes until the client goes away.</summary>
    Hang,

    /// <summary>200 with bytes that are no JSON.</summary>
    Garbage,

    /// <summary>200 with a page of HTML.</summary>
    Html,

    /// <summary>200 with an empty body.</summary>
    Empty,

    /// <summary>The right body with another status (<see cref="OpenAIFault.Status"/>, for example 201 or 202).</summary>
    OtherStatus,

    /// <summary>The connection is cut after <see cref="OpenAIFault.AfterEvents"/> events of a stream.</summary>
    CutStream,

    /// <summary>The stream ends cleanly after <see cref="OpenAIFault.AfterEvents"/> events, without its last one.</summary>
    EndStream,

    /// <summary>The stream has an <c>error</c> event after <see cref="OpenAIFault.AfterEvents"/> events and ends; the work goes on.</summary>
    ErrorInStream,

    /// <summary>The run or response that this request makes ends as <c>failed</c> with <see cref="OpenAIFault.Code"/>.</summary>
    RunFails,

    /// <summary>It stays <c>in_progress</c> until it is cancelled (a run: until it expires).</summary>
    RunNeverEnds,

    /// <summary>It stays <c>queued</c> until it is cancelled (a run: until it expires).</summary>
    RunStaysQueued,

    /// <summary>It calls the function <see cref="OpenAIFault.Function"/>, whether that was offered or not.</summary>
    RunCallsFunction,

    /// <summary>It ends as <c>expired</c> at once (a response, which knows no expiry: as <c>failed</c>).</summary>
    RunExpires,

    /// <summary>It ends as <c>incomplete</c>.</summary>
    RunIsIncomplete,

    /// <summary>The model answers after <see cref="OpenAIFault.Delay"/>.</summary>
    RunTakesLong,

    /// <summary>Nothing more comes after <see cref="OpenAIFault.AfterEvents"/> events of a stream, until the client goes away.</summary>
    HangStream,
}

/// <summary>A fault for the requests that it fits. Immutable.</summary>
public sealed record OpenAIFault
{
    /// <summary>Gets the operation, for example <c>create_run</c> or <c>get_response</c>; <c>*</c> for all, <c>get_*</c> for all that begin so.</summary>
    public string Operation { get; init; } = "*";

    /// <summary>Gets what goes wrong.</summary>
    public required OpenAIFaultKind Kind { get; init; }

    /// <summary>Gets a value indicating whether the work is done before <see cref="OpenAIFaultKind.Error"/>, <see cref="OpenAIFaultKind.Cut"/>, <see cref="OpenAIFaultKind.Hang"/>, <see cref="OpenAIFaultKind.Garbage"/>, <see cref="OpenAIFaultKind.Html"/> or <see cref="OpenAIFaultKind.Empty"/> strikes.</summary>
    public bool AfterWork { get; init; }

    /// <summary>Gets how many requests it strikes; null for all.</summary>
    public int? Count { get; init; }

    /// <summary>Gets how many fitting requests it lets pass first.</summary>
    public int Skip { get; init; }

    /// <summary>Gets the probability with which it strikes a fitting request, 0 to 1.</summary>
    /// <remarks>
    /// Drawn anew for each request, from <see cref="Seed"/>, the operation, the app's name of the thread (metadata <c>thread_key</c>) and how many such
    /// requests came before: the n-th of a thread meets the same fate again, however the requests of several threads mix. Requests without such a name count together.
    /// </remarks>
    public double Probability { get; init; } = 1;

    /// <summary>Gets the seed of the probability.</summary>
    public int Seed { get; init; } = 1;

    /// <summary>Gets a text that the path or body must contain for the fault to fit.</summary>
    public string? Contains { get; init; }

    /// <summary>Gets the status of <see cref="OpenAIFaultKind.Error"/> (default 500) or <see cref="OpenAIFaultKind.OtherStatus"/> (default 201).</summary>
    public int? Status { get; init; }

    /// <summary>Gets the error's <c>type</c>.</summary>
    public string Type { get; init; } = "server_error";

    /// <summary>Gets the error's <c>code</c>; for <see cref="OpenAIFaultKind.RunFails"/> the run's (default <c>server_error</c>).</summary>
    public string? Code { get; init; }

    /// <summary>Gets the error's message.</summary>
    public string Message { get; init; } = "The server had an error while processing your request. Sorry about that!";

    /// <summary>Gets the error's <c>param</c>.</summary>
    public string? Param { get; init; }

    /// <summary>Gets headers of the error, for example <c>retry-after</c> or <c>retry-after-ms</c>.</summary>
    public IReadOnlyDictionary<string, string>? Headers { get; init; }

    /// <summary>Gets after how many events a stream breaks.</summary>
    public int AfterEvents { get; init; }

    /// <summary>Gets the function of <see cref="OpenAIFaultKind.RunCallsFunction"/>.</summary>
    public string Function { get; init; } = "unknown_function";

    /// <summary>Gets how long <see cref="OpenAIFaultKind.RunTakesLong"/> takes.</summary>
    public TimeSpan Delay { get; init; }

    [JsonIgnore]
    internal bool IsOfRun => Kind is >= OpenAIFaultKind.RunFails and <= OpenAIFaultKind.RunTakesLong;

    [JsonIgnore]
    internal bool IsOfStream => Kind is OpenAIFaultKind.CutStream or OpenAIFaultKind.EndStream or OpenAIFaultKind.ErrorInStream or OpenAIFaultKind.HangStream;

    /// <summary>429 <c>rate_limit_exceeded</c>.</summary>
    /// <param name="retryAfter">Sent as <c>retry-after</c> in whole seconds and <c>retry-after-ms</c>; null for none.</param>
    /// <param name="operation">Which operation.</param>
    /// <returns>A fault that strikes until it is removed; use <c>with { Count = … }</c> for less.</returns>
    public static OpenAIFault RateLimit(TimeSpan? retryAfter = null, string operation = "*") => new()
    {
        Operation = operation,
        Kind = OpenAIFaultKind.Error,
        Status = 429,
        Type = "requests",
        Code = "rate_limit_exceeded",
        Message = "Rate limit reached for requests. Please try again later. Visit https://platform.openai.com/account/rate-limits to learn more.",
        Headers = retryAfter is not { } wait ? null : new Dictionary<string, string>
        {
            ["retry-after"] = Math.Ceiling(wait.TotalSeconds).ToString("0", System.Globalization.CultureInfo.InvariantCulture),
            ["retry-after-ms"] = wait.TotalMilliseconds.ToString("0", System.Globalization.CultureInfo.InvariantCulture),
        },
    };

    /// <summary>429 <c>insufficient_quota</c>, which no waiting helps.</summary>
    /// <param name="operation">Which operation.</param>
    /// <returns>A fault that strikes until it is removed.</returns>
    public static OpenAIFault Quota(string operation = "*") => new()
    {
        Operation = operation,
        Kind = OpenAIFaultKind.Error,
        Status = 429,
        Type = "insufficient_quota",
        Code = "insufficient_quota",
        Message = "You exceeded your current quota, please check your plan and billing details. For more information on this error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors.",
    };

    /// <summary>400 <c>conversation_locked</c>, as while somebody else's response is under way.</summary>
    /// <returns>A fault that strikes until it is removed.</returns>
    public static OpenAIFault ConversationLocked() => new()
    {
        Operation = "create_response",
        Kind = OpenAIFaultKind.Error,
        Status = 400,
        Type = "invalid_request_error",
        Code = "conversation_locked",
        Param = "conversation",
        Message = ApiException.ConversationLocked().Message,
    };

    /// <summary>404 on every call, as of an API that is gone.</summary>
    /// <param name="operation">Which operation.</param>
    /// <returns>A fault that strikes until it is removed.</returns>
    public static OpenAIFault Gone(string operation = "*") => new()
    {
        Operation = operation,
        Kind = OpenAIFaultKind.Error,
        Status = 404,
        Type = "invalid_request_error",
        Message = "Invalid URL",
    };
}
