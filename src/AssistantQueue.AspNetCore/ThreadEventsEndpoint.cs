using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace AssistantQueue.AspNetCore;

/// <summary>Answers one request for a thread's events: begins to watch, then streams until the client or the host goes.</summary>
internal sealed class ThreadEventsEndpoint(AssistantThreadEventsOptions settings)
{
    public const string ThreadIdParameter = "threadId";

    public async Task InvokeAsync(HttpContext context)
    {
        var services = context.RequestServices;
        var logger = services.GetRequiredService<ILoggerFactory>().CreateLogger(typeof(ThreadEventsEndpoint).Namespace!);
        var threadId = ThreadIdOf(context.GetRouteValue(ThreadIdParameter) as string ?? "");
        var after = AfterOf(context.Request);

        // Without this an open stream would hold up the host's stop until its shutdown time is over.
        var stopping = services.GetRequiredService<IHostApplicationLifetime>().ApplicationStopping;
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, stopping);

        IAsyncEnumerator<ThreadUpdate> updates;
        Task<bool> first;
        try
        {
            updates = QueueIn(services).WatchThreadAsync(threadId, after, stop.Token).GetAsyncEnumerator(stop.Token);
            first = updates.MoveNextAsync().AsTask();
            if (first.IsFaulted && first.Exception.InnerException is ArgumentException)
            {
                await updates.DisposeAsync();
                await first;
            }
        }
        catch (ArgumentException broken)
        {
            await TypedResults.Problem(RuleOf(broken), statusCode: StatusCodes.Status400BadRequest).ExecuteAsync(context);
            return;
        }

        Log.WatchStarted(logger, threadId, after ?? "now");
        try
        {
            context.Response.Headers["X-Accel-Buffering"] = "no";
            var events = ThreadEventStream.ToEvents(
                updates, first, context.Response, settings, services.GetService<TimeProvider>() ?? TimeProvider.System, stop, context.RequestAborted);
            await TypedResults.ServerSentEvents(events).ExecuteAsync(context);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The client or the host has gone; that is how streams end.
        }
        catch (Exception exception) when (exception is AssistantQueueException or IOException)
        {
            Log.WatchFailed(logger, threadId, exception);
        }
        finally
        {
            Log.WatchEnded(logger, threadId);
        }
    }

    // The parameter's name says something about this program's code, not about the request.
    private static string RuleOf(ArgumentException broken) => broken.Message.Replace($" (Parameter '{broken.ParamName}')", "", StringComparison.Ordinal);

    private IAssistantMessageQueue QueueIn(IServiceProvider services) => settings.QueueName.Length == 0
        ? services.GetRequiredService<IAssistantMessageQueue>()
        : services.GetRequiredKeyedService<IAssistantMessageQueue>(settings.QueueName);

    // Kestrel decodes a path except for %2F, which would otherwise look like two segments.
    private static string ThreadIdOf(string routeValue) => routeValue.Replace("%2F", "/", StringComparison.OrdinalIgnoreCase);

    // The header is newer: the query parameter stays in a browser's address when it connects again.
    private static string? AfterOf(HttpRequest request)
    {
        var last = request.Headers["Last-Event-ID"].ToString();
        if (last.Length == 0)
        {
            last = request.Query["after"].ToString();
        }

        return last.Length == 0 ? null : last;
    }
}
