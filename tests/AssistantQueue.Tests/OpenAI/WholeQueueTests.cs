using AssistantQueue.Emulators;
using AssistantQueue.Store;
using AssistantQueue.Tests.Enqueue;
using AssistantQueue.Tests.Worker;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace AssistantQueue.Tests.OpenAIBackends;

/// <summary>Tools, approvals, interrupting and joining with everything in its place: queue, Redis, worker, backend, wire.</summary>
public sealed class WholeQueueTests(SharedRedis shared) : BackendTest, IClassFixture<SharedRedis>
{
    // the worker has been told that a message wants to join or to interrupt
    private readonly TaskCompletionSource _wished = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public static TheoryData<OpenAIApi, bool> Ways { get; } = new()
    {
        { OpenAIApi.Responses, false },
        { OpenAIApi.Responses, true },
        { OpenAIApi.Assistants, false },
        { OpenAIApi.Assistants, true },
    };

    protected override void Configure(OpenAIOptions options) => options.Model = "gpt-test";

    [Theory, MemberData(nameof(Ways))]
    public async Task Tool_ThatNeedsApproval_IsCalledOnceAfterIt(OpenAIApi api, bool stream)
    {
        var tools = new TestTools().Add("look").AddWithApproval("pay");
        using var host = await StartAsync(api, stream, tools);
        var queue = host.Services.GetRequiredService<IAssistantMessageQueue>();

        var receipt = await queue.AddMessageToThreadAsync("t", "/tool look {}\n/tool pay {\"what\":\"100\"}", cancellationToken: Ct);
        var asked = await FirstAsync<ApprovalRequested>(queue, "t");
        await host.Services.GetRequiredService<IAssistantQueueAdmin>().ApproveAsync("t", Assert.Single(asked.Calls).CallId, Ct);
        var reply = await queue.WaitForReplyAsync(receipt, Ct);

        Assert.Contains("look returned “look”", reply.Text);
        Assert.Contains("pay returned “pay 100”", reply.Text);
        Assert.Equal((1, 1), (tools.TimesCalled("look"), tools.TimesCalled("pay")));
        Assert.Equal(1, Ledger.TimesPosted("/tool look {}\n/tool pay {\"what\":\"100\"}"));
        await host.StopAsync(Ct);
    }

