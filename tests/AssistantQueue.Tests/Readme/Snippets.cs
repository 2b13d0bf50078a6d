using System.Net.Http.Json;
using System.Runtime.CompilerServices;
using Microsoft.Agents.AI;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace AssistantQueue.Tests.Readme;

/// <summary>The README's C# snippets, so that they compile; each lies between region and endregion, word for word. They are run by <see cref="ReadmeTests"/> and <see cref="ReadmeAppTests"/>.</summary>
internal static class Snippets
{
    public static async Task<AssistantReply> TenLinesAsync(string[] args)
    {
        #region ten-lines
        var builder = Host.CreateApplicationBuilder(args);
        builder.Services.AddAssistantMessageQueue()
            .UseOpenAI(o => o.Model = "gpt-5-mini")
            .UseEmbeddedRedis()       // leave out, and set AssistantQueue:RedisConnectionString
            .UseOpenAIEmulator();     // leave out, and set AssistantQueue:OpenAI:ApiKey
        using var host = builder.Build();
        await host.StartAsync();

        var queue = host.Services.GetRequiredService<IAssistantMessageQueue>();
        await queue.AddMessageToThreadAsync("alice", "hi");
        var reply = await queue.AskAsync("alice", "is my order late? number 4711");
        Console.WriteLine(reply.Text);    // one run, one reply to both
        #endregion
        await host.StopAsync();
        return reply;
    }

    public static void Register(WebApplicationBuilder builder)
    {
        #region register
        builder.Services.AddAssistantMessageQueue()      // settings: section "AssistantQueue"
            .UseOpenAI()                                 // settings: section "AssistantQueue:OpenAI"
            .AddReplyHandler<SendToUser>();              // gets replies and failures, in worker hosts
        #endregion
    }

    public static void ProducerOnly(WebApplicationBuilder builder)
    {
        #region producer-only
        builder.Services.AddAssistantMessageQueue().ProducerOnly();
        #endregion
    }

    public static void ChatClient(WebApplicationBuilder builder, IChatClient ollama)
    {
        #region chat-client
        builder.Services.AddChatClient(ollama);                // or any other IChatClient
        builder.Services.AddAssistantMessageQueue()
            .UseChatClient(o => o.MaxHistoryMessages = 40)     // settings: section "AssistantQueue:ChatClient"
            .AddTool(AIFunctionFactory.Create(FindOrder));
        #endregion
    }

    public static void Agent(WebApplicationBuilder builder, AIAgent agent)
    {
        #region agent
        builder.Services.AddSingleton<AIAgent>(agent);         // or keyed by the queue's name
        builder.Services.AddAssistantMessageQueue().UseAgent();
        #endregion
    }

    public static void Tools(WebApplicationBuilder builder)
    {
        #region tools
        builder.Services.AddAssistantMessageQueue()
            .UseOpenAI()
            .AddTool(AIFunctionFactory.Create(FindOrder, "find_order"))
            .AddTool(new ApprovalRequiredAIFunction(AIFunctionFactory.Create(Refund, "refund")));

        static string FindOrder(string number, IServiceProvider services) =>          // services of a scope of the call's own
            services.GetRequiredService<Orders>().StatusOf(number);

        static string Refund(string number, decimal euros, AIFunctionArguments arguments) =>
            $"Refunded {euros} for {number}, reference {arguments.GetToolCall()!.CallId}.";
        #endregion
    }

    public static void Named(IServiceCollection services)
    {
        #region named
        services.AddAssistantMessageQueue("sales").UseOpenAI();       // AssistantQueue:Queues:sales, prefix assistant-sales
        services.AddAssistantMessageQueue("support", o => o.Concurrency = 20).UseBackend<Echo>();
        services.AddSingleton<Desk>();
        #endregion
    }

    public static async Task WatchAsync(IAssistantMessageQueue queue, string? lastPosition, CancellationToken cancellationToken)
    {
        #region watch
        await foreach (var update in queue.WatchThreadAsync("alice", after: lastPosition, cancellationToken))
        {
            Console.WriteLine(update switch
            {
                MessagesStored stored => $"waiting: {string.Join(", ", stored.MessageIds)}",
                BatchStarted started => $"run {started.Attempt} of {started.BatchId}",
                TextDelta delta => delta.Text,
                ToolCalled call => $"calls {call.Name}({call.Arguments})",
                BatchReplied { Reply: var reply } => reply.Text,
                BatchRetrying retrying => $"again at {retrying.RetryAt}",
                BatchFailed { Failure: var failure } => failure.Error,
                _ => "",
            });
            lastPosition = update.Position;
        }
        #endregion
    }

