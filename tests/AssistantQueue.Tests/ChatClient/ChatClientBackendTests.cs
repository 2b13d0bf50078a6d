using System.Net;
using AssistantQueue.ChatClient;
using AssistantQueue.Tests.Worker;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Logging.Abstractions;

namespace AssistantQueue.Tests.ChatClient;

/// <summary>What a request carries, what an answer becomes, and what an exception of the client means.</summary>
public class ChatClientBackendTests
{
    [Fact]
    public async Task Request_CarriesInstructionsModelAndWhatTheAppSets()
    {
        await using var rig = await ChatRig.CreateAsync();
        rig.Options.Model = "big";
        rig.Options.ConfigureRequest = (run, request) => request.Temperature = run.Attempt / 2f;
        rig.Client.Model = null;
        await rig.StartWorkerAsync();
        await rig.Rig.AddAsync("c1", "hi", instructions: "Be brief.");

        var reply = await rig.Rig.Handler.NextReplyAsync();

        var request = Assert.Single(rig.Client.Requests);
        Assert.Equal(("Be brief.", "big", 0.5f), (request.Instructions, request.ModelId, request.Temperature));
        Assert.Equal("big", reply.Model);
        Assert.Empty(request.Tools);
    }

    [Theory]
    [InlineData(MessageCombination.SeparateMessages, "user: one, user: two")]
    [InlineData(MessageCombination.SingleMessage, "user: one\n\ntwo")]
    public async Task Request_OfABatch_CombinesItsMessages(MessageCombination combine, string expected)
    {
        await using var rig = await ChatRig.CreateAsync();
        rig.Rig.Options.Combine = combine;
        await rig.Rig.AddAsync("c1", "one");
        await rig.Rig.AddAsync("c1", "two");
        await rig.StartWorkerAsync();
        await rig.Rig.Handler.NextReplyAsync();

        Assert.Equal(expected, string.Join(", ", Assert.Single(rig.Client.Requests).Lines));
    }

