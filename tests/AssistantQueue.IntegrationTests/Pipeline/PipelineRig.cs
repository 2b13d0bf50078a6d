using System.Text.Json;
using AssistantQueue.Emulators;
using AssistantQueue.IntegrationTests.Redis;
using AssistantQueue.TestHost;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace AssistantQueue.IntegrationTests.Pipeline;

/// <summary>A whole queue as it is in production: a Redis, the emulator and each worker a process of its own, and a producer in the test's process.</summary>
internal sealed class PipelineRig : IAsyncDisposable
{
    private const string Replies = "replies-*.jsonl";

    private readonly string _folder = Directory.CreateTempSubdirectory("pipeline").FullName;
    private readonly Dictionary<string, string?> _settings = [];
    private readonly List<TestHostProcess> _workers = [];
    private TestHostProcess? _emulator;
    private IHost? _producer;

    private PipelineRig(string redis)
    {
        _settings["AssistantQueue:RedisConnectionString"] = redis;
        _settings["AssistantQueue:QueuePrefix"] = Prefix;
    }

    public string Prefix { get; } = TestRedis.NewPrefix();

    public OpenAIEmulatorControl Emulator { get; private set; } = null!;

    public IAssistantMessageQueue Queue { get; private set; } = null!;

    public IServiceProvider Producer => _producer!.Services;

    public IReadOnlyList<TestHostProcess> Workers => _workers;

    /// <summary>What the workers' handlers were given, in the order of time.</summary>
    public IReadOnlyList<Delivered> Delivered =>
        [.. Directory.GetFiles(_folder, Replies).SelectMany(ReadLines).Select(line => JsonSerializer.Deserialize<Delivered>(line)!).OrderBy(d => d.At)];

    /// <summary>Gets the folder of the workers' files: what was delivered, which tools were called.</summary>
    public string Folder => _folder;

    /// <summary>The tool calls that the workers made; each process' in the order of time.</summary>
    public IReadOnlyList<MadeCall> Calls =>
        [.. Directory.GetFiles(_folder, "calls-*.jsonl").SelectMany(ReadLines).Select(line => JsonSerializer.Deserialize<MadeCall>(line)!)];

    /// <summary>Starts emulator and producer; workers are started by the test.</summary>
    /// <param name="redis">The Redis' connection string.</param>
    /// <param name="settings">Settings of the queue, by their names below <c>AssistantQueue</c>.</param>
    /// <param name="emulator">Arguments of the emulator.</param>
    public static async Task<PipelineRig> StartAsync(string redis, IReadOnlyDictionary<string, string> settings, params string[] emulator)
    {
        var rig = new PipelineRig(redis);
        try
        {
            rig._emulator = await TestHostProcess.StartAsync(["emulator", "--data", Path.Combine(rig._folder, "openai"), .. emulator]);
            rig.Emulator = new OpenAIEmulatorControl(new Uri(rig._emulator.Ready));
            rig._settings["AssistantQueue:OpenAI:Endpoint"] = rig._emulator.Ready;
            rig._settings["AssistantQueue:OpenAI:ApiKey"] = "sk-test";
            foreach (var (name, value) in settings)
            {
                rig._settings["AssistantQueue:" + name] = value;
            }

            var builder = Host.CreateApplicationBuilder();
            builder.Configuration.AddInMemoryCollection(rig._settings);
            // Only for what its API can't take, which is refused before it is stored.
            builder.Services.AddAssistantMessageQueue().UseOpenAI().ProducerOnly();
            rig._producer = builder.Build();
            await rig._producer.StartAsync();
            rig.Queue = rig._producer.Services.GetRequiredService<IAssistantMessageQueue>();
            return rig;
        }
        catch
        {
            await rig.DisposeAsync();
            throw;
        }
    }

    /// <summary>Waits until the workers' handlers were given what the test wants, looking after each line that is written.</summary>
    public Task<IReadOnlyList<Delivered>> WaitForDeliveredAsync(Func<IReadOnlyList<Delivered>, bool> isEnough, CancellationToken cancellationToken) =>
        WaitAsync(Replies, () => Delivered, isEnough, cancellationToken);

    /// <summary>Waits until the workers have made the calls that the test wants.</summary>
    public Task<IReadOnlyList<MadeCall>> WaitForCallsAsync(Func<IReadOnlyList<MadeCall>, bool> isEnough, CancellationToken cancellationToken) =>
        WaitAsync("calls-*.jsonl", () => Calls, isEnough, cancellationToken);

    /// <summary>Waits until a thread has had so many owners: each tells that it begins.</summary>
    public async Task WaitForOwnersAsync(string thread, int count, CancellationToken cancellationToken)
    {
        var begun = 0;
        await foreach (var update in Queue.WatchThreadAsync(thread, "0", cancellationToken))
        {
            if (update is BatchStarted && ++begun == count)
            {
                return;
            }
        }
    }

    /// <summary>Starts a worker process, with further arguments of its verb.</summary>
    public async Task<TestHostProcess> StartWorkerAsync(params string[] arguments)
    {
        var worker = await TestHostProcess.StartAsync(
            ["worker", "--replies", _folder, .. arguments, .. _settings.SelectMany(s => new[] { "--" + s.Key, s.Value ?? "" })]);
        _workers.Add(worker);
        return worker;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var worker in _workers)
        {
            await worker.DisposeAsync();
        }

        if (_producer is not null)
        {
            await _producer.StopAsync();
            _producer.Dispose();
        }

        Emulator?.Dispose();
        if (_emulator is not null)
        {
            await _emulator.DisposeAsync();
        }

        Directory.Delete(_folder, recursive: true);
    }

    private async Task<T> WaitAsync<T>(string files, Func<T> look, Func<T, bool> isEnough, CancellationToken cancellationToken)
    {
        using var written = new SemaphoreSlim(0);
        using var watcher = new FileSystemWatcher(_folder, files) { EnableRaisingEvents = true };
        watcher.Changed += (_, _) => written.Release();
        watcher.Created += (_, _) => written.Release();
        while (true)
        {
            if (look() is var found && isEnough(found))
            {
                return found;
            }

            await written.WaitAsync(cancellationToken);
        }
    }

    // The workers may be writing; a line without its end is not there yet.
    private static string[] ReadLines(string path)
    {
        using var reader = new StreamReader(new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite));
        var text = reader.ReadToEnd();
        return text[..(text.LastIndexOf('\n') + 1)].Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }
}