    // A method and no local function, whose name the model would be told with its surroundings'.
    private static string FindOrder(int number) => $"{number} is on its way.";
}

#region controller
[ApiController, Route("conversations/{threadId}/messages")]
public sealed class MessagesController(IAssistantMessageQueue queue) : ControllerBase
{
    [HttpPost]
    public async Task<MessageReceipt> Post(string threadId, [FromBody] Incoming incoming, CancellationToken cancellationToken) =>
        await queue.EnqueueAsync(new AssistantMessage { ThreadId = threadId, Text = incoming.Text, MessageId = incoming.Id }, cancellationToken);
}

public sealed record Incoming(string Text, string? Id);
#endregion

#region handler
public sealed class SendToUser(IChannel channel) : IAssistantReplyHandler
{
    public Task OnReplyAsync(AssistantReply reply, CancellationToken cancellationToken) =>
        channel.SendAsync(reply.ThreadId, reply.Text, idempotencyKey: reply.BatchId, cancellationToken);

    public Task OnFailedAsync(FailedBatch failure, CancellationToken cancellationToken) =>
        channel.SendAsync(failure.ThreadId, "Sorry, that didn't work.", idempotencyKey: failure.BatchId, cancellationToken);
}
#endregion

#region keyed
public sealed class Desk([FromKeyedServices("support")] IAssistantMessageQueue queue)
{
    public Task<AssistantReply> AskAsync(string customer, string text) => queue.AskAsync(customer, text);
}
#endregion

#region backend
public sealed class JobsBackend(HttpClient api) : IAssistantBackend
{
    public async IAsyncEnumerable<RunUpdate> RunAsync(BatchRun run, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if (run.Journal.LastRound is not { } round)     // else an earlier owner began: go on with its job
        {
            run.Journal.Rounds.Add(round = new JournalRound { PostingAt = DateTimeOffset.UtcNow });
            await run.SaveAsync(cancellationToken);     // before the post, so that the next owner knows of it
        }
        if (round.RunId is null)
        {
            run.ThrowIfNotOwned();                      // suspended since? somebody else owns the thread by now
            var texts = run.UnpostedInputs.Select(input => string.Concat(input.Contents));
            var post = new { key = $"{run.BatchId}-{round.PostingAt.Ticks}", session = run.Conversation["session"], texts };
            round.RunId = (await CallAsync(api.PostAsJsonAsync("jobs", post, cancellationToken))).Id;
            run.Journal.IsAdoptable = true;             // a deploy hands the job over to another worker
            await run.SaveAsync(cancellationToken);
        }

        for (var told = 0; ; await Task.Delay(100, cancellationToken))
        {
            var job = await CallAsync(api.GetAsync($"jobs/{round.RunId}", cancellationToken));
            if (job.State == "failed") throw new AssistantBackendException(BackendErrorKind.Permanent, job.Text);
            yield return new RunTextDelta(job.Text[told..]);
            told = job.Text.Length;
            if (job.State == "done")
            {
                run.Conversation["session"] = job.Session;   // stored together with the reply
                yield return new RunCompleted { Text = job.Text, RunId = job.Id };
                yield break;
            }
        }
    }

    public Task CancelAsync(BatchRun run, CancellationToken cancellationToken) =>
        run.Journal.LastRound?.RunId is { } id ? CallAsync(api.DeleteAsync($"jobs/{id}", cancellationToken)) : Task.CompletedTask;
    private static async Task<Job> CallAsync(Task<HttpResponseMessage> call) =>   // throws HttpRequestException: tried again, with the same key
        (await (await call).EnsureSuccessStatusCode().Content.ReadFromJsonAsync<Job>())!;
    private sealed record Job(string Id, string State, string Text, string Session);
}
#endregion

/// <summary>The backend that stands for the app's own in the README's named queues.</summary>
public sealed class Echo : IAssistantBackend
{
    public async IAsyncEnumerable<RunUpdate> RunAsync(BatchRun run, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await Task.Yield();
        yield return new RunCompleted { Text = string.Join("\n", run.Messages.SelectMany(m => m.Contents)) };
    }
}

/// <summary>What the README's handler sends with.</summary>
public interface IChannel
{
    Task SendAsync(string threadId, string text, string idempotencyKey, CancellationToken cancellationToken);
}

/// <summary>What the snippet's tool asks.</summary>
public sealed class Orders
{
    private readonly string _answer = "is on its way.";

    public string StatusOf(string number) => $"Order {number} {_answer}";
}
