using System.Collections.Concurrent;
using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using AssistantQueue.IntegrationTests.Redis;
using AssistantQueue.IntegrationTests.Running;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Xunit.Abstractions;

namespace AssistantQueue.IntegrationTests.Worker;

/// <summary>Redis goes away three times for a minute, twice as long as a lease, while two workers have runs under way: owners stop by their own clock, and nobody is taken for dead.</summary>
[WaitsMostly]
public class RedisOutageTests(ITestOutputHelper output)
{
    private const int Threads = 10;

    private static readonly TimeSpan Lock = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Outage = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);

    [Fact]
    public async Task Outages_LongerThanTheLease_CostNoAttemptNoDeathAndNoMessage()
    {
        await using var redis = await RedisInstance.StartDedicatedAsync(new RedisInstanceOptions { KeepsData = true });
        var backend = new GatedBackend();
        var replies = Channel.CreateUnbounded<AssistantReply>();
        var failures = new ConcurrentQueue<FailedBatch>();
        var prefix = TestRedis.NewPrefix();
        using var host = BuildHost(redis.ConnectionString, prefix, backend, replies, failures);
        using var other = BuildHost(redis.ConnectionString, prefix, backend, replies, failures);
        await Task.WhenAll(host.StartAsync(), other.StartAsync());
        var queue = host.Services.GetRequiredService<IAssistantMessageQueue>();
        await Task.WhenAll(Enumerable.Range(0, Threads).Select(i => queue.EnqueueAsync(new AssistantMessage { ThreadId = $"c{i}", Text = "hi", Delay = TimeSpan.Zero })));
        await backend.BeganAsync(Threads);

        foreach (var (begin, end) in new (Func<Task>, Func<Task>)[] { (redis.PauseAsync, redis.ResumeAsync), (redis.StopAsync, redis.StartAgainAsync), (redis.KillAsync, redis.StartAgainAsync) })
        {
            var began = Stopwatch.StartNew();
            await begin();
            // Every run is left by its owner's own clock, before Redis is back.
            await backend.LeftAsync(Threads);
            output.WriteLine($"left {began.Elapsed.TotalSeconds:0.0} s after the outage began");
            // The fault itself; nothing is waited for.
            await Task.Delay(Outage > began.Elapsed ? Outage - began.Elapsed : TimeSpan.Zero);
            await end();
            output.WriteLine($"Redis is back after {began.Elapsed.TotalSeconds:0.0} s");
            await backend.BeganAsync(Threads);
            output.WriteLine($"all run again after {began.Elapsed.TotalSeconds:0.0} s");
        }

        backend.Open();
        for (var i = 0; i < Threads; i++)
        {
            Assert.Equal(1, (await replies.Reader.ReadAsync().AsTask().WaitAsync(Patience)).Attempt);
        }

        var status = await queue.GetQueueStatusAsync();
        Assert.Equal((0, Threads), (status.FailedCount, status.CompletedCount));
        Assert.Empty(failures);
        Assert.Equal(0, backend.Overlaps);
        await Task.WhenAll(host.StopAsync(), other.StopAsync());
    }

    private static IHost BuildHost(string redis, string prefix, IAssistantBackend backend, Channel<AssistantReply> replies, ConcurrentQueue<FailedBatch> failures)
    {
        var builder = Host.CreateApplicationBuilder();
        builder.Services.AddAssistantMessageQueue(options =>
            {
                options.RedisConnectionString = redis;
                options.QueuePrefix = prefix;
                options.ConnectTimeout = TimeSpan.FromMinutes(1);
                options.LockDuration = Lock;
                options.Concurrency = Threads;
                options.MaxDeaths = 1;
                options.MaxAttempts = 1;
            })
            .UseBackend(backend)
            .OnReply((reply, token) => replies.Writer.WriteAsync(reply, token).AsTask())
            .OnFailed((failure, _) =>
            {
                failures.Enqueue(failure);
                return Task.CompletedTask;
            });
        return builder.Build();
    }

    /// <summary>Runs until the gate opens; nobody could adopt its runs.</summary>
    private sealed class GatedBackend : IAssistantBackend
    {
        private readonly TaskCompletionSource _gate = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly ConcurrentDictionary<string, int> _running = new();
        private readonly Channel<string> _began = Channel.CreateUnbounded<string>();
        private readonly Channel<string> _left = Channel.CreateUnbounded<string>();
        private int _overlaps;

        public int Overlaps => _overlaps;

        public void Open() => _gate.SetResult();

        public Task BeganAsync(int count) => CountAsync(_began, count);

        public Task LeftAsync(int count) => CountAsync(_left, count);

        public async IAsyncEnumerable<RunUpdate> RunAsync(BatchRun run, [EnumeratorCancellation] CancellationToken cancellationToken)
        {
            if (_running.AddOrUpdate(run.ThreadId, 1, (_, n) => n + 1) > 1)
            {
                Interlocked.Increment(ref _overlaps);
            }

            _began.Writer.TryWrite(run.ThreadId);
            try
            {
                await _gate.Task.WaitAsync(cancellationToken);
            }
            finally
            {
                _running.AddOrUpdate(run.ThreadId, 0, (_, n) => n - 1);
                _left.Writer.TryWrite(run.ThreadId);
            }

            yield return new RunCompleted { Text = "hello" };
        }

        private static async Task CountAsync(Channel<string> channel, int count)
        {
            using var limit = new CancellationTokenSource(Patience);
            for (var i = 0; i < count; i++)
            {
                await channel.Reader.ReadAsync(limit.Token);
            }
        }
    }
}