    [Fact]
    public async Task Stream_WordByWord_ReachesWatchersAsItIsWritten()
    {
        await using var rig = await ChatRig.CreateAsync();
        var goOn = new TaskCompletionSource();
        rig.Client.Answer = (_, _) => Task.FromResult<IReadOnlyList<AIContent>>([new TextContent("It is late.")]);
        rig.Pipeline = new HaltingChatClient(rig.Client, goOn.Task);
        await rig.StartWorkerAsync();
        using var limit = new CancellationTokenSource(TestTimes.Patience);
        var texts = new List<string>();
        var watching = Task.Run(async () =>
        {
            await foreach (var update in rig.Rig.Queue().WatchThreadAsync("c1", cancellationToken: limit.Token))
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
        await rig.Rig.AddAsync("c1", "hi");
        await watching;

        Assert.Equal("It is late.", string.Concat(texts));
        Assert.True(texts.Count > 1);
    }

    [Theory]
    [InlineData(HttpStatusCode.TooManyRequests, BackendErrorKind.Transient)]
    [InlineData(HttpStatusCode.BadGateway, BackendErrorKind.Transient)]
    [InlineData(HttpStatusCode.RequestTimeout, BackendErrorKind.Transient)]
    [InlineData(HttpStatusCode.Unauthorized, BackendErrorKind.BackendUnavailable)]
    [InlineData(HttpStatusCode.NotFound, BackendErrorKind.BackendUnavailable)]
    [InlineData(HttpStatusCode.BadRequest, BackendErrorKind.Permanent)]
    [InlineData(null, BackendErrorKind.Transient)]
    public async Task HttpRequestException_OfTheClient_IsToldApartByItsStatus(HttpStatusCode? status, BackendErrorKind expected)
    {
        var error = await FailAsync(new HttpRequestException("no", null, status));

        Assert.Equal((expected, (int?)status, "HttpRequestException: no"), (error.Kind, error.Status, error.Message));
    }

    [Theory]
    [InlineData(typeof(ArgumentException), BackendErrorKind.Permanent)]
    [InlineData(typeof(NotSupportedException), BackendErrorKind.Permanent)]
    [InlineData(typeof(TimeoutException), BackendErrorKind.Transient)]
    [InlineData(typeof(TaskCanceledException), BackendErrorKind.Transient)]
    [InlineData(typeof(InvalidOperationException), BackendErrorKind.Transient)]
    public async Task Exception_OfTheClient_IsToldApartByItsType(Type type, BackendErrorKind expected) =>
        Assert.Equal(expected, (await FailAsync((Exception)Activator.CreateInstance(type)!)).Kind);

    [Fact]
    public async Task ClassifyError_OfTheApp_Wins()
    {
        var error = await FailAsync(new InvalidOperationException("quota"), o => o.ClassifyError = e => e.Message == "quota" ? BackendErrorKind.BackendUnavailable : null);

        Assert.Equal(BackendErrorKind.BackendUnavailable, error.Kind);
    }

    [Theory]
    [InlineData(HttpStatusCode.NotFound)]
    [InlineData(HttpStatusCode.TooManyRequests)]
    public async Task Model_ThatWasMistyped_IsReadAgainFromTheSettings(HttpStatusCode status)
    {
        await using var rig = await ChatRig.CreateAsync();
        rig.Options.Model = "gtp";
        rig.Client.Model = null;
        rig.Client.Answer = (request, _) =>
        {
            rig.Options.Model = "gpt";
            return request.ModelId == "gpt" ? Task.FromResult(TestChatClient.Say("fine")) : throw new HttpRequestException("no such model", null, status);
        };
        await rig.StartWorkerAsync();

        var reply = await rig.AskAsync("hi");

        Assert.Equal(("fine", "gpt"), (reply.Text, reply.Model));
        Assert.Equal(["gtp", "gpt"], rig.Client.Requests.Select(r => r.ModelId));
    }

    [Fact]
    public async Task Model_ThatIsGoneAfterARound_IsReadAgainFromTheSettings()
    {
        await using var rig = await ChatRig.CreateAsync();
        var calls = 0;
        rig.Options.Model = "old";
        rig.Rig.Tools.Add(AIFunctionFactory.Create(() => ++calls, "count"));
        rig.Client.Answer = (request, _) =>
        {
            if (!request.HasResults)
            {
                return Task.FromResult(TestChatClient.Ask(("a", "count", "{}")));
            }

            rig.Options.Model = "new";
            return request.ModelId == "new" ? Task.FromResult(TestChatClient.Say("One.")) : throw new HttpRequestException("gone", null, HttpStatusCode.NotFound);
        };
        await rig.StartWorkerAsync();

        Assert.Equal(("One.", 1), ((await rig.AskAsync("count")).Text, calls));
        Assert.Equal(["old", "old", "new"], rig.Client.Requests.Select(r => r.ModelId));
    }

    [Fact]
    public async Task Answer_ThatIsAnErrorOrNothing_FailsTheAttempt()
    {
        Assert.Equal(("overloaded", "The model answered with an error: try later"), await AnswerAsync(new ErrorContent("try later") { ErrorCode = "overloaded" }, null));
        Assert.Equal((null, "The model's stream ended without an answer."), await AnswerAsync(null, null));
        Assert.Equal(("content_filter", "The reply was held back by the API's content filter."), await AnswerAsync(new TextContent("I"), ChatFinishReason.ContentFilter));
    }

    [Fact]
    public async Task Answer_CutAtTheModelsLimit_IsDeliveredAndMarked()
    {
        var reply = await RunAsync(new Fixed([new ChatResponseUpdate(ChatRole.Assistant, "Once upon") { FinishReason = ChatFinishReason.Length }]));

        Assert.Equal("Once upon", reply.Text);
        Assert.Equal("max_output_tokens", Assert.Single(reply.Contents).AdditionalProperties!["incomplete_reason"]?.ToString());
    }

    [Fact]
    public async Task Answer_WithThoughtsAndAFile_KeepsTheFileAndNotTheThoughts()
    {
        var reply = await RunAsync(new Fixed([new ChatResponseUpdate(ChatRole.Assistant, [new TextReasoningContent("hm"), new TextContent("Here."), new DataContent(new byte[] { 1 }, "image/png")])]));

        Assert.Equal(["TextContent", "DataContent"], reply.Contents.Select(c => c.GetType().Name));
    }

    [Fact]
    public async Task RunTimeout_Over_CancelsTheRequestAndTriesAgain()
    {
        await using var rig = await ChatRig.CreateAsync();
        rig.Rig.Options.RunTimeout = TimeSpan.FromMilliseconds(300);
        var cancelled = new TaskCompletionSource();
        rig.Client.Answer = async (request, token) =>
        {
            if (rig.Client.Requests.Count == 1)
            {
                using var registration = token.Register(() => cancelled.TrySetResult());
                await Task.Delay(Timeout.Infinite, token);
            }

            return TestChatClient.Say("in time");
        };
        await rig.StartWorkerAsync();

        var reply = await rig.AskAsync("hi");

        Assert.True(cancelled.Task.IsCompletedSuccessfully);
        Assert.Equal(("in time", 2), (reply.Text, reply.Attempt));
        Assert.Equal(["user: hi"], rig.Client.Requests.Last().Lines);
    }

    [Fact]
    public async Task Interrupt_WithAChatClient_IsCollect()
    {
        await using var rig = await ChatRig.CreateAsync();
        var goOn = new TaskCompletionSource();
        rig.Client.Answer = async (request, token) =>
        {
            await goOn.Task.WaitAsync(token);
            return TestChatClient.Say(request.LastUserTexts);
        };
        await rig.StartWorkerAsync();
        await rig.Rig.AddAsync("c1", "one");
        await rig.Client.NextAsync();
        await rig.Rig.Queue().EnqueueAsync(new AssistantMessage { ThreadId = "c1", Text = "two", WhenBusy = BusyAction.Interrupt });
        goOn.SetResult();

        Assert.Equal("one", (await rig.Rig.Handler.NextReplyAsync()).Text);
        Assert.Equal("two", (await rig.Rig.Handler.NextReplyAsync()).Text);
    }

    private static Task<AssistantBackendException> FailAsync(Exception thrown, Action<ChatClientOptions>? configure = null)
    {
        var client = new TestChatClient { Answer = (_, _) => throw thrown };
        return Assert.ThrowsAsync<AssistantBackendException>(() => RunAsync(client, configure));
    }

    private static async Task<(string? Code, string Message)> AnswerAsync(AIContent? content, ChatFinishReason? finish)
    {
        ChatResponseUpdate[] updates = content is null ? [] : [new ChatResponseUpdate(ChatRole.Assistant, [content]) { FinishReason = finish }];
        var error = await Assert.ThrowsAsync<AssistantBackendException>(() => RunAsync(new Fixed(updates)));
        return (error.Code, error.Message);
    }

    private static Task<RunCompleted> RunAsync(IChatClient client, Action<ChatClientOptions>? configure = null)
    {
        var options = new ChatClientOptions();
        configure?.Invoke(options);
        return RunAsync(BackendOf(() => client, options));
    }

    private static ChatClientBackend BackendOf(Func<IChatClient> client, ChatClientOptions? options = null) =>
        new(client, () => options ?? new ChatClientOptions(), TimeProvider.System, NullLogger.Instance);

    private static async Task<RunCompleted> RunAsync(ChatClientBackend backend)
    {
        var run = new BatchRun((_, _) => Task.CompletedTask)
        {
            ThreadId = "c1",
            BatchId = "b1",
            Fence = 1,
            Messages = [new BatchMessage { Sequence = 1, MessageId = "m1", Contents = [new TextContent("hi")] }],
        };
        RunUpdate? last = null;
        await foreach (var update in backend.RunAsync(run, CancellationToken.None))
        {
            last = update;
        }

        return Assert.IsType<RunCompleted>(last);
    }

    /// <summary>Answers with the same updates each time.</summary>
    private sealed class Fixed(ChatResponseUpdate[] updates) : DelegatingChatClient(new TestChatClient())
    {
        public override IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default) =>
            updates.ToAsyncEnumerable();
    }
}
