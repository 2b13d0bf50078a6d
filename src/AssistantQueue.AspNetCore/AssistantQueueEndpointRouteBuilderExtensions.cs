using AssistantQueue;
using AssistantQueue.AspNetCore;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace Microsoft.AspNetCore.Builder;

/// <summary>Maps the endpoints of AssistantQueue.</summary>
public static class AssistantQueueEndpointRouteBuilderExtensions
{
    /// <summary>Serves a thread's updates (<see cref="IAssistantMessageQueue.WatchThreadAsync"/>) as server-sent events.</summary>
    /// <remarks>
    /// <para>
    /// An event's name is the type of its update in camel case: <c>messagesStored</c>, <c>batchStarted</c>, <c>messagesJoined</c>,
    /// <c>textDelta</c>, <c>toolCalled</c>, <c>toolAnswered</c>, <c>approvalRequested</c>, <c>batchInterrupted</c>, <c>batchRetrying</c>,
    /// <c>batchReplied</c>, <c>batchFailed</c>, <c>updatesSkipped</c>. Its data is the update as JSON on one line, its id the update's position.
    /// </para>
    /// <para>
    /// A browser sends the last id back as <c>Last-Event-ID</c> when it connects again, and misses nothing that is still kept; for the first
    /// connection there is the query parameter <c>after</c>. Without either the stream begins now; with <c>0</c> it begins with everything that
    /// is kept. A position that isn't in the kept history begins with <c>updatesSkipped</c>; something that is no position at all, or a thread's id
    /// that breaks a rule, is answered with 400 and problem details.
    /// </para>
    /// <para>
    /// A watcher that goes away stops nothing but its own watching. When the updates can't be read (Redis is out of reach), the stream ends and
    /// the client's own reconnecting tries again; a browser would give up for good on an error status. When the host stops, the streams end.
    /// </para>
    /// <para>Whoever may call the endpoint may read every thread: add an authorization policy to what is returned here.</para>
    /// </remarks>
    /// <param name="endpoints">The route builder.</param>
    /// <param name="pattern">The route. It has one parameter, <c>threadId</c>; a slash in a thread's id is written <c>%2F</c>.</param>
    /// <param name="configure">Changes the settings of this endpoint.</param>
    /// <returns>The endpoint, for authorization, CORS and the like.</returns>
    /// <exception cref="ArgumentException">The pattern has no parameter <c>threadId</c>, or a setting is out of its range.</exception>
    /// <exception cref="InvalidOperationException">The queue was not added to the services.</exception>
    public static IEndpointConventionBuilder MapAssistantThreadEvents(
        this IEndpointRouteBuilder endpoints,
        string pattern = "/api/threads/{threadId}/events",
        Action<AssistantThreadEventsOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(endpoints);
        ArgumentException.ThrowIfNullOrEmpty(pattern);
        if (!pattern.Contains("{" + ThreadEventsEndpoint.ThreadIdParameter, StringComparison.OrdinalIgnoreCase))
        {
            throw new ArgumentException($"The route '{pattern}' has no parameter '{{{ThreadEventsEndpoint.ThreadIdParameter}}}'.", nameof(pattern));
        }

        var settings = new AssistantThreadEventsOptions();
        configure?.Invoke(settings);
        settings.Validate();

        var known = settings.QueueName.Length == 0
            ? endpoints.ServiceProvider.GetService<IServiceProviderIsService>()?.IsService(typeof(IAssistantMessageQueue))
            : endpoints.ServiceProvider.GetService<IServiceProviderIsKeyedService>()?.IsKeyedService(typeof(IAssistantMessageQueue), settings.QueueName);
        if (known == false)
        {
            var call = settings.QueueName.Length == 0 ? "AddAssistantMessageQueue()" : $"AddAssistantMessageQueue(\"{settings.QueueName}\")";
            throw new InvalidOperationException($"MapAssistantThreadEvents() needs a queue: call builder.Services.{call} first.");
        }

        return endpoints.MapGet(pattern, (RequestDelegate)new ThreadEventsEndpoint(settings).InvokeAsync)
            .WithDisplayName("AssistantQueue thread events");
    }
}
