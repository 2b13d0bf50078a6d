using AssistantQueue.Emulators;
using AssistantQueue.IntegrationTests.Redis;
using AssistantQueue.OpenAI;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace AssistantQueue.IntegrationTests.Admin;

/// <summary>What retry, edit and discard mean for messages that the API refused, has, or may have.</summary>
public sealed class FailedOverTheApiTests : IAsyncLifetime
{
    private readonly string _prefix = TestRedis.NewPrefix();
    private OpenAIEmulator _emulator = null!;
    private IHost _host = null!;

    private static CancellationToken Ct => new CancellationTokenSource(TimeSpan.FromMinutes(1)).Token;

    private IAssistantMessageQueue Queue => _host.Services.GetRequiredService<IAssistantMessageQueue>();

    private IAssistantQueueAdmin Admin => _host.Services.GetRequiredService<IAssistantQueueAdmin>();

    private LedgerSnapshot Ledger => _emulator.Ledger.Snapshot();

    public async Task InitializeAsync() => _emulator = await OpenAIEmulator.StartAsync();

    public async Task DisposeAsync()
    {
        await _host.StopAsync();
        _host.Dispose();
        await _emulator.DisposeAsync();
    }

    [Fact]
    public async Task Edit_MessageThatTheApiRefused_IsSentWithItsNewText()
    {
        await StartAsync(o => o.Model = "gpt-test");
        var (receipt, failure) = await FailAsync("hi\n/refuse");
        var details = await Admin.GetFailedAsync(failure.BatchId, Ct);
        Assert.Equal((0, false), (details!.PostedThrough, details.IsPostUnknown));

        await Admin.EditFailedAsync(failure.BatchId, receipt.MessageId, "hello", Ct);
        await Admin.RetryFailedAsync(failure.BatchId, Ct);

        Assert.Equal("You wrote: “hello”.", await RepliedAsync());
        Assert.Equal(["hello"], Ledger.TextsOf("c"));
    }

