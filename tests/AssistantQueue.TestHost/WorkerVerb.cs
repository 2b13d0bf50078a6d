using System.Diagnostics;
using System.Text.Json;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace AssistantQueue.TestHost;

/// <summary><c>worker --AssistantQueue:RedisConnectionString … --AssistantQueue:OpenAI:Endpoint … --replies DIR</c>: a worker of its own; every setting of the queue is an argument; <c>--chat true</c> runs a <see cref="LocalModel"/> instead, with <c>--hangs true</c> one whose tool never returns and whose story never ends, and <c>--agent true</c> an agent of it.</summary>
/// <remarks><c>--poison THREAD</c> takes a backend that answers by itself and kills the process when that thread is run. <c>--tools DIR</c> registers <see cref="WorkerTools"/>. Handlers append a <see cref="Delivered"/> as a line of JSON to a file of the process in that folder. Logs go to standard error.</remarks>
internal static class WorkerVerb
{
    private static readonly SemaphoreSlim OneAtATime = new(1);

    public static async Task<int> RunAsync(string[] args)
    {
        var builder = Host.CreateApplicationBuilder(args);
        builder.Logging.ClearProviders().AddSimpleConsole(o => o.SingleLine = true);
        builder.Services.Configure<Microsoft.Extensions.Logging.Console.ConsoleLoggerOptions>(o => o.LogToStandardErrorThreshold = LogLevel.Trace);
        if (builder.Configuration.GetValue<TimeSpan?>("ShutdownTimeout") is { } timeout)
        {
            builder.Services.Configure<HostOptions>(o => o.ShutdownTimeout = timeout);
        }

        var queue = builder.Services.AddAssistantMessageQueue();
        if (builder.Configuration["poison"] is { } thread)
        {
            queue.UseBackend(new PoisonBackend(thread));
        }
        else if (builder.Configuration.GetValue<bool>("chat"))
        {
            LocalModel.Use(queue, builder.Configuration.GetValue<bool>("hangs"));
        }
        else if (builder.Configuration.GetValue<bool>("agent"))
        {
            LocalModel.UseAgent(queue);
        }
        else
        {
            queue.UseOpenAI();
        }

        if (builder.Configuration["tools"] is { } tools)
        {
            WorkerTools.Add(queue, tools);
        }

        if (builder.Configuration["replies"] is { } folder)
        {
            var file = Path.Combine(folder, $"replies-{Environment.ProcessId}.jsonl");
            queue.OnReply((reply, _) => AppendAsync(file, new Delivered(
                reply.ThreadId, reply.BatchId, "reply", reply.Text, reply.Attempt, reply.MessageIds, Stopwatch.GetTimestamp())));
            queue.OnFailed((failure, _) => AppendAsync(file, new Delivered(
                failure.ThreadId, failure.BatchId, failure.Kind.ToString(), failure.Error, failure.Attempts.Count, failure.MessageIds, Stopwatch.GetTimestamp())));
        }

        using var host = builder.Build();
        await host.StartAsync();
        VerbLife.Ready(Environment.ProcessId.ToString(System.Globalization.CultureInfo.InvariantCulture));
        var lifetime = host.Services.GetRequiredService<IHostApplicationLifetime>();
        // A test that was killed leaves no worker behind.
        _ = Task.Run(() =>
        {
            Console.In.ReadToEnd();
            lifetime.StopApplication();
        });
        await host.WaitForShutdownAsync();
        return 0;
    }

    // One write a line: a kill leaves a whole line, or one without its end, which nobody counts.
    private static async Task AppendAsync(string file, Delivered delivered)
    {
        await OneAtATime.WaitAsync();
        try
        {
            await File.AppendAllBytesAsync(file, JsonSerializer.SerializeToUtf8Bytes(delivered).Append((byte)'\n').ToArray());
        }
        finally
        {
            OneAtATime.Release();
        }
    }
}

/// <summary>Something that a worker process handed to its handlers.</summary>
/// <param name="ThreadId">The thread.</param>
/// <param name="BatchId">The batch.</param>
/// <param name="Kind"><c>reply</c>, or the kind of failure.</param>
/// <param name="Text">The reply's text, or the failure's error.</param>
/// <param name="Attempt">Which attempt gave the reply, or how many failed.</param>
/// <param name="MessageIds">The messages.</param>
/// <param name="At">When, on the machine's monotonic clock, which all processes share.</param>
public sealed record Delivered(string ThreadId, string BatchId, string Kind, string Text, int Attempt, IReadOnlyList<string> MessageIds, long At);
