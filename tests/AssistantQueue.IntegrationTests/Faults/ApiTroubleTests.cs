using System.Net;
using System.Net.Http;
using System.Net.Sockets;
using AssistantQueue.Emulators;
using AssistantQueue.OpenAI;
using Microsoft.Extensions.DependencyInjection;

namespace AssistantQueue.IntegrationTests.Faults;

/// <summary>The API in trouble, through a whole queue: what passes is tried again, what may have been taken is looked for, what is the settings' fault makes the queue wait.</summary>
public abstract class ApiTroubleTests(string api)
{
    /// <summary>What goes wrong once, before or after the API's work, and how often the message is posted and which attempt answers.</summary>
    private static readonly Dictionary<string, (OpenAIFault Fault, int Posts, int Attempt)> Passing = new()
    {
        ["429 with Retry-After"] = (OpenAIFault.RateLimit(TimeSpan.FromMilliseconds(1_200)), 2, 2),
        ["429 without Retry-After"] = (OpenAIFault.RateLimit(), 2, 2),
        ["500 before the work"] = (new() { Kind = OpenAIFaultKind.Error }, 2, 2),
        ["500 after the work"] = (new() { Kind = OpenAIFaultKind.Error, AfterWork = true }, 1, 2),
        ["503 before the work"] = (new() { Kind = OpenAIFaultKind.Error, Status = 503 }, 2, 2),
        ["503 after the work"] = (new() { Kind = OpenAIFaultKind.Error, Status = 503, AfterWork = true }, 1, 2),
        ["no answer, before the work"] = (new() { Kind = OpenAIFaultKind.Hang }, 2, 2),
        ["no answer, after the work"] = (new() { Kind = OpenAIFaultKind.Hang, AfterWork = true }, 1, 2),
        ["a cut connection before the work"] = (new() { Kind = OpenAIFaultKind.Cut }, 2, 2),
        ["a cut connection after the work"] = (new() { Kind = OpenAIFaultKind.Cut, AfterWork = true }, 1, 2),
        ["garbage before the work"] = (new() { Kind = OpenAIFaultKind.Garbage }, 2, 2),
        ["garbage after the work"] = (new() { Kind = OpenAIFaultKind.Garbage, AfterWork = true }, 1, 2),
        ["HTML before the work"] = (new() { Kind = OpenAIFaultKind.Html }, 2, 2),
        ["HTML after the work"] = (new() { Kind = OpenAIFaultKind.Html, AfterWork = true }, 1, 2),
        ["an empty body after the work"] = (new() { Kind = OpenAIFaultKind.Empty, AfterWork = true }, 1, 2),
        ["201"] = (new() { Kind = OpenAIFaultKind.OtherStatus, Status = 201 }, 1, 1),
        ["202"] = (new() { Kind = OpenAIFaultKind.OtherStatus, Status = 202 }, 1, 1),
    };

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    public static TheoryData<string> PassingTroubles => [.. Passing.Keys];

    protected static CancellationToken Ct => new CancellationTokenSource(Patience).Token;

    private bool IsResponses => api == "responses";

    private string Create => IsResponses ? "create_response" : "create_run";

    private string Get => IsResponses ? "get_response" : "get_run";

    [Theory]
    [MemberData(nameof(PassingTroubles))]
    public async Task Post_InTroubleOnce_IsAnsweredAndInTheHistoryOnce(string trouble)
    {
        var (fault, posts, attempt) = Passing[trouble];
        await using var queue = await StartAsync(o => o.NetworkTimeout = TimeSpan.FromSeconds(fault.Kind == OpenAIFaultKind.Hang ? 1 : 30));
        queue.Emulator.Faults.Add(fault with { Operation = Create, Count = 1 });

        var reply = await queue.AskAsync("c", "hi", Ct);

        Assert.Equal(("You wrote: “hi”.", attempt), (reply.Text, reply.Attempt));
        Assert.Equal((posts, 1), (queue.Ledger.TimesPosted("hi"), queue.Ledger.TimesAccepted("hi")));
        Assert.Equal(["hi"], queue.Ledger.TextsOf("c"));
        Assert.Equal(attempt - 1, queue.Retried.Count);
        if (fault.Headers is not null)
        {
            var times = queue.Ledger.Requests.Where(r => r.Operation == Create).Select(r => r.ArrivedAt).ToList();
            Assert.True(times[1] - times[0] >= TimeSpan.FromMilliseconds(1_200), $"It came back after {times[1] - times[0]}.");
        }

        await queue.EndAsync();
    }

