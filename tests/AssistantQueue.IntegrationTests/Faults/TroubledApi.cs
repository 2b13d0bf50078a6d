using System.Collections.Concurrent;
using System.Net.Http;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using AssistantQueue.Emulators;
using AssistantQueue.IntegrationTests.Redis;
using AssistantQueue.IntegrationTests.Store;
using AssistantQueue.OpenAI;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;

namespace AssistantQueue.IntegrationTests.Faults;

/// <summary>A whole queue (a host, a real Redis) on an API that breaks on demand; at its end everything that must be true whatever the API did is checked.</summary>
internal sealed class TroubledApi : IAsyncDisposable
{
    private static readonly string[] MayRemain = ["conversation:", "replies:", "events:", "request:", "counters", "workers", "idle", "failed", "message-id:"];

    private readonly ConcurrentQueue<(string BatchId, string Text)> _delivered = new();
    private readonly ConcurrentQueue<FailedAttempt> _retried = new();
    private readonly string _prefix = TestRedis.NewPrefix();
    private readonly HttpClient _other = new();
    private readonly IHost _host;

    private TroubledApi(OpenAIEmulator emulator, string redis, Action<OpenAIOptions> openAI, Action<AssistantQueueOptions>? queue, Action<IServiceCollection>? services)
    {
        Emulator = emulator;
        _other.BaseAddress = new Uri(emulator.BaseUrl + "/");
        _other.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", "sk-other");
        _other.DefaultRequestHeaders.Add("OpenAI-Beta", "assistants=v2");
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Logging.AddProvider(new FakeLoggerProvider(Log));
        services?.Invoke(builder.Services);
        builder.Services.AddAssistantMessageQueue(o =>
            {
                (o.RedisConnectionString, o.QueuePrefix, o.MessageDelay) = (redis, _prefix, TimeSpan.Zero);
                o.UnknownOutcomeWait = TimeSpan.FromMilliseconds(500);
                o.Backoff = new BackoffOptions { Delay = TimeSpan.FromMilliseconds(50), UseJitter = false };
                queue?.Invoke(o);
            })
            .UseOpenAI(o =>
            {
                (o.Endpoint, o.ApiKey) = (emulator.BaseUrl, "sk-test");
                (o.PollInterval, o.MaxPollInterval) = (TimeSpan.FromMilliseconds(20), TimeSpan.FromMilliseconds(200));
                openAI(o);
            })
            .OnReply((reply, _) => Deliver(reply.BatchId, reply.Text))
            .OnFailed((failure, _) => Deliver(failure.BatchId, failure.Error))
            .OnRetrying((attempt, _) =>
            {
                _retried.Enqueue(attempt);
                return Task.CompletedTask;
            });
        _host = builder.Build();
        Queue = _host.Services.GetRequiredService<IAssistantMessageQueue>();
    }

    public OpenAIEmulator Emulator { get; }

    public IAssistantMessageQueue Queue { get; }

    public FakeLogCollector Log { get; } = new();

    public LedgerSnapshot Ledger => Emulator.Ledger.Snapshot();

    /// <summary>Gets the attempts that failed and were to be repeated.</summary>
    public IReadOnlyList<FailedAttempt> Retried => [.. _retried];

    public static async Task<TroubledApi> StartAsync(
        Action<OpenAIOptions> openAI, Action<AssistantQueueOptions>? queue = null, Action<IServiceCollection>? services = null)
    {
        var redis = await TestRedis.GetApartAsync();
        var api = new TroubledApi(await OpenAIEmulator.StartAsync(), redis.Instance.ConnectionString, openAI, queue, services);
        await api._host.StartAsync();
        return api;
    }

    public async Task<AssistantReply> AskAsync(string thread, string text, CancellationToken cancellationToken) =>
        await Queue.AskAsync(thread, text, cancellationToken: cancellationToken);

    /// <summary>What somebody else does at the API.</summary>
    public async Task<JsonElement> PostAsOtherAsync(string path, object body)
    {
        using var response = await _other.PostAsJsonAsync(path, body);
        response.EnsureSuccessStatusCode();
        return await response.Content.ReadFromJsonAsync<JsonElement>();
    }

    public async Task DeleteAsOtherAsync(string path)
    {
        using var response = await _other.DeleteAsync(new Uri(path, UriKind.Relative));
        response.EnsureSuccessStatusCode();
    }

    /// <summary>Stops in order, so that what is open is delivered, and checks what must be true in any case.</summary>
    /// <param name="failed">How many messages lie in the failed store.</param>
    public async Task EndAsync(int failed = 0)
    {
        // Nothing is under way, so nothing may hold the stop up.
        var stopping = System.Diagnostics.Stopwatch.StartNew();
        await _host.StopAsync();
        Assert.True(stopping.Elapsed < TimeSpan.FromSeconds(10), $"Stopping took {stopping.Elapsed}:\n{string.Join('\n', Log.GetSnapshot().Select(r => $"{r.Timestamp:mm:ss.fff} {r.Message}"))}");
        var ledger = Ledger;
        Assert.Empty(ledger.Overlaps);
        Assert.Empty(ledger.Duplicates);
        Assert.All(_delivered.GroupBy(d => d.BatchId), batch => Assert.Single(batch.Distinct()));
        var redis = (await TestRedis.GetApartAsync()).Multiplexer;
        var p = $"{{{_prefix}:0}}";
        await Invariants.CheckAsync(redis, p);
        var keys = (await Snapshot.TakeAsync(redis, p)).Keys;
        Assert.DoesNotContain(keys.Keys, key => !MayRemain.Any(m => key.StartsWith(m, StringComparison.Ordinal)));
        Assert.Equal(failed, (int)await redis.GetDatabase().HashGetAsync(p + ":counters", "failed"));
        Assert.Equal((int)await redis.GetDatabase().HashGetAsync(p + ":counters", "completed"), _delivered.DistinctBy(d => d.BatchId).Count() - failed);
    }

    public async ValueTask DisposeAsync()
    {
        await _host.StopAsync();
        _host.Dispose();
        _other.Dispose();
        await Snapshot.ForgetAsync((await TestRedis.GetApartAsync()).Multiplexer, $"{{{_prefix}:0}}");
        await Emulator.DisposeAsync();
    }

    private Task Deliver(string batchId, string text)
    {
        _delivered.Enqueue((batchId, text));
        return Task.CompletedTask;
    }
}
