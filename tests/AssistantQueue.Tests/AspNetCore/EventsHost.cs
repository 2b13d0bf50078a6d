using System.Net.ServerSentEvents;
using AssistantQueue.AspNetCore;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace AssistantQueue.Tests.AspNetCore;

/// <summary>A Kestrel on a free port that serves the events of a <see cref="WatchedQueue"/> or of a real queue, and a client of it.</summary>
internal sealed class EventsHost : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly CancellationTokenSource _limit = new(TimeSpan.FromSeconds(30));

    private EventsHost(WebApplication app, WatchedQueue queue)
    {
        _app = app;
        Queue = queue;
        Client = new HttpClient { BaseAddress = new Uri(app.Urls.Single()) };
    }

    public WatchedQueue Queue { get; }

    public HttpClient Client { get; }

    public IServiceProvider Services => _app.Services;

    /// <summary>Ends a test that would wait for ever.</summary>
    public CancellationToken Limit => _limit.Token;

    public static Task<EventsHost> StartAsync(Action<AssistantThreadEventsOptions>? configure = null)
    {
        var queue = new WatchedQueue();
        return StartAsync(queue, services => services.AddSingleton<IAssistantMessageQueue>(queue), configure);
    }

    public static Task<EventsHost> StartAsync(Action<IServiceCollection> addQueue) => StartAsync(new WatchedQueue(), addQueue, null);

    private static async Task<EventsHost> StartAsync(WatchedQueue queue, Action<IServiceCollection> addQueue, Action<AssistantThreadEventsOptions>? configure)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        addQueue(builder.Services);
        var app = builder.Build();
        app.MapAssistantThreadEvents(configure: configure);
        await app.StartAsync();
        return new EventsHost(app, queue);
    }

    public async Task<HttpResponseMessage> OpenAsync(string threadId, string? lastEventId = null, string query = "")
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"/api/threads/{Uri.EscapeDataString(threadId)}/events{query}");
        if (lastEventId is not null)
        {
            request.Headers.Add("Last-Event-ID", lastEventId);
        }

        return await Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Limit);
    }

    public async Task<List<SseItem<string>>> ReadAsync(HttpResponseMessage response, int count)
    {
        var items = new List<SseItem<string>>();
        var parser = SseParser.Create(await response.Content.ReadAsStreamAsync(Limit));
        await foreach (var item in parser.EnumerateAsync(Limit))
        {
            items.Add(item);
            if (items.Count == count)
            {
                break;
            }
        }

        return items;
    }

    public Task StopAsync() => _app.StopAsync(Limit);

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await _app.DisposeAsync();
        _limit.Dispose();
    }
}
