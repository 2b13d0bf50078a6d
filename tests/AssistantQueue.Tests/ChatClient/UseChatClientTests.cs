using AssistantQueue.Tests.Worker;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;
using Microsoft.Extensions.Options;

namespace AssistantQueue.Tests.ChatClient;

/// <summary><c>.UseChatClient()</c> in a real host: which client it takes, its settings, what stops the start.</summary>
public class UseChatClientTests
{
    private static readonly TestChatClient Client = new();

    [Fact]
    public async Task Client_WithoutAKey_AnswersTheUnnamedQueue()
    {
        var client = new TestChatClient();

        var reply = await AskAsync("", services =>
        {
            services.AddSingleton<IChatClient>(client);
            services.AddAssistantMessageQueue().UseChatClient();
        });

        Assert.Equal("hi", reply.Text);
        Assert.Single(client.Requests);
    }

    [Fact]
    public async Task Client_KeyedByTheQueuesName_IsTakenBeforeTheOneWithout()
    {
        var (own, other) = (new TestChatClient(), new TestChatClient());

        await AskAsync("support", services =>
        {
            services.AddSingleton<IChatClient>(other);
            services.AddKeyedSingleton<IChatClient>("support", own);
            services.AddAssistantMessageQueue("support").UseChatClient();
        });

        Assert.Equal((1, 0), (own.Requests.Count, other.Requests.Count));
    }

    [Fact]
    public async Task Client_GivenOrMade_NeedsNoService()
    {
        var (given, made) = (new TestChatClient(), new TestChatClient());

        await AskAsync("", services => services.AddAssistantMessageQueue().UseChatClient(given));
        await AskAsync("", services => services.AddAssistantMessageQueue().UseChatClient(_ => made));

        Assert.Equal((1, 1), (given.Requests.Count, made.Requests.Count));
    }

    [Fact]
    public async Task Client_ThatCanNotBeMadeYet_PausesTheBackendAndFailsNothing()
    {
        var client = new TestChatClient();
        var tries = 0;

        var reply = await AskAsync("", services => services.AddAssistantMessageQueue().UseChatClient(_ => ++tries < 2 ? throw new InvalidOperationException("no key yet") : client));

        Assert.Equal(("hi", 1, 2), (reply.Text, reply.Attempt, tries));
    }

    [Fact]
    public async Task Settings_OfTheSectionAndOfCode_ReachTheModel()
    {
        var client = new TestChatClient { Model = null };

        var reply = await AskAsync(
            "",
            services => services.AddAssistantMessageQueue().UseChatClient(client, o => o.MaxHistoryMessages += 1),
            new() { ["AssistantQueue:ChatClient:Model"] = "local", ["AssistantQueue:ChatClient:MaxHistoryMessages"] = "7" },
            services => Assert.Equal(8, services.GetRequiredService<IOptionsMonitor<ChatClientOptions>>().Get("").MaxHistoryMessages));

        Assert.Equal("local", reply.Model);
    }

    [Fact]
    public async Task Setting_ThatIsNone_IsWarnedOf()
    {
        var log = new FakeLogCollector();

        await AskAsync(
            "",
            services =>
            {
                services.AddSingleton<ILoggerProvider>(new FakeLoggerProvider(log));
                services.AddAssistantMessageQueue().UseChatClient(Client);
            },
            new() { ["AssistantQueue:ChatClient:MaxHistory"] = "7" });

        Assert.Contains(log.GetSnapshot(), r => r.Message.Contains("AssistantQueue:ChatClient:MaxHistory is not a setting", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Start_BadSettings_NamesEachWithItsValue()
    {
        var told = await FaultsOf(
            services => services.AddAssistantMessageQueue().UseChatClient(Client, o => o.MaxHistoryCharacters = -1),
            new() { ["AssistantQueue:ChatClient:MaxHistoryMessages"] = "many" });

        Assert.Equal(
            ["AssistantQueue:ChatClient:MaxHistoryCharacters is -1; it must be 0 to 10,485,760", "AssistantQueue:ChatClient:MaxHistoryMessages is 'many'; it must be a whole number"],
            told.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Start_NoClientInDI_SaysWhatToRegister()
    {
        var told = Assert.Single(await FaultsOf(services => services.AddAssistantMessageQueue("support").UseChatClient()));

        Assert.StartsWith("Queue 'support' uses a chat client, but there is no IChatClient in DI", told, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_ProducerOnly_AsksForNoClient()
    {
        using var host = Build(services => services.AddAssistantMessageQueue().UseChatClient().ProducerOnly(), "127.0.0.1:1", []);

        await host.StartAsync();
        await host.StopAsync();
    }

    [Fact]
    public async Task Settings_ThatBecomeBad_LeaveTheLastGoodOnes()
    {
        var log = new FakeLogCollector();
        var client = new TestChatClient();
        var source = new Dictionary<string, string?> { ["AssistantQueue:ChatClient:MaxHistoryMessages"] = "2" };
        using var host = Build(
            services =>
            {
                services.AddSingleton<ILoggerProvider>(new FakeLoggerProvider(log));
                services.AddAssistantMessageQueue().UseChatClient(client);
            },
            await TestRedis.ConnectionStringAsync(),
            source);
        await host.StartAsync();
        var queue = host.Services.GetRequiredService<IAssistantMessageQueue>();
        await queue.AskAsync("c1", "one").WaitAsync(TestTimes.Patience);
        host.Services.GetRequiredService<IConfiguration>()["AssistantQueue:ChatClient:MaxHistoryMessages"] = "-5";
        ((IConfigurationRoot)host.Services.GetRequiredService<IConfiguration>()).Reload();

        await queue.AskAsync("c1", "two").WaitAsync(TestTimes.Patience);
        await host.StopAsync();

        Assert.Equal(["user: one", "assistant: one", "user: two"], client.Requests.Last().Lines);
        Assert.Contains(log.GetSnapshot(), r => r.Id.Id == 700 && r.Message.Contains("MaxHistoryMessages is -5", StringComparison.Ordinal));
    }

    private static async Task<AssistantReply> AskAsync(string queue, Action<IServiceCollection> register, Dictionary<string, string?>? settings = null, Action<IServiceProvider>? look = null)
    {
        using var host = Build(register, await TestRedis.ConnectionStringAsync(), settings ?? []);
        await host.StartAsync();
        look?.Invoke(host.Services);
        var reply = await host.Services.GetRequiredKeyedService<IAssistantMessageQueue>(queue).AskAsync("c1", "hi").WaitAsync(TestTimes.Patience);
        await host.StopAsync();
        return reply;
    }

    private static async Task<IReadOnlyList<string>> FaultsOf(Action<IServiceCollection> register, Dictionary<string, string?>? settings = null)
    {
        using var host = Build(register, "127.0.0.1:1", settings ?? []);
        var thrown = await Record.ExceptionAsync(() => host.StartAsync());
        return [.. Assert.IsType<OptionsValidationException>(thrown).Failures];
    }

    private static IHost Build(Action<IServiceCollection> register, string redis, Dictionary<string, string?> settings)
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        var prefix = "chat-" + Guid.NewGuid().ToString("N")[..8];
        foreach (var section in new[] { "AssistantQueue", "AssistantQueue:Queues:support" })
        {
            settings[$"{section}:RedisConnectionString"] = redis;
            settings[$"{section}:QueuePrefix"] = prefix;
            settings[$"{section}:MessageDelay"] = "00:00:00";
        }

        builder.Configuration.AddInMemoryCollection(settings);
        register(builder.Services);
        return builder.Build();
    }
}
