using System.Runtime.CompilerServices;
using AssistantQueue.Store;
using AssistantQueue.TestHost;
using AssistantQueue.Tests.ChatClient;
using AssistantQueue.Tests.Worker;
using Microsoft.Agents.AI;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;
using Microsoft.Extensions.Options;

namespace AssistantQueue.Tests.Agents;

/// <summary><c>.UseAgent()</c> in a real host: sessions in Redis, the agent's own tools, what is told and what stops the start.</summary>
public sealed class UseAgentTests : IAsyncLifetime
{
    private readonly string _prefix = "agent-" + Guid.NewGuid().ToString("N")[..8];
    private readonly FakeLogCollector _log = new();
    private readonly TestChatClient _client = new();
    private readonly Dictionary<string, string?> _settings = [];
    private IHost? _host;

    [Fact]
    public async Task Batches_OneAfterAnother_GoOnWithTheSessionAlsoAfterARestart()
    {
        await StartAsync(queue => queue.UseAgent(new TestAgent(_client)));
        await AskAsync("one");
        await AskAsync("two");
        await StartAsync(queue => queue.UseAgent(new TestAgent(_client)));

        var reply = await AskAsync("three");

        Assert.Equal(["user: one", "assistant: one", "user: two", "assistant: two", "user: three"], _client.Requests.Last().Lines);
        Assert.Equal(("three", "test-model", "resp_3", 11), (reply.Text, reply.Model, reply.RunId, reply.Usage!.TotalTokenCount));
    }

    [Fact]
    public async Task Agent_OfDI_KeyedByTheQueuesNameFirst()
    {
        var other = new TestChatClient();
        await StartAsync(queue => queue.UseAgent(), "support", services =>
        {
            services.AddSingleton<AIAgent>(new TestAgent(other));
            services.AddKeyedSingleton<AIAgent>("support", new TestAgent(_client));
        });

        await AskAsync("hi", "support");

        Assert.Equal((1, 0), (_client.Requests.Count, other.Requests.Count));
    }

    [Fact]
    public async Task Tools_OfTheAgent_AreTold()
    {
        _client.Answer = (request, _) => Task.FromResult(request.HasResults ? TestChatClient.Say("Sunny in Rome.") : TestChatClient.Ask(("a", "weather", """{"city":"Rome"}"""), ("b", "broken", "{}")));
        await StartAsync(queue => queue.UseAgent(new TestAgent(
            _client, AIFunctionFactory.Create((string city) => "sunny in " + city, "weather"), AIFunctionFactory.Create(string () => throw new InvalidOperationException(), "broken"))));
        using var limit = new CancellationTokenSource(TestTimes.Patience);
        var told = new List<string>();
        AssistantReply? reply = null;
        // The agent makes no pauses: it begins when the watcher is there, with a message that doesn't wait for more.
        var hi = await Queue().EnqueueAsync(new AssistantMessage { ThreadId = "c1", Text = "hi", Delay = TimeSpan.FromHours(1) }, limit.Token);
        await foreach (var update in Queue().WatchThreadAsync("c1", "0", limit.Token))
        {
            switch (update)
            {
                case MessagesStored stored when stored.LastSequence == hi.Sequence:
                    await Queue().EnqueueAsync(new AssistantMessage { ThreadId = "c1", Text = "weather?", Flush = true }, limit.Token);
                    break;
                case ToolCalled called:
                    told.Add($"called {called.CallId} {called.Name} {called.Arguments}");
                    break;
                case ToolAnswered answered:
                    told.Add($"answered {answered.CallId} {answered.Name} {answered.IsError}");
                    break;
                case BatchReplied replied:
                    reply = replied.Reply;
                    break;
            }

            if (reply is not null)
            {
                break;
            }
        }

        Assert.Equal("Sunny in Rome.", reply!.Text);
        Assert.Equal(["""called a weather {"city":"Rome"}""", "called b broken {}", "answered a weather False", "answered b broken True"], told);
    }

    [Fact]
    public async Task Stream_WordByWord_ReachesWatchersAsItIsWritten()
    {
        var goOn = new TaskCompletionSource();
        _client.Answer = (_, _) => Task.FromResult(TestChatClient.Say("It is late."));
        await StartAsync(queue => queue.UseAgent(new TestAgent(new HaltingChatClient(_client, goOn.Task))));
        using var limit = new CancellationTokenSource(TestTimes.Patience);
        var texts = new List<string>();
        var watching = Task.Run(async () =>
        {
            await foreach (var update in Queue().WatchThreadAsync("c1", cancellationToken: limit.Token))
            {
                if (update is TextDelta delta)
                {
                    texts.Add(delta.Text);
                    // The model goes on only when its first words were seen.
                    goOn.TrySetResult();
                }
                else if (update is BatchReplied)
                {
                    return;
                }
            }
        });

        await AskAsync("hi");
        await watching;

        Assert.Equal("It is late.", string.Concat(texts));
        Assert.True(texts.Count > 1);
    }

