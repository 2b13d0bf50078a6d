using System.Text.RegularExpressions;

namespace AssistantQueue.OpenAI.Errors;

/// <summary>Decides what an API's error means for the queue. Pure: the same error gives the same answer.</summary>
internal static partial class ErrorMap
{
    /// <summary>The code of an answer with a good status that can't be understood.</summary>
    public const string Garbage = "unreadable_answer";

    /// <summary>The code of a call that failed before it reached the network.</summary>
    public const string NotSent = "not_sent";

    /// <summary>The code of a run that was cancelled at the API, by us or by somebody else; the queue knows it.</summary>
    public const string Cancelled = "cancelled";

    /// <summary>The code of a call that found nobody: no such host, a closed port, no trust. Surely not taken.</summary>
    public const string Unreachable = "unreachable";

    // spent money and closed accounts: no conversation can work, however often it is tried
    private static readonly HashSet<string> Account = new(StringComparer.Ordinal)
    {
        "insufficient_quota", "credit_balance_exhausted", "organization_spend_limit_exceeded", "project_spend_limit_exceeded",
        "organization_usage_limit_exceeded", "billing_hard_limit_reached", "billing_not_active", "account_deactivated",
        "access_terminated", "unsupported_country_region_territory",
    };

    private static readonly HashSet<string> Settings = new(StringComparer.Ordinal)
    {
        "invalid_api_key", "invalid_organization", "invalid_project", "model_not_found", "unsupported_model",
        "DeploymentNotFound", "OperationNotSupported", "unknown_url", NotSent, Unreachable,
    };

    private static readonly HashSet<string> Passing = new(StringComparer.Ordinal)
    {
        "server_error", "rate_limit_exceeded", "slow_down", "server_is_overloaded", "vector_store_timeout", "timeout", Garbage, Cancelled,
    };

    /// <summary>What to do about an error that isn't handled inside the backend.</summary>
    public static BackendErrorKind Classify(ApiError error)
    {
        var code = error.Code ?? "";
        if (IsBusy(error))
        {
            return BackendErrorKind.ThreadBusy;
        }

        if (Account.Contains(code) || error.Type == "insufficient_quota" || Settings.Contains(code))
        {
            return BackendErrorKind.BackendUnavailable;
        }

        if (Passing.Contains(code))
        {
            return BackendErrorKind.Transient;
        }

        return error.Status switch
        {
            0 => BackendErrorKind.Transient,
            // a run that was taken and failed, with a code that isn't passing: its content was refused
            >= 200 and < 300 => error.Code is null ? BackendErrorKind.Transient : BackendErrorKind.Permanent,
            // wrong address: a redirect to a sign-in page, a path that doesn't exist or doesn't take a post
            >= 300 and < 400 or 404 or 405 or 410 or 501 => BackendErrorKind.BackendUnavailable,
            401 or 402 or 403 => BackendErrorKind.BackendUnavailable,
            408 or 409 or 425 or 429 or >= 500 => BackendErrorKind.Transient,
            400 when error.Param is "model" or "assistant_id" => BackendErrorKind.BackendUnavailable,
            _ => BackendErrorKind.Permanent,
        };
    }

    /// <summary>Whether a post that was answered like this may have been taken all the same.</summary>
    /// <remarks>A 503 that says "overloaded" was turned away at the door; any other 5xx may have come after the work.</remarks>
    public static bool MayHaveBeenTaken(ApiError error) => error.Status switch
    {
        408 => true,
        501 => false,
        >= 500 => error.Code is not ("server_is_overloaded" or "slow_down" or "rate_limit_exceeded"),
        _ => false,
    };

    /// <summary>Whether another run of this thread is going on.</summary>
    public static bool IsBusy(ApiError error) =>
        error.Code == "conversation_locked" || (error.Status is 400 or 409 && ActiveRun(error) is not null);

    /// <summary>The run that keeps a thread busy. The Assistants API says so in its text only.</summary>
    public static string? ActiveRun(ApiError error) => ActiveRunText().Match(error.Message) is { Success: true } match ? match.Groups["run"].Value : null;

    /// <summary>The function call whose missing output keeps a conversation from going on.</summary>
    public static string? CallWithoutOutput(ApiError error) =>
        error.Status == 400 && CallText().Match(error.Message) is { Success: true } match ? match.Groups["call"].Value : null;

    /// <summary>Whether the error says that the thing with this id doesn't exist. A 404 that doesn't name it means something else: a wrong address, a wrong model.</summary>
    /// <remarks>A server that doesn't know the address quotes it, and the id with it: <c>Invalid URL (POST /v1/threads/thread_1/runs)</c> says nothing about the thread.</remarks>
    public static bool IsGone(ApiError error, string? id) =>
        id is { Length: > 0 }
        && (error.Status == 404 || (error.Status == 400 && error.Code is "previous_response_not_found" or "conversation_not_found" or "not_found"))
        && !Settings.Contains(error.Code ?? "")
        && Names(error.Message, id);

    /// <summary>The setting to look at, below the queue's OpenAI section; null when no setting is at fault.</summary>
    public static string? SettingAtFault(ApiError error)
    {
        if (Account.Contains(error.Code ?? "") || error.Type == "insufficient_quota")
        {
            return null;
        }

        return error switch
        {
            { Code: "model_not_found" or "unsupported_model" or "DeploymentNotFound" } or { Param: "model" } => "Model",
            { Param: "assistant_id" } => "AssistantId",
            { Status: 401 or 403 } or { Code: "invalid_api_key" or NotSent } => "ApiKey",
            { Code: Unreachable } => "Endpoint",
            { Status: 404 } when error.Code != "unknown_url" && !error.Message.StartsWith("Invalid URL", StringComparison.Ordinal) && error.Message.Contains("assistant", StringComparison.OrdinalIgnoreCase) => "AssistantId",
            { Status: 404 or 405 or 410 or 501 or (>= 300 and < 400) } => "Endpoint",
            _ => null,
        };
    }

    // as a word of its own, not as a part of another id, nor of a path or URL
    private static bool Names(string message, string id)
    {
        for (var at = message.IndexOf(id, StringComparison.Ordinal); at >= 0; at = message.IndexOf(id, at + 1, StringComparison.Ordinal))
        {
            var end = at + id.Length;
            if ((at == 0 || !IsOfPath(message[at - 1])) && (end == message.Length || !IsOfPath(message[end])))
            {
                return true;
            }
        }

        return false;

        static bool IsOfPath(char c) => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' or '/' or '=' or '&' or '%';
    }

    // compatible servers name their runs as they like
    [GeneratedRegex(@"while a run (?<run>\S+?) is active|already has an active run ['""]?(?<run>\S+?)['""]?[.,;]?(\s|$)")]
    private static partial Regex ActiveRunText();

    [GeneratedRegex(@"No tool output found for function call (?<call>[A-Za-z0-9_-]+)")]
    private static partial Regex CallText();
}