    [Theory]
    [InlineData(OpenAIFaultKind.Error)]
    [InlineData(OpenAIFaultKind.Cut)]
    [InlineData(OpenAIFaultKind.Html)]
    [InlineData(OpenAIFaultKind.Hang)]
    public async Task Look_InTrouble_IsMadeAgainWithinTheAttempt(OpenAIFaultKind kind)
    {
        await using var queue = await StartAsync(o => o.NetworkTimeout = TimeSpan.FromSeconds(kind == OpenAIFaultKind.Hang ? 1 : 30));
        queue.Emulator.Faults.Add(new() { Operation = Get, Kind = kind, Count = 2 });

        var reply = await queue.AskAsync("c", "hi\n/slow 0.2", Ct);

        Assert.Equal((1, 1), (reply.Attempt, queue.Ledger.TimesPosted("hi\n/slow 0.2")));
        await queue.EndAsync();
    }

    [Theory]
    [InlineData(OpenAIFaultKind.CutStream, 0)]
    [InlineData(OpenAIFaultKind.CutStream, 4)]
    [InlineData(OpenAIFaultKind.EndStream, 0)]
    [InlineData(OpenAIFaultKind.EndStream, 4)]
    [InlineData(OpenAIFaultKind.ErrorInStream, 0)]
    [InlineData(OpenAIFaultKind.ErrorInStream, 4)]
    [InlineData(OpenAIFaultKind.HangStream, 0)]
    [InlineData(OpenAIFaultKind.HangStream, 4)]
    public async Task Stream_CutOrEndedEarly_IsOneRunWhoseWholeReplyArrives(OpenAIFaultKind kind, int afterEvents)
    {
        await using var queue = await StartAsync(o =>
        {
            o.Stream = true;
            o.NetworkTimeout = TimeSpan.FromSeconds(kind == OpenAIFaultKind.HangStream ? 1 : 30);
        });
        queue.Emulator.Options.DeltaPause = TimeSpan.FromMilliseconds(5);
        queue.Emulator.Faults.Add(new() { Operation = Create, Kind = kind, AfterEvents = afterEvents, Count = 1 });

        var reply = await queue.AskAsync("c", "hi", Ct);

        Assert.Equal("You wrote: “hi”.", reply.Text);
        Assert.Equal((1, 1), (queue.Ledger.TimesPosted("hi"), queue.Ledger.Runs.Count));
        Assert.Equal(["hi"], queue.Ledger.TextsOf("c"));
        await queue.EndAsync();
    }

    [Fact]
    public async Task Stream_TellsOfAnErrorWhileTheRunGoesOn_IsFollowedByTheRunsId()
    {
        await using var queue = await StartAsync(o => o.Stream = true);
        // Else the conversation would refuse the second post that must not be made.
        queue.Emulator.Options.BackgroundLocksConversation = false;
        queue.Emulator.Faults.Add(new() { Operation = Create, Kind = OpenAIFaultKind.ErrorInStream, AfterEvents = 1, Count = 1 });

        var reply = await queue.AskAsync("c", "hi\n/slow 1", Ct);

        Assert.Equal(("You wrote: “hi\n/slow 1”.", 1), (reply.Text, reply.Attempt));
        Assert.Equal((1, 1), (queue.Ledger.TimesPosted("hi\n/slow 1"), queue.Ledger.Runs.Count));
        await queue.EndAsync();
    }

