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
    public async Task Stream_ThatEndsEarlyOfAModelThatSaysWhyItStops_FailsTheAttempt()
    {
        var whole = new Fixed([Update("gpt", "It is "), Update("gpt", "late."), Update("gpt", "", ChatFinishReason.Stop)]);
        var cut = new Fixed([Update("gpt", "It is ")]);
        IChatClient client = cut;
        var backend = BackendOf(() => client);

        // Until the model was seen to say it, nobody knows that it does.
        Assert.Equal("It is ", (await RunAsync(backend)).Text);
        client = whole;
        Assert.Equal("It is late.", (await RunAsync(backend)).Text);
        client = cut;
        var error = await Assert.ThrowsAsync<AssistantBackendException>(() => RunAsync(backend));
        Assert.Equal(BackendErrorKind.Transient, error.Kind);
        Assert.Contains("ended early", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Stream_CutAfterAToolOfThePipeline_FailsTheAttempt()
    {
        IChatClient client = new Fixed([Update("gpt", "Hi.", ChatFinishReason.Stop)]);
        var backend = BackendOf(() => client);
        await RunAsync(backend);
        client = new Fixed([
            new ChatResponseUpdate(ChatRole.Assistant, [new FunctionCallContent("a", "theirs")]) { ModelId = "gpt", FinishReason = ChatFinishReason.ToolCalls },
            new ChatResponseUpdate(ChatRole.Tool, [new FunctionResultContent("a", "1")]),
            Update("gpt", "It is "),
        ]);

        await Assert.ThrowsAsync<AssistantBackendException>(() => RunAsync(backend));
    }

    [Fact]
    public async Task Stream_OfAnotherModelOrOfThePipelineItself_NeedNotSayWhyItStops()
    {
        IChatClient client = new Fixed([Update("gpt", "Hi.", ChatFinishReason.Stop)]);
        var backend = BackendOf(() => client);
        await RunAsync(backend);

        client = new Fixed([Update("local", "Hello.")]);
        Assert.Equal("Hello.", (await RunAsync(backend)).Text);
        client = new Fixed([Update(null, "Not here.")]);
        Assert.Equal("Not here.", (await RunAsync(backend)).Text);
    }

    [Fact]
    public async Task Answer_WithACitation_KeepsItInTheStoredReply()
    {
        await using var rig = await ChatRig.CreateAsync();
        rig.Pipeline = new Fixed([new ChatResponseUpdate(ChatRole.Assistant, [
            new TextContent("It is late.") { Annotations = [new CitationAnnotation { Title = "Tracking", Url = new Uri("https://example.com/4711"), FileId = "file_1" }] },
        ])]);
        await rig.StartWorkerAsync();

        var reply = await rig.AskAsync("is my order late?");

        var citation = Assert.IsType<CitationAnnotation>(Assert.Single(Assert.IsType<TextContent>(Assert.Single(reply.Contents)).Annotations!));
        Assert.Equal(("Tracking", "https://example.com/4711", "file_1"), (citation.Title, citation.Url?.ToString(), citation.FileId));
    }

    public static TheoryData<AIContent, string?> Parts => new()
    {
        { new TextContent("hi"), null },
        { new DataContent(new byte[] { 1 }, "image/png"), null },
        { new UriContent("https://example.com/a.png", "image/png"), null },
        { new HostedFileContent("file_1"), null },
        { new ErrorContent("no"), "ErrorContent" },
        { new FunctionCallContent("c1", "refund"), "FunctionCallContent" },
        { new FunctionResultContent("c1", "done"), "FunctionResultContent" },
        { new TextReasoningContent("hm"), "TextReasoningContent" },
        { new UsageContent(new UsageDetails()), "UsageContent" },
    };

    [Theory]
    [MemberData(nameof(Parts))]
    public void FindContentFault_APart_RefusesWhatNoUserSays(AIContent part, string? named)
    {
        var fault = BackendOf(() => new TestChatClient()).FindContentFault([new TextContent("see"), part]);

        Assert.Equal(named is null ? null : $"Contents must not have {named}: a user's message has text, data, URLs and ids of uploaded files", fault);
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

    private static ChatResponseUpdate Update(string? model, string text, ChatFinishReason? finish = null) =>
        new(ChatRole.Assistant, text) { ModelId = model, FinishReason = finish };

    /// <summary>Answers with the same updates each time.</summary>
    private sealed class Fixed(ChatResponseUpdate[] updates) : DelegatingChatClient(new TestChatClient())
    {
        public override IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default) =>
            updates.ToAsyncEnumerable();
    }
}
