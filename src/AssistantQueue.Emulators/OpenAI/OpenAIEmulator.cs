using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace AssistantQueue.Emulators;

/// <summary>A strict server with the wire protocol of OpenAI's Assistants, Responses and Conversations APIs, in this process. Thread-safe.</summary>
/// <remarks>
/// The model echoes what it was sent. <see cref="Faults"/> breaks things on demand, <see cref="Ledger"/> knows everything that arrived.
/// Another process reaches both under <c>/__emulator</c> (see <see cref="OpenAIEmulatorControl"/>).
/// </remarks>
public sealed class OpenAIEmulator : IAsyncDisposable, IDisposable
{
    private readonly WebApplication server;
    private readonly EmulatorCore core;
    private readonly Uri root;
    private int disposed;

    private OpenAIEmulator(WebApplication server, EmulatorCore core)
    {
        this.server = server;
        this.core = core;
        root = new Uri(server.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single()
            .Replace("0.0.0.0", "127.0.0.1", StringComparison.Ordinal));
        BaseUrl = new Uri(root, "/v1");
        AzureBaseUrl = new Uri(root, "/openai/v1");
        ControlUrl = new Uri(root, "/__emulator");
    }

    /// <summary>Gets the endpoint in OpenAI's shape, for example <c>http://127.0.0.1:41234/v1</c>.</summary>
    public Uri BaseUrl { get; }

    /// <summary>Gets the endpoint in Azure's shape: <c>…/openai/v1</c>, where the <c>api-key</c> header is accepted too.</summary>
    public Uri AzureBaseUrl { get; }

    /// <summary>Gets where another process steers the emulator.</summary>
    public Uri ControlUrl { get; }

    /// <summary>Gets the options, which may be changed while it runs.</summary>
    public OpenAIEmulatorOptions Options => core.Options;

    /// <summary>Gets the faults that wait for their requests.</summary>
    public OpenAIFaults Faults => core.Faults;

    /// <summary>Gets the memory of everything that was sent.</summary>
    public OpenAILedger Ledger => core.Ledger;

    /// <summary>Starts an emulator and goes on with what an earlier one on the same data directory left under way.</summary>
    /// <param name="options">How it is; null for the defaults.</param>
    /// <param name="timeProvider">The clock and its timers; null for the system's.</param>
    /// <param name="loggerFactory">Where it logs; null for nowhere.</param>
    /// <param name="cancellationToken">Ends the start.</param>
    /// <returns>The running emulator.</returns>
    /// <exception cref="IOException">The port is taken, or another emulator holds the data directory.</exception>
    public static async Task<OpenAIEmulator> StartAsync(OpenAIEmulatorOptions? options = null, TimeProvider? timeProvider = null, ILoggerFactory? loggerFactory = null, CancellationToken cancellationToken = default)
    {
        options ??= new OpenAIEmulatorOptions();
        var logger = (loggerFactory ?? NullLoggerFactory.Instance).CreateLogger("AssistantQueue.Emulators.OpenAI");
        var core = new EmulatorCore(options, timeProvider ?? TimeProvider.System, logger);
        WebApplication? server = null;
        try
        {
            var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
            builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
            {
                kestrel.AddServerHeader = false;
                kestrel.Limits.MaxRequestBodySize = 512L << 20;
                kestrel.Listen(IPAddress.Parse(options.Address), options.Port);
            });
            server = builder.Build();
            var pipeline = new RequestPipeline(core);
            server.Run(pipeline.HandleAsync);
            await server.StartAsync(cancellationToken).ConfigureAwait(false);
            pipeline.GoOn();
            var emulator = new OpenAIEmulator(server, core);
            Log.EmulatorListens(logger, emulator.BaseUrl.ToString());
            return emulator;
        }
        catch
        {
            await core.DisposeAsync().ConfigureAwait(false);
            if (server is not null)
            {
                await server.DisposeAsync().ConfigureAwait(false);
            }

            throw;
        }
    }

    /// <summary>Ends a run as <c>expired</c> now, as if its ten minutes were over.</summary>
    /// <param name="runId">The run.</param>
    /// <returns>False when there is no such run or it has ended.</returns>
    public bool Expire(string runId) => RunWork.Expire(core, runId);

    /// <summary>Stops the server as <see cref="DisposeAsync"/> does, and waits for it.</summary>
    public void Dispose() => Task.Run(() => DisposeAsync().AsTask()).GetAwaiter().GetResult();

    /// <summary>Stops the server. What is under way stays in the data directory for the next start.</summary>
    /// <returns>A task that ends when port and files are free.</returns>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref disposed, 1) != 0)
        {
            return;
        }

        // hanging and streaming requests would hold the server up: they end with the work
        using var now = new CancellationTokenSource(TimeSpan.FromMilliseconds(100));
        var ended = core.DisposeAsync().AsTask();
        await server.StopAsync(now.Token).ConfigureAwait(false);
        await server.DisposeAsync().ConfigureAwait(false);
        await ended.ConfigureAwait(false);
    }
}
