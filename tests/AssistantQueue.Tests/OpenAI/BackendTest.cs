using AssistantQueue.Emulators;
using AssistantQueue.Tests.Emulators;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace AssistantQueue.Tests.OpenAIBackends;

/// <summary>A backend of <c>UseOpenAI()</c> against an emulator of its own, over real sockets. Each request must be as OpenAI publishes it, and each answer where no test breaks one.</summary>
public abstract class BackendTest : IAsyncLifetime
{
    private readonly List<SchemaCheckingHandler> _schemas = [];
    private readonly List<ServiceProvider> _hosts = [];

    internal OpenAIEmulator Emulator { get; private set; } = null!;

    internal HurriedTime Time { get; } = new();

    // A minute for each call, not one for all tests of the process.
    protected static CancellationToken Ct => new CancellationTokenSource(TimeSpan.FromSeconds(60)).Token;

    /// <summary>Gets or sets a value indicating whether answers of the backends made from now on must fit the schema: not where a test breaks them on purpose.</summary>
    protected bool AnswersFitSchema { get; set; } = true;

    internal LedgerSnapshot Ledger => Emulator.Ledger.Snapshot();

    public virtual async Task InitializeAsync() => Emulator = await OpenAIEmulator.StartAsync(new OpenAIEmulatorOptions { KeepBodies = true });

    public async Task DisposeAsync()
    {
        foreach (var host in _hosts)
        {
            await host.DisposeAsync();
        }

        var faults = Ledger.Requests.Where(r => r.Body is not null && r.Operation != "unknown").SelectMany(r => OpenAISchema.Request(r.Method, r.Path, r.Body!)).ToList();
        faults.AddRange(_schemas.SelectMany(s => s.Faults));
        await Emulator.DisposeAsync();
        Assert.True(faults.Count == 0, string.Join('\n', faults));
    }

    /// <summary>A backend in a process of its own, so to speak: nothing is shared with another one.</summary>
    internal IAssistantBackend NewBackend(Action<OpenAIOptions>? configure = null, Action<AssistantQueueOptions>? queue = null, Action<IServiceCollection>? services = null)
    {
        var collection = new ServiceCollection();
        collection.AddSingleton<TimeProvider>(Time);
        collection.AddSingleton<IConfiguration>(new ConfigurationBuilder().Build());
        if (AnswersFitSchema)
        {
            var schema = new SchemaCheckingHandler();
            _schemas.Add(schema);
            collection.AddKeyedSingleton("AssistantQueue", (_, _) => new HttpClient(schema) { Timeout = Timeout.InfiniteTimeSpan });
        }

        services?.Invoke(collection);
        collection
            .AddAssistantMessageQueue(options =>
            {
                options.RedisConnectionString = "127.0.0.1:1";
                queue?.Invoke(options);
            })
            .UseOpenAI(options =>
            {
                options.ApiKey = "sk-test";
                options.Endpoint = Emulator.BaseUrl;
                Configure(options);
                configure?.Invoke(options);
            });
        var host = collection.BuildServiceProvider();
        _hosts.Add(host);
        return host.GetRequiredKeyedService<IAssistantBackend>("");
    }

    protected abstract void Configure(OpenAIOptions options);

    /// <summary>Runs the batch to its reply, as the worker does, and stores what goes with it.</summary>
    internal static async Task<RunCompleted> CompleteAsync(IAssistantBackend backend, StoredBatch batch) => (await UpdatesAsync(backend, batch)).OfType<RunCompleted>().Single();

    internal static async Task<List<RunUpdate>> UpdatesAsync(IAssistantBackend backend, StoredBatch batch)
    {
        var run = batch.NextOwner();
        var updates = new List<RunUpdate>();
        await foreach (var update in backend.RunAsync(run, Ct))
        {
            updates.Add(update);
        }

        Assert.IsType<RunCompleted>(updates[^1]);
        batch.Complete(run);
        return updates;
    }

    /// <summary>Runs the batch until its attempt fails, and stores what goes with it.</summary>
    internal static async Task<AssistantBackendException> FailAsync(IAssistantBackend backend, StoredBatch batch)
    {
        var run = batch.NextOwner();
        var failure = await Assert.ThrowsAsync<AssistantBackendException>(async () =>
        {
            await foreach (var update in backend.RunAsync(run, Ct))
            {
                Assert.IsNotType<RunCompleted>(update);
            }
        });
        batch.Retry(run, failure);
        return failure;
    }

    /// <summary>Runs the batch until <paramref name="until"/>, then its owner goes away and leaves everything as it is, also when the run is over by then.</summary>
    internal static async Task LeaveAsync(IAssistantBackend backend, StoredBatch batch, Func<RunUpdate, bool> until)
    {
        await foreach (var update in backend.RunAsync(batch.NextOwner(), Ct))
        {
            if (until(update))
            {
                return;
            }
        }

        Assert.Fail("The run ended before its owner was to go.");
    }
}
