using AssistantQueue;
using Microsoft.AspNetCore.Diagnostics;
using Microsoft.AspNetCore.Mvc;

namespace WebChat.Api;

/// <summary>Answers what the queue throws with problem details that say what the caller can do.</summary>
public sealed class QueueExceptionHandler(IProblemDetailsService problems) : IExceptionHandler
{
    /// <summary>Where a request leaves the message's id, so that a caller who gave none can repeat the call with it.</summary>
    public const string MessageIdItem = "messageId";

    private const int RetryAfterSeconds = 5;

    public async ValueTask<bool> TryHandleAsync(HttpContext httpContext, Exception exception, CancellationToken cancellationToken)
    {
        if (Describe(exception) is not { } problem)
        {
            return false;
        }

        if (exception is EnqueueOutcomeUnknownException && httpContext.Items[MessageIdItem] is string messageId)
        {
            problem.Extensions["messageId"] = messageId;
        }

        if (problem.Status is StatusCodes.Status429TooManyRequests or StatusCodes.Status503ServiceUnavailable)
        {
            httpContext.Response.Headers.RetryAfter = RetryAfterSeconds.ToString(System.Globalization.CultureInfo.InvariantCulture);
        }

        httpContext.Response.StatusCode = problem.Status!.Value;
        return await problems.TryWriteAsync(new ProblemDetailsContext { HttpContext = httpContext, ProblemDetails = problem });
    }

    private static ProblemDetails? Describe(Exception exception) => exception switch
    {
        ArgumentException broken => Problem(StatusCodes.Status400BadRequest, "The request breaks a rule", RuleOf(broken)),
        ThreadFullException full => Problem(StatusCodes.Status429TooManyRequests, "The thread is full", full.Message),
        ThreadBusyException busy => Problem(StatusCodes.Status409Conflict, "A run is under way", busy.Message),
        ToolCallNotFoundException gone => Problem(StatusCodes.Status404NotFound, "No such call waits", gone.Message),
        QueueUnavailableException away => Problem(StatusCodes.Status503ServiceUnavailable, "The queue can't be reached", away.Message),
        EnqueueOutcomeUnknownException unknown => Problem(
            StatusCodes.Status503ServiceUnavailable,
            "The message may or may not be stored",
            unknown.Message + " Post the message again with the same messageId: it will be stored once."),
        ReplyExpiredException expired => Problem(StatusCodes.Status404NotFound, "No reply is kept", expired.Message),
        BatchFailedException failed => Problem(StatusCodes.Status422UnprocessableEntity, "The messages were given up", failed.Message, ("failure", failed.Failure)),
        _ => null,
    };

    // The parameter's name says something about this program's code, not about the request.
    private static string RuleOf(ArgumentException broken) => broken.Message.Replace($" (Parameter '{broken.ParamName}')", "", StringComparison.Ordinal);

    private static ProblemDetails Problem(int status, string title, string detail, params (string Name, object Value)[] extensions)
    {
        var problem = new ProblemDetails { Status = status, Title = title, Detail = detail };
        foreach (var (name, value) in extensions)
        {
            problem.Extensions[name] = value;
        }

        return problem;
    }
}
