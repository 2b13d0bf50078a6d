using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using System.Threading.Channels;
using AssistantQueue.Emulators;
using AssistantQueue.TestHost;
using AssistantQueue.Tests.ChatClient;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace AssistantQueue.Tests.Readme;

/// <summary>The app that the README's snippets make up, run: its registration, its controller, its handler, a watcher, and a process that only produces.</summary>
public sealed class ReadmeAppTests : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly Sent _sent = new();
    private EmbeddedRedis _redis = null!;
    private OpenAIEmulator _emulator = null!;
    private WebApplication _app = null!;

    public async Task InitializeAsync()
    {
        _redis = await EmbeddedRedis.StartAsync();
        _emulator = await OpenAIEmulator.StartAsync();
        var builder = NewBuilder();
        Snippets.Register(builder);
        builder.Services.AddSingleton<IChannel>(_sent);
        builder.Services.AddControllers().AddApplicationPart(typeof(MessagesController).Assembly);
        _app = builder.Build();
        _app.MapControllers();
        await _app.StartAsync();
    }

    public async Task DisposeAsync()
    {
        await _app.StopAsync();
        await _app.DisposeAsync();
        await _emulator.DisposeAsync();
        await _redis.DisposeAsync();
    }

    [Fact]
    public async Task Controller_AWebhookDeliveredTwice_StoresOneMessageAndTheHandlerSendsTheReply()
    {
        var first = await PostAsync("alice", "hi", "wamid.1");
        var second = await PostAsync("alice", "hi", "wamid.1");

        Assert.Equal((false, true), (first.IsDuplicate, second.IsDuplicate));
        var (thread, text, key) = await _sent.NextAsync();
        Assert.Equal("alice", thread);
        Assert.Contains("hi", text, StringComparison.Ordinal);
        Assert.Equal(_emulator.Ledger.Snapshot().Runs.Single().BatchId, key);
    }

    [Fact]
    public async Task Tools_OfTheApp_AreCalledAndTheRefundWaitsForItsApproval()
    {
        var builder = NewBuilder();
        builder.Configuration["AssistantQueue:QueuePrefix"] = "tools";
        Snippets.Tools(builder);
        builder.Services.AddSingleton<Orders>();
        await using var app = builder.Build();
        await app.StartAsync();
        var queue = app.Services.GetRequiredService<IAssistantMessageQueue>();
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));

        var receipt = await queue.AddMessageToThreadAsync("carol", "/tool find_order {\"number\":\"4711\"}\n/tool refund {\"number\":\"4711\",\"euros\":5}");
        await foreach (var update in queue.WatchThreadAsync("carol", "0", limit.Token))
        {
            if (update is ApprovalRequested asked)
            {
                await app.Services.GetRequiredService<IAssistantQueueAdmin>().ApproveAsync("carol", Assert.Single(asked.Calls).CallId, limit.Token);
                break;
            }
        }

        var reply = await queue.WaitForReplyAsync(receipt, limit.Token);
        Assert.Contains("Order 4711 is on its way.", reply.Text, StringComparison.Ordinal);
        Assert.Contains("Refunded 5 for 4711, reference call_", reply.Text, StringComparison.Ordinal);
        await app.StopAsync(limit.Token);
    }

    [Fact]
    public async Task ChatClient_OfTheApp_AnswersAndItsToolIsCalled()
    {
        using var model = new TestChatClient
        {
            Answer = (request, _) => Task.FromResult(request.HasResults
                ? TestChatClient.Say(request.Lines[^1])
                : TestChatClient.Ask(("call_1", "FindOrder", """{"number":4711}"""))),
        };

        var reply = await AskAsync("chat", builder => Snippets.ChatClient(builder, model));

        Assert.Equal("tool: call_1 = 4711 is on its way.", reply.Text);
    }

    [Fact]
    public async Task Agent_OfTheApp_Answers()
    {
        using var model = new TestChatClient();

        var reply = await AskAsync("agent", builder => Snippets.Agent(builder, new TestAgent(model)));

        Assert.Equal("number 4711?", reply.Text);
    }

    [Fact]
    public async Task Handler_MessagesThatTheApiRefuses_SaysSorry()
    {
        await PostAsync("bob", "/refuse", "wamid.2");

        var (thread, text, _) = await _sent.NextAsync();
        Assert.Equal(("bob", "Sorry, that didn't work."), (thread, text));
    }

    [Fact]
    public async Task ProducerOnly_AnotherProcess_StoresWhatTheAppAnswers()
    {
        var builder = NewBuilder();
        Snippets.ProducerOnly(builder);
        await using var producer = builder.Build();
        await producer.StartAsync();

        var reply = await producer.Services.GetRequiredService<IAssistantMessageQueue>().AskAsync("carol", "who is there?").WaitAsync(Patience);

        Assert.Contains("who is there?", reply.Text, StringComparison.Ordinal);
        await producer.StopAsync();
    }

    [Fact]
    public async Task Watch_AConversation_PrintsWaitingRunAndReply()
    {
        using var printed = new PrintedLines();
        using var stop = new CancellationTokenSource();
        var queue = _app.Services.GetRequiredService<IAssistantMessageQueue>();
        await queue.AddMessageToThreadAsync("alice", "watched");

        var watching = Snippets.WatchAsync(queue, "0", stop.Token);

        await printed.HaveAsync("waiting: ");
        await printed.HaveAsync("run 1 of ");
        await printed.HaveAsync("“watched”");
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => watching);
    }

    private async Task<AssistantReply> AskAsync(string prefix, Action<WebApplicationBuilder> register)
    {
        var builder = NewBuilder();
        builder.Configuration["AssistantQueue:QueuePrefix"] = prefix;
        register(builder);
        await using var app = builder.Build();
        await app.StartAsync();
        var reply = await app.Services.GetRequiredService<IAssistantMessageQueue>().AskAsync("dave", "number 4711?").WaitAsync(Patience);
        await app.StopAsync();
        return reply;
    }

    private WebApplicationBuilder NewBuilder()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["AssistantQueue:RedisConnectionString"] = _redis.ConnectionString,
            ["AssistantQueue:MessageDelay"] = "00:00:00.2",
            ["AssistantQueue:OpenAI:ApiKey"] = "sk-test",
            ["AssistantQueue:OpenAI:Model"] = "gpt-5-mini",
            ["AssistantQueue:OpenAI:Endpoint"] = _emulator.BaseUrl.ToString(),
            ["AssistantQueue:OpenAI:PollInterval"] = "00:00:00.05",
        });
        return builder;
    }

    private async Task<MessageReceipt> PostAsync(string threadId, string text, string id)
    {
        using var client = new HttpClient { BaseAddress = new Uri(_app.Urls.Single()) };
        using var response = await client.PostAsJsonAsync($"/conversations/{threadId}/messages", new { text, id });
        response.EnsureSuccessStatusCode();
        return (await response.Content.ReadFromJsonAsync<MessageReceipt>(JsonSerializerOptions.Web))!;
    }

    /// <summary>The user's channel: what the handler has sent.</summary>
    private sealed class Sent : IChannel
    {
        private readonly Channel<(string Thread, string Text, string Key)> _sent = Channel.CreateUnbounded<(string, string, string)>();

        public Task SendAsync(string threadId, string text, string idempotencyKey, CancellationToken cancellationToken) =>
            _sent.Writer.WriteAsync((threadId, text, idempotencyKey), cancellationToken).AsTask();

        public async Task<(string Thread, string Text, string Key)> NextAsync() => await _sent.Reader.ReadAsync().AsTask().WaitAsync(Patience);
    }

    /// <summary>Hears what is printed, and lets it through.</summary>
    private sealed class PrintedLines : StringWriter
    {
        private readonly TextWriter _console = Console.Out;
        private readonly Channel<string> _lines = Channel.CreateUnbounded<string>();

        public PrintedLines() => Console.SetOut(this);

        public override Encoding Encoding => _console.Encoding;

        public override void WriteLine(string? value)
        {
            _console.WriteLine(value);
            _lines.Writer.TryWrite(value ?? "");
        }

        public async Task HaveAsync(string part)
        {
            using var limit = new CancellationTokenSource(Patience);
            while (!(await _lines.Reader.ReadAsync(limit.Token)).Contains(part, StringComparison.Ordinal))
            {
            }
        }

        protected override void Dispose(bool disposing)
        {
            Console.SetOut(_console);
            base.Dispose(disposing);
        }
    }
}
