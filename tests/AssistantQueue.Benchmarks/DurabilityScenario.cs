using System.Diagnostics;
using System.Globalization;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using StackExchange.Redis;

namespace AssistantQueue.Benchmarks;

/// <summary>What <c>Durability = Replicas(1)</c> costs: the queue with and without it, beside the least that Redis must do with and without <c>WAIT</c>, in turn on one machine.</summary>
internal static class DurabilityScenario
{
    private const int InFlight = 1_000;
    private const int Threads = 10_000;
    private const int LoneCalls = 2_000;

    // The least that an enqueue must: append, due time, sequence.
    private const string Least = "redis.call('RPUSH', KEYS[1] .. ARGV[1], ARGV[2]) redis.call('ZADD', KEYS[1], 'NX', 1e13, ARGV[1]) return redis.call('INCR', KEYS[1] .. 's')";

    private static readonly TimeSpan Measured = TimeSpan.FromSeconds(3);
    private static readonly string Body = new('x', 200);

    public static async Task RunAsync(int rounds)
    {
        await using var redis = await ReplicaPair.StartAsync();
        await using var plain = await ConnectionMultiplexer.ConnectAsync(redis.ConnectionString + ",allowAdmin=true");
        await using var waiting = await ConnectionMultiplexer.ConnectAsync(redis.ConnectionString);
        using var primary = await StartQueueAsync(redis, "primary", Durability.Primary);
        using var replicas = await StartQueueAsync(redis, "replicas", Durability.Replicas(1));
        Candidate[] candidates =
        [
            new("bare `EVALSHA`", thread => EvaluateAsync(plain, thread)),
            new("bare `EVALSHA`, `WAIT 1`", thread => EvaluateAndWaitAsync(waiting, thread)),
            new("queue, `Primary`", thread => EnqueueAsync(primary, thread)),
            new("queue, `Replicas(1)`", thread => EnqueueAsync(replicas, thread)),
        ];

        // The first round warms up.
        for (var round = 0; round <= rounds; round++)
        {
            foreach (var candidate in candidates)
            {
                var rate = await RateAsync(candidate);
                var (median, tail) = await LoneAsync(candidate);
                if (round > 0)
                {
                    candidate.Rates.Add(rate);
                    candidate.Medians.Add(median);
                    candidate.Tails.Add(tail);
                }
            }

            await plain.GetDatabase().ExecuteAsync("FLUSHALL");
        }

        Print(candidates, rounds);
        await Task.WhenAll(primary.StopAsync(), replicas.StopAsync());
    }

    private static Task<RedisResult> EvaluateAsync(ConnectionMultiplexer redis, string thread) =>
        redis.GetDatabase().ScriptEvaluateAsync(Least, ["least"], [thread, Body]);

    // Two calls on one connection: WAIT speaks of what was written before it.
    private static Task<RedisResult[]> EvaluateAndWaitAsync(ConnectionMultiplexer redis, string thread)
    {
        var written = EvaluateAsync(redis, thread);
        return Task.WhenAll(written, redis.GetDatabase().ExecuteAsync("WAIT", 1, 1_000));
    }

    private static Task<MessageReceipt> EnqueueAsync(IHost host, string thread) =>
        host.Services.GetRequiredService<IAssistantMessageQueue>().AddMessageToThreadAsync(thread, Body);

    private static async Task<double> RateAsync(Candidate candidate)
    {
        var stored = 0;
        var clock = Stopwatch.StartNew();
        await Task.WhenAll(Enumerable.Range(0, InFlight).Select(caller => Task.Run(async () =>
        {
            for (var i = caller; clock.Elapsed < Measured; i += InFlight)
            {
                await candidate.StoreAsync("t" + (i % Threads).ToString(CultureInfo.InvariantCulture));
                Interlocked.Increment(ref stored);
            }
        })));
        return stored / clock.Elapsed.TotalSeconds;
    }

    private static async Task<(double Median, double Tail)> LoneAsync(Candidate candidate)
    {
        var microseconds = new double[LoneCalls];
        for (var i = 0; i < LoneCalls; i++)
        {
            var began = Stopwatch.GetTimestamp();
            await candidate.StoreAsync("lone" + (i % 100).ToString(CultureInfo.InvariantCulture));
            microseconds[i] = Stopwatch.GetElapsedTime(began).TotalMicroseconds;
        }

        Array.Sort(microseconds);
        return (microseconds[LoneCalls / 2], microseconds[LoneCalls * 99 / 100]);
    }

    private static async Task<IHost> StartQueueAsync(ReplicaPair redis, string prefix, Durability durability)
    {
        var builder = Host.CreateApplicationBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddAssistantMessageQueue(options =>
        {
            options.RedisConnectionString = redis.ConnectionString;
            options.QueuePrefix = prefix;
            options.Durability = durability;
            options.MessageDelay = TimeSpan.FromDays(1);
            options.MaxPendingMessages = 1_000_000;
        }).ProducerOnly();
        var host = builder.Build();
        await host.StartAsync();
        return host;
    }

    private static void Print(Candidate[] candidates, int rounds)
    {
        var culture = CultureInfo.InvariantCulture;
        Console.WriteLine(string.Create(culture, $"Medians of {rounds} rounds in turn, least to most; {InFlight:N0} in flight for {Measured.TotalSeconds:0} s, then {LoneCalls:N0} calls of a lone caller."));
        Console.WriteLine("| | messages/s | lone caller, p50 µs | p99 µs |");
        Console.WriteLine("|---|---:|---:|---:|");
        foreach (var candidate in candidates)
        {
            Console.WriteLine($"| {candidate.Name} | {Spread(candidate.Rates)} | {Spread(candidate.Medians)} | {Spread(candidate.Tails)} |");
        }
    }

    private static string Spread(List<double> figures)
    {
        var sorted = figures.Order().ToList();
        return string.Create(CultureInfo.InvariantCulture, $"{sorted[sorted.Count / 2]:N0} ({sorted[0]:N0}–{sorted[^1]:N0})");
    }
}