    [Fact]
    public async Task Run_FailedWithStatus200_IsTriedAgainWithoutASecondCopy()
    {
        await using var queue = await StartAsync();
        queue.Emulator.Faults.Add(new() { Operation = Create, Kind = OpenAIFaultKind.RunFails, Count = 1 });

        var reply = await queue.AskAsync("c", "hi", Ct);

        Assert.Equal(2, reply.Attempt);
        Assert.Equal(["hi"], queue.Ledger.TextsOf("c"));
        Assert.Equal("server_error", Assert.Single(queue.Retried).Code);
        await queue.EndAsync();
    }

    [Fact]
    public async Task Run_FailsAtEachAttempt_EndsInTheFailedStoreAndTheThreadGoesOn()
    {
        await using var queue = await StartAsync(queue: o => o.MaxAttempts = 2);
        queue.Emulator.Faults.Add(new() { Operation = Create, Kind = OpenAIFaultKind.RunFails, Count = 2 });

        var failed = await Assert.ThrowsAsync<BatchFailedException>(() => queue.AskAsync("c", "hi", Ct));
        await queue.AskAsync("c", "again", Ct);

        Assert.Equal((FailureKind.AttemptsExhausted, 2), (failed.Failure.Kind, failed.Failure.Attempts.Count));
        await queue.EndAsync(failed: 1);
    }

    [Fact]
    public async Task Run_NeverEnds_IsCancelledAtRunTimeoutAndTriedAgain()
    {
        await using var queue = await StartAsync(queue: o => o.RunTimeout = TimeSpan.FromSeconds(2));
        queue.Emulator.Faults.Add(new() { Operation = Create, Kind = OpenAIFaultKind.RunNeverEnds, Count = 1 });

        var reply = await queue.AskAsync("c", "hi", Ct);

        Assert.Equal(2, reply.Attempt);
        Assert.Equal("cancelled", queue.Ledger.Runs[0].Status);
        Assert.Equal(["hi"], queue.Ledger.TextsOf("c"));
        await queue.EndAsync();
    }

    [Fact]
    public async Task Run_AsksForAToolThatNobodyHas_EndsInTheFailedStoreAndTheThreadGoesOn()
    {
        await using var queue = await StartAsync();
        queue.Emulator.Faults.Add(new() { Operation = Create, Kind = OpenAIFaultKind.RunCallsFunction, Function = "open_door", Count = 1 });

        var failed = await Assert.ThrowsAsync<BatchFailedException>(() => queue.AskAsync("c", "hi", Ct));
        var reply = await queue.AskAsync("c", "again", Ct);

        Assert.Equal(FailureKind.Permanent, failed.Failure.Kind);
        Assert.Contains("open_door", failed.Failure.Error, StringComparison.Ordinal);
        Assert.Contains("“again”", reply.Text, StringComparison.Ordinal);
        Assert.Empty(queue.Ledger.Open);
        await queue.EndAsync(failed: 1);
    }

    [Fact]
    public async Task Thread_BusyWithSomebodyElsesRun_WaitsAndCountsNoAttempt()
    {
        await using var queue = await StartAsync(queue: o => o.MaxAttempts = 1);
        var thread = (await queue.PostAsOtherAsync(IsResponses ? "conversations" : "threads", new { })).GetProperty("id").GetString()!;
        await (IsResponses
            ? queue.PostAsOtherAsync("responses", new { model = "gpt-test", conversation = thread, background = true, input = "foreign\n/slow 2" })
            : queue.PostAsOtherAsync($"threads/{thread}/runs", new { assistant_id = "asst_test", additional_messages = new[] { new { role = "user", content = "foreign\n/slow 2" } } }));

        var reply = await queue.AskAsync(thread, "hi", Ct);

        Assert.Equal(1, reply.Attempt);
        Assert.NotEmpty(queue.Ledger.Refusals);
        Assert.Equal(["foreign\n/slow 2", "hi"], queue.Ledger.TextsOf(thread));
        Assert.Empty(queue.Retried);
        await queue.EndAsync();
    }