    [Fact]
    public async Task Retry_MessagesThatTheApiHas_AreAnsweredWithoutBeingSentAgain()
    {
        await StartAsync(o => o.AssistantId = "asst_test");
        _emulator.Faults.Add(new() { Operation = "create_run", Kind = OpenAIFaultKind.RunFails, Count = 1 });
        var (receipt, failure) = await FailAsync("hi");
        Assert.Equal(receipt.Sequence, (await Admin.GetFailedAsync(failure.BatchId, Ct))!.PostedThrough);
        await Assert.ThrowsAsync<InvalidOperationException>(() => Admin.EditFailedAsync(failure.BatchId, receipt.MessageId, "hello", Ct));

        await Admin.RetryFailedAsync(failure.BatchId, Ct);

        Assert.Equal("You wrote: “hi”.", await RepliedAsync());
        Assert.Equal(1, Ledger.TimesPosted("hi"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Retry_MessagesThatTheApiMayHave_AreLookedForFirst(bool isResponses)
    {
        await StartAsync(o => (o.Model, o.AssistantId) = (isResponses ? "gpt-test" : null, isResponses ? null : "asst_test"));
        _emulator.Faults.Add(new() { Operation = "create_r*", Kind = OpenAIFaultKind.Cut, AfterWork = true, Count = 1 });
        var (receipt, failure) = await FailAsync("hi");
        Assert.True((await Admin.GetFailedAsync(failure.BatchId, Ct))!.IsPostUnknown);
        await Assert.ThrowsAsync<InvalidOperationException>(() => Admin.EditFailedAsync(failure.BatchId, receipt.MessageId, "hello", Ct));

        await Admin.RetryFailedAsync(failure.BatchId, Ct);

        Assert.Equal("You wrote: “hi”.", await RepliedAsync());
        Assert.Equal((1, 1), (Ledger.TimesPosted("hi"), Ledger.TimesAccepted("hi")));
    }

    [Theory]
    [InlineData(true, true)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(false, false)]
    public async Task Retry_JournalThatCanNotBeReadOrIsOfANewerVersion_MessagesAreLookedForFirst(bool isResponses, bool isNewer)
    {
        var journal = isNewer ? """{"version":2,"poem":"…"}""" : """{"version":1,"rounds":""";
        await StartAsync(o => (o.Model, o.AssistantId) = (isResponses ? "gpt-test" : null, isResponses ? null : "asst_test"));
        _emulator.Faults.Add(new() { Operation = "create_r*", Kind = OpenAIFaultKind.Cut, AfterWork = true, Count = 1 });
        var (receipt, failure) = await FailAsync("hi");
        await using var redis = await (await TestRedis.GetAsync()).Instance.ConnectAsync();
        await redis.GetDatabase().HashSetAsync($"{{{_prefix}:0}}:failed:{failure.BatchId}", "journal", journal);
        Assert.Equal((0, true), ((await Admin.GetFailedAsync(failure.BatchId, Ct))!.PostedThrough, (await Admin.GetFailedAsync(failure.BatchId, Ct))!.IsPostUnknown));
        await Assert.ThrowsAsync<InvalidOperationException>(() => Admin.EditFailedAsync(failure.BatchId, receipt.MessageId, "hello", Ct));

        await Admin.RetryFailedAsync(failure.BatchId, Ct);

        Assert.Equal("You wrote: “hi”.", await RepliedAsync());
        Assert.Equal((1, 1), (Ledger.TimesPosted("hi"), Ledger.TimesAccepted("hi")));
    }

    [Fact]
    public async Task Retry_RunThatIsKnownByItsId_IsGoneOnWithAndItsMessageIsNotEdited()
    {
        await StartAsync(o => o.Model = "gpt-test", o => o.RunTimeout = TimeSpan.FromSeconds(1));
        // the response is under way, and nobody gets to see it end, nor ends it
        _emulator.Faults.Add(new() { Operation = "get_response", Kind = OpenAIFaultKind.Error });
        _emulator.Faults.Add(new() { Operation = "cancel_response", Kind = OpenAIFaultKind.Error });
        _emulator.Options.Latency = TimeSpan.FromMilliseconds(100);
        var (receipt, failure) = await FailAsync("hi");
        Assert.Equal((0, true), ((await Admin.GetFailedAsync(failure.BatchId, Ct)) is { } details ? (details.PostedThrough, details.IsPostUnknown) : default));
        await Assert.ThrowsAsync<InvalidOperationException>(() => Admin.EditFailedAsync(failure.BatchId, receipt.MessageId, "hello", Ct));
        _emulator.Faults.Clear();

        await Admin.RetryFailedAsync(failure.BatchId, Ct);

        Assert.Equal("You wrote: “hi”.", await RepliedAsync());
        Assert.Equal(1, Ledger.TimesPosted("hi"));
        Assert.Single(Ledger.Runs);
    }

    [Fact]
    public async Task Retry_AnotherBatchWasAnsweredMeanwhile_ItsReplyIsNotTaken()
    {
        _emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.RunCallsFunction, Function = "look", Count = 3 });
        await StartAsync(o => o.Model = "gpt-test", o => o.Tools.MaxRounds = 1);
        var (_, failure) = await FailAsync("hi");
        _emulator.Faults.Clear();
        var other = await Queue.AskAsync("c", "next", cancellationToken: Ct);

        await Admin.RetryFailedAsync(failure.BatchId, Ct);

        var reply = await RepliedAsync(failure.BatchId);
        Assert.NotEqual(other.RunId, reply.RunId);
        Assert.Equal(failure.BatchId, Ledger.Runs[^1].BatchId);
        Assert.Equal("You wrote nothing new. Before that you had written 2 messages.", reply.Text);
        Assert.Equal(["hi", "next"], Ledger.TextsOf("c"));
    }

    [Fact]
    public async Task Retry_RefusedOutputsThatAnotherBatchHasReplaced_AreNotHandedInAgain()
    {
        Refuse(skip: 1);
        await StartAsync(o => o.Model = "gpt-test");
        var (_, failure) = await FailAsync("/tool look {}");
        var other = await Queue.AskAsync("c", "next", cancellationToken: Ct);

        await Admin.RetryFailedAsync(failure.BatchId, Ct);

        var reply = await RepliedAsync(failure.BatchId);
        Assert.NotEqual(other.RunId, reply.RunId);
        Assert.Equal((failure.BatchId, null), (Ledger.Runs[^1].BatchId, Ledger.Runs[^1].ToolOutputs));
        Assert.Equal(["/tool look {}", "next"], Ledger.TextsOf("c"));
    }

    [Fact]
    public async Task Retry_RefusedMessageThatTheUserHasSaidAgain_IsSent()
    {
        Refuse();
        await StartAsync(o => o.Model = "gpt-test");
        var (_, failure) = await FailAsync("ok");
        var other = await Queue.AskAsync("c", "ok", cancellationToken: Ct);

        await Admin.RetryFailedAsync(failure.BatchId, Ct);

        Assert.NotEqual(other.RunId, (await RepliedAsync(failure.BatchId)).RunId);
        Assert.Equal(["ok", "ok"], Ledger.TextsOf("c"));
    }

    [Fact]
    public async Task Discard_MessagesThatTheApiHas_StayInItsConversationUnanswered()
    {
        await StartAsync(o => o.AssistantId = "asst_test");
        _emulator.Faults.Add(new() { Operation = "create_run", Kind = OpenAIFaultKind.RunFails, Count = 1 });
        var (_, failure) = await FailAsync("hi");

        await Admin.DiscardFailedAsync(failure.BatchId, Ct);
        var reply = await Queue.AskAsync("c", "again", cancellationToken: Ct);

        Assert.Equal("You wrote 2 messages: “hi” and “again”.", reply.Text);
        Assert.Equal(0, (await Queue.GetQueueStatusAsync(Ct)).FailedCount);
    }

    private void Refuse(int skip = 0) => _emulator.Faults.Add(new()
    {
        Operation = "create_response",
        Kind = OpenAIFaultKind.Error,
        Status = 400,
        Type = "invalid_request_error",
        Code = "invalid_prompt",
        Message = "Refused.",
        Skip = skip,
        Count = 1,
    });

    private async Task StartAsync(Action<OpenAIOptions> openAI, Action<AssistantQueueOptions>? queue = null)
    {
        var redis = (await TestRedis.GetAsync()).Instance.ConnectionString;
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddAssistantMessageQueue(o =>
        {
            (o.RedisConnectionString, o.QueuePrefix, o.MessageDelay) = (redis, _prefix, TimeSpan.Zero);
            (o.MaxAttempts, o.UnknownOutcomeWait) = (1, TimeSpan.FromSeconds(1));
            queue?.Invoke(o);
        }).AddTool(AIFunctionFactory.Create(() => "seen", "look", "Looks.")).UseOpenAI(o =>
        {
            (o.Endpoint, o.ApiKey, o.PollInterval) = (_emulator.BaseUrl, "sk-test", TimeSpan.FromMilliseconds(20));
            openAI(o);
        });
        _host = builder.Build();
        await _host.StartAsync();
    }

    private async Task<(MessageReceipt Receipt, FailedBatch Failure)> FailAsync(string text)
    {
        var receipt = await Queue.AddMessageToThreadAsync("c", text, cancellationToken: Ct);
        return (receipt, (await Assert.ThrowsAsync<BatchFailedException>(() => Queue.WaitForReplyAsync(receipt, Ct))).Failure);
    }

    // The failure is still the last outcome until the retry has ended.
    private async Task<string> RepliedAsync() => (await RepliedAsync(null)).Text;

    private async Task<AssistantReply> RepliedAsync(string? batchId)
    {
        await foreach (var update in Queue.WatchThreadAsync("c", after: "0", Ct))
        {
            if (update is BatchReplied replied && (batchId is null || replied.Reply.BatchId == batchId))
            {
                return replied.Reply;
            }
        }

        throw new InvalidOperationException("The watching ended.");
    }
}
