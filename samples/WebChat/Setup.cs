using AssistantQueue;
using AssistantQueue.Emulators;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.Options;

namespace WebChat;

/// <summary>What this program stands on, decided from the configuration: a Redis or the embedded one, a model API or its emulator, a worker or none.</summary>
public sealed class Setup
{
    private const string DefaultUrl = "http://localhost:5080";

    private readonly string? _redis;
    private readonly string? _model;

    public Setup(IConfiguration configuration)
    {
        var queue = configuration.GetSection(AssistantQueueOptions.SectionName);
        var openAI = queue.GetSection("OpenAI");
        _redis = First(queue["RedisConnectionString"], configuration.GetConnectionString("redis"));
        _model = First(openAI["AzureEndpoint"], openAI["Endpoint"]) ?? (First(openAI["ApiKey"], configuration["OPENAI_API_KEY"]) is null ? null : "api.openai.com");
        // What is neither true nor false stops the queue at its start, together with all else that is wrong.
        RunsWorker = !bool.TryParse(queue["RunWorker"], out var runs) || runs;
    }

    public bool UsesEmbeddedRedis => _redis is null;

    public bool UsesEmulator => RunsWorker && _model is null;

    public bool RunsWorker { get; }

    /// <summary>Where Redis is, for people; no credentials.</summary>
    public string Redis => _redis is null ? "embedded, in this program" : RedisAddress.Of(_redis);

    /// <summary>Who answers, for people; no credentials.</summary>
    public string Model => !RunsWorker ? "chosen by the worker" : _model is null ? "emulator, echoes what it gets" : Uri.TryCreate(_model, UriKind.Absolute, out var uri) ? uri.Authority : _model;

    public string Worker => RunsWorker ? "in this program" : "none here, see WorkerHost";

    /// <summary>Listens on a fixed port unless something says otherwise.</summary>
    public static void UseDefaultUrl(WebApplicationBuilder builder)
    {
        string[] settings = [WebHostDefaults.ServerUrlsKey, WebHostDefaults.HttpPortsKey, WebHostDefaults.HttpsPortsKey];
        if (settings.All(s => string.IsNullOrEmpty(builder.Configuration[s])) && !builder.Configuration.GetSection("Kestrel:Endpoints").Exists())
        {
            builder.WebHost.UseUrls(DefaultUrl);
        }
    }

    /// <summary>Says plainly, once the program listens, what it uses and which address to open.</summary>
    public void Announce(IServiceProvider services)
    {
        var queue = services.GetRequiredService<IOptionsMonitor<AssistantQueueOptions>>().CurrentValue;
        var data = UsesEmbeddedRedis ? services.GetRequiredService<IOptions<EmbeddedRedisOptions>>().Value.DataDirectory ?? "memory only" : null;
        var addresses = services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses;

        var lines = new List<string> { "", "  WebChat is ready. Open " + string.Join(" or ", addresses.Select(Openable)), "" };
        lines.Add(UsesEmbeddedRedis
            ? $"  Redis    embedded in this program on 127.0.0.1:{services.GetRequiredService<EmbeddedRedis>().Port}, data in {data}; AssistantQueue:RedisConnectionString names another"
            : $"  Redis    {Redis}");
        lines.Add(!RunsWorker ? "  Model    chosen by the worker"
            : UsesEmulator ? $"  Model    the OpenAI emulator in this program ({services.GetRequiredService<OpenAIEmulator>().BaseUrl}); AssistantQueue:OpenAI:ApiKey talks to OpenAI"
            : $"  Model    {Model}");
        lines.Add(RunsWorker
            ? $"  Worker   in this program, {queue.Concurrency} runs at a time; messages within {queue.MessageDelay.TotalSeconds:0.###} s become one run"
            : "  Worker   none in this program (AssistantQueue:RunWorker is false): start samples/WorkerHost on the same Redis");
        lines.Add("");
        Console.WriteLine(string.Join(Environment.NewLine, lines));
    }

    private static string Openable(string address) => address
        .Replace("//[::]", "//localhost", StringComparison.Ordinal)
        .Replace("//0.0.0.0", "//localhost", StringComparison.Ordinal)
        .Replace("//+", "//localhost", StringComparison.Ordinal)
        .Replace("//*", "//localhost", StringComparison.Ordinal);

    private static string? First(params string?[] values) => Array.Find(values, v => !string.IsNullOrWhiteSpace(v));
}