    [Fact]
    public async Task Stream_ThatEndsEarly_IsTriedAgain()
    {
        var isCut = false;
        await StartAsync(queue => queue.UseAgent(new TestAgent(new Cutting(_client, () => isCut))));
        await AskAsync("one");
        _client.Answer = (request, _) =>
        {
            isCut = !isCut;
            return Task.FromResult(TestChatClient.Say(request.LastUserTexts));
        };

        var reply = await AskAsync("two words");

        Assert.Equal(("two words", 2), (reply.Text, reply.Attempt));
    }

    [Fact]
    public async Task Contents_ThatNoUserSays_AreRefusedAtEnqueue()
    {
        await StartAsync(queue => queue.UseAgent(new TestAgent(_client)));

        var e = await Assert.ThrowsAsync<ArgumentException>(() => Queue().EnqueueAsync(new AssistantMessage { ThreadId = "c1", Contents = [new FunctionResultContent("c1", "paid")] }));

        Assert.Contains("FunctionResultContent", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Attempt_ThatFails_LeavesTheSessionAsItWas()
    {
        _client.Answer = (request, _) => _client.Requests.Count == 2 ? throw new HttpRequestException("cut") : Task.FromResult(TestChatClient.Say(request.LastUserTexts));
        await StartAsync(queue => queue.UseAgent(new TestAgent(_client)));
        await AskAsync("one");

        var reply = await AskAsync("two");

        Assert.Equal(2, reply.Attempt);
        Assert.Equal(["user: one", "assistant: one", "user: two"], _client.Requests.Last().Lines);
    }

    [Fact]
    public async Task Instructions_OfTheBatch_ComeFirst()
    {
        _settings["AssistantQueue:DefaultInstructions"] = "Be brief.";
        await StartAsync(queue => queue.UseAgent(new TestAgent(_client)));

        await AskAsync("hi");

        Assert.Equal(["system: Be brief.", "user: hi"], Assert.Single(_client.Requests).Lines);
    }

    [Fact]
    public async Task Session_ThatHasGrownTooLong_IsNotKeptAndSaid()
    {
        _settings["AssistantQueue:Agent:MaxSessionCharacters"] = "1000";
        await StartAsync(queue => queue.UseAgent(new TestAgent(_client)));
        await AskAsync("one");
        var reply = await AskAsync(new string('x', 1_000));

        await AskAsync("three");

        Assert.Equal(1_000, reply.Text.Length);
        Assert.Equal(["user: three"], _client.Requests.Last().Lines);
        Assert.Single(_log.GetSnapshot(), r => r.Id.Id == 6101);
    }

    [Theory]
    [InlineData("StartNew")]
    [InlineData("Fail")]
    public async Task Session_ThatTheAgentCanNotRead_FollowsWhenConversationGone(string then)
    {
        _settings["AssistantQueue:WhenConversationGone"] = then;
        var agent = new TestAgent(_client);
        await StartAsync(queue => queue.UseAgent(agent));
        await AskAsync("one");
        agent.OnRead = _ => throw new System.Text.Json.JsonException("of another version");

        if (then == "Fail")
        {
            var failed = await Assert.ThrowsAsync<BatchFailedException>(() => AskAsync("two"));
            Assert.Equal("session_unreadable", Assert.Single(failed.Failure.Attempts).Code);
        }
        else
        {
            await AskAsync("two");
            Assert.Equal(["user: two"], _client.Requests.Last().Lines);
            Assert.Single(_log.GetSnapshot(), r => r.Id.Id == 6100);
        }
    }

    [Fact]
    public async Task Tools_ThatNobodyAnswers_FailTheBatch()
    {
        _client.Answer = (_, _) => Task.FromResult(TestChatClient.Ask(("a", "declared", "{}")));
        await StartAsync(queue => queue.UseAgent(new TestAgent(_client, AIFunctionFactory.Create(() => 1, "declared").AsDeclarationOnly())));

        var failed = await Assert.ThrowsAsync<BatchFailedException>(() => AskAsync("go"));

        Assert.Equal("tools_unanswered", Assert.Single(failed.Failure.Attempts).Code);
    }

    [Fact]
    public async Task Owner_DiesDuringTheRun_NextOneBeginsAgainFromTheLastSession()
    {
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        IAssistantBackend Backend() => new AssistantQueue.Agents.AgentBackend(() => new TestAgent(_client), () => new AgentOptions(), () => rig.Options, TimeProvider.System, rig.Log);
        var dying = rig.Connect();
        await rig.StartWorkerAsync(store: dying, backend: Backend());
        await rig.AddAsync("c1", "one");
        await rig.Handler.NextReplyAsync();
        var isHanging = new TaskCompletionSource();
        _client.Answer = async (request, token) =>
        {
            if (isHanging.TrySetResult())
            {
                await Task.Delay(Timeout.Infinite, token);
            }

            return TestChatClient.Say(request.LastUserTexts);
        };
        await rig.AddAsync("c1", "two");
        await isHanging.Task.WaitAsync(TestTimes.Patience);
        dying.Before = _ => TroubledStore.Unavailable();
        await rig.EndLeasesAsync();
        await rig.StartWorkerAsync(backend: Backend());

        Assert.Equal("two", (await rig.Handler.NextReplyAsync()).Text);
        Assert.Equal(["user: one", "assistant: one", "user: two"], _client.Requests.Last().Lines);
        Assert.Equal(3, _client.Requests.Count);
        dying.Before = _ => { };
    }

    [Fact]
    public async Task Start_AddTool_IsAnErrorThatSaysWhatToDo()
    {
        var told = await FaultsOf(queue => queue.UseAgent(new TestAgent(_client)).AddTool(AIFunctionFactory.Create(() => 1, "tool")));

        Assert.StartsWith("The queue has tools registered with .AddTool(), but an agent calls only tools of its own", Assert.Single(told), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_NoAgentOrBadSettings_NamesEach()
    {
        _settings["AssistantQueue:Agent:MaxSessionCharacters"] = "much";
        var told = await FaultsOf(queue => queue.UseAgent(o => o.MaxSessionCharacters = 5));

        Assert.Equal(3, told.Count);
        Assert.Contains("AssistantQueue:Agent:MaxSessionCharacters is 'much'; it must be a whole number", told);
        Assert.Contains("AssistantQueue:Agent:MaxSessionCharacters is 5; it must be 1,000 to 10,485,760", told);
        Assert.Contains(told, f => f.StartsWith("The queue uses an agent, but there is no AIAgent in DI", StringComparison.Ordinal));
    }

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        if (_host is not null)
        {
            await _host.StopAsync();
            _host.Dispose();
        }
    }

    private IAssistantMessageQueue Queue(string name = "") => _host!.Services.GetRequiredKeyedService<IAssistantMessageQueue>(name);

    private Task<AssistantReply> AskAsync(string text, string name = "") => Queue(name).AskAsync("c1", text).WaitAsync(TestTimes.Patience);

    private async Task StartAsync(Action<IAssistantQueueBuilder> use, string name = "", Action<IServiceCollection>? add = null)
    {
        await DisposeAsync();
        _host = Build(use, name, add, await TestRedis.ConnectionStringAsync());
        await _host.StartAsync();
    }

    private async Task<IReadOnlyList<string>> FaultsOf(Action<IAssistantQueueBuilder> use)
    {
        using var host = Build(use, "", null, "127.0.0.1:1");
        return [.. (await Assert.ThrowsAsync<OptionsValidationException>(() => host.StartAsync())).Failures];
    }

    private IHost Build(Action<IAssistantQueueBuilder> use, string name, Action<IServiceCollection>? add, string redis)
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        var section = name.Length == 0 ? "AssistantQueue" : "AssistantQueue:Queues:" + name;
        _settings[section + ":RedisConnectionString"] = redis;
        _settings[section + ":QueuePrefix"] = _prefix;
        _settings[section + ":MessageDelay"] = "00:00:00";
        _settings[section + ":Backoff:Delay"] = "00:00:00.05";
        builder.Configuration.AddInMemoryCollection(_settings);
        builder.Services.AddSingleton<ILoggerProvider>(new FakeLoggerProvider(_log));
        add?.Invoke(builder.Services);
        use(name.Length == 0 ? builder.Services.AddAssistantMessageQueue() : builder.Services.AddAssistantMessageQueue(name));
        return builder.Build();
    }

    /// <summary>Ends a stream after its first word when a test says so.</summary>
    private sealed class Cutting(IChatClient inner, Func<bool> isCut) : DelegatingChatClient(inner)
    {
        public override async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
            IEnumerable<ChatMessage> messages, ChatOptions? options = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
        {
            await foreach (var update in base.GetStreamingResponseAsync(messages, options, cancellationToken))
            {
                yield return update;
                if (isCut())
                {
                    yield break;
                }
            }
        }
    }
}
