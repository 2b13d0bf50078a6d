using AssistantQueue.Emulators;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.Metrics.Testing;

namespace AssistantQueue.Tests.OpenAIBackends;

/// <summary>A stop in the middle of a post, and the count of posts that nobody can be sure about.</summary>
public class StoppingTests : BackendTest
{
    protected override void Configure(OpenAIOptions options) => options.Model = "gpt-test";

    [Theory]
    [InlineData(OpenAIApi.Responses, false)]
    [InlineData(OpenAIApi.Responses, true)]
    [InlineData(OpenAIApi.Assistants, false)]
    [InlineData(OpenAIApi.Assistants, true)]
    public async Task Run_StoppedWhileItsPostIsUnderWay_JournalsTheIdFirst(OpenAIApi api, bool stream)
    {
        using var stop = new CancellationTokenSource();
        using var http = new HttpClient(new StopAtPost(stop));
        void Settings(OpenAIOptions options)
        {
            options.Api = api;
            options.AssistantId = "asst_1";
            options.Stream = stream;
        }

        // the grace is two seconds of a real clock: on the hurried one it would be over at once
        var backend = NewBackend(Settings, services: s => s.AddKeyedSingleton("AssistantQueue", http).AddSingleton(TimeProvider.System));
        var batch = new StoredBatch("t", "/slow 1\nhi");
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (var update in backend.RunAsync(batch.NextOwner(), stop.Token))
            {
                Assert.IsNotType<RunCompleted>(update);
            }
        });

        Assert.Equal(Assert.Single(Ledger.Runs).Id, batch.StoredJournal.LastRound!.RunId);
        Assert.True(batch.StoredJournal.IsAdoptable);
        await CompleteAsync(NewBackend(Settings), batch);
        Assert.Single(Ledger.Runs);
    }

    [Theory]
    [InlineData(OpenAIApi.Responses, false)]
    [InlineData(OpenAIApi.Responses, true)]
    [InlineData(OpenAIApi.Assistants, false)]
    [InlineData(OpenAIApi.Assistants, true)]
    public async Task Run_StoppedBetweenItsEndAndItsReply_HandsTheReplyOver(OpenAIApi api, bool stream)
    {
        using var stop = new CancellationTokenSource();
        var backend = NewBackend(options => (options.Api, options.AssistantId, options.Stream) = (api, "asst_1", stream));
        var batch = new StoredBatch("t", "hi") { AtEnd = stop.Cancel };

        var updates = new List<RunUpdate>();
        await foreach (var update in backend.RunAsync(batch.NextOwner(), stop.Token))
        {
            updates.Add(update);
        }

        Assert.True(stop.IsCancellationRequested);
        Assert.Contains("hi", Assert.IsType<RunCompleted>(updates[^1]).Text);
        Assert.Equal(1, updates.Count(update => update is RunCompleted));
        Assert.Equal("completed", Assert.Single(Ledger.Runs).Status);
    }

    [Fact]
    public async Task Run_OwnerLostTheThreadBeforeThePost_SendsNothing()
    {
        var batch = new StoredBatch("t", "hi") { ThrowIfNotOwned = () => throw new LeaseLostException("t", 1) };

        await Assert.ThrowsAsync<LeaseLostException>(() => CompleteAsync(NewBackend(), batch));

        Assert.Equal(0, Ledger.TimesPosted("hi"));
    }

    [Theory]
    [InlineData(false, true, 0)]
    [InlineData(false, false, 1)]
    [InlineData(true, true, 1)]
    public async Task Run_PostOfUnknownOutcomeSentAgain_IsCounted(bool isChain, bool afterWork, int expected)
    {
        var queue = $"q-{isChain}-{afterWork}";
        using var collector = new MetricCollector<long>(meterScope: null, "AssistantQueue.OpenAI", "assistantqueue.run.posted_again");
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.Cut, AfterWork = afterWork, Count = 1 });
        var batch = new StoredBatch("t", "hi") { QueueName = queue };
        var backend = NewBackend(o => o.UseConversations = !isChain);
        await FailAsync(backend, batch);

        await CompleteAsync(backend, batch);

        Assert.Equal(expected, collector.GetMeasurementSnapshot().Where(m => Equals(m.Tags["queue"], queue)).Sum(m => m.Value));
    }

    [Fact]
    public async Task Run_EndpointWithoutConversations_SaysWhichSettingHelps()
    {
        Emulator.Options.HasConversations = false;

        var failure = await FailAsync(NewBackend(), new StoredBatch("t", "hi"));

        Assert.Equal(BackendErrorKind.BackendUnavailable, failure.Kind);
        Assert.Contains("AssistantQueue:OpenAI:UseConversations", failure.Message);
    }

    /// <summary>Stops the run when the post that creates it has been taken, before its answer is handed on.</summary>
    private sealed class StopAtPost(CancellationTokenSource stop) : DelegatingHandler(new SocketsHttpHandler())
    {
        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            var response = await base.SendAsync(request, cancellationToken);
            if (request.Method == HttpMethod.Post && request.RequestUri!.AbsolutePath is var path && (path.EndsWith("/responses", StringComparison.Ordinal) || path.EndsWith("/runs", StringComparison.Ordinal)))
            {
                await stop.CancelAsync();
            }

            return response;
        }
    }
}