    [Fact]
    public async Task Conversation_Gone_IsBegunAnewWithTheBatch()
    {
        await using var queue = await StartAsync();
        await queue.AskAsync("c", "hi", Ct);
        await DeleteConversationAsync(queue);

        var reply = await queue.AskAsync("c", "again", Ct);

        Assert.Equal(("You wrote: “again”.", 1), (reply.Text, reply.Attempt));
        Assert.Equal(2, queue.Ledger.Runs.DistinctBy(r => r.ConversationId).Count());
        await queue.EndAsync();
    }

    [Fact]
    public async Task Conversation_GoneAndToFail_EndsInTheFailedStore()
    {
        await using var queue = await StartAsync(queue: o => o.WhenConversationGone = ConversationGoneAction.Fail);
        await queue.AskAsync("c", "hi", Ct);
        await DeleteConversationAsync(queue);

        var failed = await Assert.ThrowsAsync<BatchFailedException>(() => queue.AskAsync("c", "again", Ct));

        Assert.Equal(FailureKind.Permanent, failed.Failure.Kind);
        Assert.Single(queue.Ledger.Runs);
        await queue.EndAsync(failed: 1);
    }

    [Fact]
    public Task Backend_QuotaSpent_PausesAndTriesOneAtATime() => PausesAsync(OpenAIFault.Quota());

    [Fact]
    public Task Backend_EveryEndpoint404_PausesAndTheBacklogStays() => PausesAsync(OpenAIFault.Gone());

    [Fact]
    public async Task Backend_NothingListensThere_PausesAndTheBacklogIsAnsweredWhenItDoes()
    {
        const int Threads = 3;
        // bound and not listened to: nobody answers, and nobody else takes it
        using var port = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        port.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        var address = new Uri($"http://{port.LocalEndPoint}/v1");
        var calls = new Unreached();
        await using var queue = await StartAsync(
            o => o.Endpoint = address,
            o => o.MaxAttempts = 1,
            services => services.AddKeyedSingleton("AssistantQueue", new HttpClient(calls)));
        var receipts = await Task.WhenAll(Enumerable.Range(0, Threads).Select(t => queue.Queue.AddMessageToThreadAsync("c" + t, "hi", cancellationToken: Ct)));
        await calls.WaitForAsync(2, Ct);

        var status = await queue.Queue.GetQueueStatusAsync(Ct);
        Assert.Equal((0, 0, Threads), (status.FailedCount, status.CompletedCount, status.ActiveCount + status.WaitingCount + status.DelayedCount));

        port.Dispose();
        await using var late = await OpenAIEmulator.StartAsync(new OpenAIEmulatorOptions { Port = address.Port });
        var replies = await Task.WhenAll(receipts.Select(r => queue.Queue.WaitForReplyAsync(r, Ct)));
        Assert.All(replies, reply => Assert.Equal(("You wrote: “hi”.", 1), (reply.Text, reply.Attempt)));
        Assert.Contains(queue.Log.GetSnapshot(), r => r.Id.Id == 304 && r.Message.Contains("Look at AssistantQueue:OpenAI:Endpoint.", StringComparison.Ordinal));
        Assert.Equal(Threads, late.Ledger.Snapshot().TimesPosted("hi"));
        Assert.Empty(queue.Retried);
        await queue.EndAsync();
    }

    private static async Task DeleteConversationAsync(TroubledApi queue)
    {
        var run = queue.Ledger.Runs.Single();
        await queue.DeleteAsOtherAsync($"{(run.Api == "responses" ? "conversations" : "threads")}/{run.ConversationId}");
    }