    [Fact]
    public async Task Retry_OfABatchThatFailedAfterItsTools_HandsTheSameOutputsInAgain()
    {
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.RunFails, Skip = 1, Count = 1 });
        var tools = new TestTools().Add("look");
        using var host = await StartAsync(OpenAIApi.Responses, stream: false, tools, o => o.MaxAttempts = 1);
        var queue = host.Services.GetRequiredService<IAssistantMessageQueue>();
        var receipt = await queue.AddMessageToThreadAsync("t", "/tool look {}", cancellationToken: Ct);
        var failed = await Assert.ThrowsAsync<BatchFailedException>(() => queue.WaitForReplyAsync(receipt, Ct));

        await host.Services.GetRequiredService<IAssistantQueueAdmin>().RetryFailedAsync(failed.Failure.BatchId, Ct);
        var replied = await FirstAsync<BatchReplied>(queue, "t");

        Assert.Contains("look returned “look”", replied.Reply.Text);
        Assert.Equal(1, tools.TimesCalled("look"));
        await host.StopAsync(Ct);
    }

    [Theory, MemberData(nameof(Ways))]
    public async Task Interrupt_RunningRun_OneReplyAnswersAllAndEachMessageIsInTheHistoryOnce(OpenAIApi api, bool stream)
    {
        Emulator.Faults.Add(new() { Operation = api == OpenAIApi.Responses ? "create_response" : "create_run", Kind = OpenAIFaultKind.RunNeverEnds, Count = 1 });
        Emulator.Options.CancelTime = TimeSpan.FromMilliseconds(300);
        using var host = await StartAsync(api, stream, new TestTools());
        var queue = host.Services.GetRequiredService<IAssistantMessageQueue>();

        var first = await queue.AddMessageToThreadAsync("t", "hi", cancellationToken: Ct);
        await Emulator.Ledger.WaitForAsync(l => l.Runs is [{ Status: "in_progress" }], Ct);
        var second = await queue.EnqueueAsync(new AssistantMessage { ThreadId = "t", Text = "wait, one more thing", WhenBusy = BusyAction.Interrupt }, Ct);
        var reply = await queue.WaitForReplyAsync(second, Ct);

        Assert.Equal(reply.BatchId, (await queue.WaitForReplyAsync(first, Ct)).BatchId);
        Assert.Contains("wait, one more thing", reply.Text);
        var thread = Ledger.Runs[0].ThreadKey;
        Assert.Equal(["cancelled", "completed"], Ledger.Runs.Select(r => r.Status));
        Assert.Equal(["hi", "wait, one more thing"], Ledger.TextsOf(thread));
        Assert.Empty(Ledger.Overlaps);
        await host.StopAsync(Ct);
    }

    [Fact]
    public async Task Interrupt_ForegroundResponse_WaitsLikeCollect()
    {
        // as long as the signal to the worker may take on a busy machine, and some more
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.RunTakesLong, Delay = TimeSpan.FromSeconds(3), Count = 1 });
        using var host = await StartAsync(OpenAIApi.Responses, stream: false, new TestTools(), openAI: o => o.Background = false);
        var queue = host.Services.GetRequiredService<IAssistantMessageQueue>();

        var first = await queue.AddMessageToThreadAsync("t", "hi", cancellationToken: Ct);
        await Emulator.Ledger.WaitForAsync(l => l.Runs is [{ Status: "in_progress" }], Ct);
        var second = await queue.EnqueueAsync(new AssistantMessage { ThreadId = "t", Text = "one more thing", WhenBusy = BusyAction.Interrupt }, Ct);
        await _wished.Task.WaitAsync(Ct);
        var replies = new[] { await queue.WaitForReplyAsync(first, Ct), await queue.WaitForReplyAsync(second, Ct) };

        Assert.NotEqual(replies[0].BatchId, replies[1].BatchId);
        Assert.Equal(["completed", "completed"], Ledger.Runs.Select(r => r.Status));
        Assert.DoesNotContain(Ledger.Requests, r => r.Operation.StartsWith("cancel_", StringComparison.Ordinal));
        Assert.Equal(["hi", "one more thing"], Ledger.TextsOf(Ledger.Runs[0].ThreadKey));
        await host.StopAsync(Ct);
    }

    [Theory, MemberData(nameof(Ways))]
    public async Task Steer_WhileAToolWorks_JoinsTheRunOrWaitsWhereItCannot(OpenAIApi api, bool stream)
    {
        var tools = new TestTools().Add("look");
        using var working = new SemaphoreSlim(0);
        using var enough = new SemaphoreSlim(0);
        tools.AtCall = (_, point) =>
        {
            if (point == 0)
            {
                working.Release();
                enough.Wait(Ct);
            }
        };
        using var host = await StartAsync(api, stream, tools);
        var queue = host.Services.GetRequiredService<IAssistantMessageQueue>();

        var first = await queue.AddMessageToThreadAsync("t", "/tool look {}", "Be brief.", Ct);
        await working.WaitAsync(Ct);
        var second = await queue.EnqueueAsync(new AssistantMessage { ThreadId = "t", Text = "and this", WhenBusy = BusyAction.Steer, Instructions = "Be kind." }, Ct);
        await _wished.Task.WaitAsync(Ct);
        enough.Release();
        var replies = new[] { await queue.WaitForReplyAsync(first, Ct), await queue.WaitForReplyAsync(second, Ct) };

        Assert.Contains("look returned “look”", replies[0].Text);
        Assert.Contains("and this", replies[1].Text);
        Assert.Equal(api == OpenAIApi.Responses, replies[0].BatchId == replies[1].BatchId);
        Assert.Equal(["/tool look {}", "and this"], Ledger.TextsOf(Ledger.Runs[0].ThreadKey));
        Assert.Equal(["Be brief.", api == OpenAIApi.Responses ? "Be brief.\n\nBe kind." : "Be kind."], Ledger.Runs.Select(r => r.Instructions));
        Assert.Equal(1, tools.TimesCalled("look"));
        await host.StopAsync(Ct);
    }

    private static async Task<T> FirstAsync<T>(IAssistantMessageQueue queue, string thread)
        where T : ThreadUpdate
    {
        await foreach (var update in queue.WatchThreadAsync(thread, "0", Ct))
        {
            if (update is T wanted)
            {
                return wanted;
            }
        }

        throw new InvalidOperationException("The updates ended.");
    }

    private async Task<IHost> StartAsync(OpenAIApi api, bool stream, TestTools tools, Action<AssistantQueueOptions>? configure = null, Action<OpenAIOptions>? openAI = null)
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        var queue = builder.Services
            .AddAssistantMessageQueue(o =>
            {
                (o.RedisConnectionString, o.QueuePrefix, o.MessageDelay) = (shared.Redis.ConnectionString, "t" + Guid.NewGuid().ToString("N"), TimeSpan.Zero);
                configure?.Invoke(o);
            })
            .UseOpenAI(o =>
            {
                (o.ApiKey, o.Endpoint, o.Api, o.Stream) = ("sk-test", Emulator.BaseUrl, api, stream);
                o.Model = api == OpenAIApi.Responses ? "gpt-test" : null;
                o.AssistantId = api == OpenAIApi.Responses ? null : "asst_1";
                openAI?.Invoke(o);
            });
        var store = builder.Services.Single(d => d.ServiceType == typeof(IQueueStore) && Equals(d.ServiceKey, ""));
        builder.Services.Remove(store);
        builder.Services.AddKeyedSingleton<IQueueStore>("", (services, key) => new TroubledStore((IQueueStore)store.KeyedImplementationFactory!(services, key))
        {
            Signalled = signal =>
            {
                if (signal.Wish != RunWish.None)
                {
                    _wished.TrySetResult();
                }
            },
        });
        tools.Functions.ForEach(f => queue.AddTool(f));
        var host = builder.Build();
        await host.StartAsync(Ct);
        return host;
    }
}