    private async Task PausesAsync(OpenAIFault fault)
    {
        const int Threads = 3;
        await using var queue = await StartAsync(queue: o => o.MaxAttempts = 1);
        queue.Emulator.Options.Latency = TimeSpan.FromMilliseconds(200);
        var id = queue.Emulator.Faults.Add(fault);
        var receipts = await Task.WhenAll(Enumerable.Range(0, Threads).Select(t => queue.Queue.AddMessageToThreadAsync("c" + t, "hi", cancellationToken: Ct)));
        // What was under way together is refused together; from then on one is tried, after the first pause.
        await queue.Emulator.Ledger.WaitForAsync(l => l.Requests is [{ Status: not null }, ..] && Probes(l).Any(r => r.Status is not null), Ct);

        var status = await queue.Queue.GetQueueStatusAsync(Ct);
        Assert.Equal((0, 0, Threads), (status.FailedCount, status.CompletedCount, status.ActiveCount + status.WaitingCount + status.DelayedCount));
        Assert.Single(Probes(queue.Ledger));

        queue.Emulator.Faults.Remove(id);
        var replies = await Task.WhenAll(receipts.Select(r => queue.Queue.WaitForReplyAsync(r, Ct)));
        Assert.All(replies, reply => Assert.Equal(("You wrote: “hi”.", 1), (reply.Text, reply.Attempt)));
        var runs = queue.Ledger.Runs;
        Assert.True(runs[0].EndSequence < runs[1].Sequence, "A second run began beside the probe.");
        Assert.Empty(queue.Retried);
        await queue.EndAsync();

        static IEnumerable<LedgerRequest> Probes(LedgerSnapshot ledger) =>
            ledger.Requests.Where(r => r.ArrivedAt - ledger.Requests[0].ArrivedAt > TimeSpan.FromSeconds(4));
    }

    private Task<TroubledApi> StartAsync(
        Action<OpenAIOptions>? openAI = null, Action<AssistantQueueOptions>? queue = null, Action<IServiceCollection>? services = null) => TroubledApi.StartAsync(
        o =>
        {
            o.Model = IsResponses ? "gpt-test" : null;
            o.AssistantId = IsResponses ? null : "asst_test";
            openAI?.Invoke(o);
        },
        queue,
        services);

    /// <summary>Counts the calls that reached nobody.</summary>
    private sealed class Unreached() : DelegatingHandler(new SocketsHttpHandler())
    {
        private readonly SemaphoreSlim _failed = new(0);

        public async Task WaitForAsync(int count, CancellationToken cancellationToken)
        {
            for (var i = 0; i < count; i++)
            {
                await _failed.WaitAsync(cancellationToken);
            }
        }

        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            try
            {
                return await base.SendAsync(request, cancellationToken);
            }
            catch (HttpRequestException)
            {
                _failed.Release();
                throw;
            }
        }

        protected override void Dispose(bool disposing)
        {
            _failed.Dispose();
            base.Dispose(disposing);
        }
    }
}

public sealed class ResponsesTroubleTests() : ApiTroubleTests("responses");

public sealed class AssistantsTroubleTests() : ApiTroubleTests("assistants")
{
    [Fact]
    public async Task Api_ShutDownForAWhile_ForgetsNoThreadAndGoesOnInTheSame()
    {
        await using var queue = await TroubledApi.StartAsync(o => o.AssistantId = "asst_test", o => o.MaxAttempts = 1);
        await queue.AskAsync("c", "hi", Ct);

        // each call is answered 404 with its address, which has the thread's id in it
        queue.Emulator.Options.HasAssistants = false;
        var receipt = await queue.Queue.AddMessageToThreadAsync("c", "again", cancellationToken: Ct);
        await queue.Emulator.Ledger.WaitForAsync(l => l.Requests.Any(r => r.Status == 404), Ct);
        queue.Emulator.Options.HasAssistants = true;
        var reply = await queue.Queue.WaitForReplyAsync(receipt, Ct);

        Assert.Equal(("You wrote: “again”. Before that you had written 1 message.", 1), (reply.Text, reply.Attempt));
        Assert.Single(queue.Ledger.Runs.DistinctBy(r => r.ConversationId));
        Assert.Equal(["hi", "again"], queue.Ledger.TextsOf("c"));
        await queue.EndAsync();
    }
}
