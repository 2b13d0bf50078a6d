using System.Net;
using System.Net.Http.Json;
using System.Net.ServerSentEvents;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace AssistantQueue.IntegrationTests.Samples;

/// <summary>WebChat's HTTP interface: its page, its events, and what it answers when something is wrong.</summary>
public sealed class WebChatInterfaceTests(SharedWebChat shared) : IClassFixture<SharedWebChat>
{
    private readonly WebChat _chat = shared.Chat;

    [Fact]
    public async Task Post_BrokenRule_Is400AndNamesIt()
    {
        (string Thread, string Body, string Says)[] cases =
        [
            ("rules", """{"text":""}""", "Text must not be empty"),
            ("rules", "{}", "Text must not be empty"),
            ("rules", """{"text":" \n "}""", "white space"),
            ("rules", """{"text":"hi","delay":-1}""", "30 days"),
            ("rules", """{"text":"hi","delay":"40.00:00:00"}""", "30 days"),
            ("rules", """{"text":"hi","delay":"soon"}""", "number of seconds"),
            ("rules", """{"text":"hi","messageId":""}""", "MessageId must not be empty"),
            ("rules", """{"text":"hi","messageId":"a\u0007b"}""", "control"),
            (new string('x', 257), """{"text":"hi"}""", "1 to 256"),
            ("c%01", """{"text":"hi"}""", "control"),
            ("rules", """{"text":""", "JSON"),
        ];

        var before = await _chat.PendingAsync();
        foreach (var (thread, body, says) in cases)
        {
            using var content = new StringContent(body, Encoding.UTF8, "application/json");
            using var response = await _chat.Client.PostAsync($"/api/threads/{thread}/messages", content);
            await Problem.AssertAsync(response, HttpStatusCode.BadRequest, says);
        }

        Assert.Equal(before, await _chat.PendingAsync());
    }

    [Fact]
    public async Task Reply_Refused_SaysWhy()
    {
        var late = (await _chat.PostAsync("late", new { text = "later", delay = "01:00:00" })).GetProperty("messageId").GetString()!;

        using var tooLong = await _chat.ReplyAsync("late", late, timeout: 121);
        using var tooShort = await _chat.ReplyAsync("late", late, timeout: 0);
        using var timeUp = await _chat.ReplyAsync("late", late, timeout: 1);
        using var unknown = await _chat.ReplyAsync("late", "nobody-said-this", timeout: 1);

        await Problem.AssertAsync(tooLong, HttpStatusCode.BadRequest, "between 1 and 120");
        await Problem.AssertAsync(tooShort, HttpStatusCode.BadRequest, "between 1 and 120");
        Assert.Equal(HttpStatusCode.NoContent, timeUp.StatusCode);
        await Problem.AssertAsync(unknown, HttpStatusCode.NotFound, "nobody-said-this");
    }

    [Fact]
    public async Task Reply_MessageOfAnotherProgramWithoutAnIdOfItsOwn_IsFoundByItsSequence()
    {
        var receipt = await AddFromAnotherProgramAsync("sequence", "hi");

        using var byId = await _chat.ReplyAsync("sequence", receipt.MessageId, timeout: 5);
        using var bySequence = await _chat.Client.GetAsync($"/api/threads/sequence/messages/{receipt.MessageId}/reply?sequence={receipt.Sequence}");

        await Problem.AssertAsync(byId, HttpStatusCode.NotFound, receipt.MessageId);
        var reply = await bySequence.Content.ReadFromJsonAsync<JsonElement>();
        Assert.Equal(receipt.MessageId, Assert.Single(reply.GetProperty("messageIds").EnumerateArray()).GetString());
    }

    [Fact]
    public async Task Post_Accepted_SaysWhereTheReplyWillBe()
    {
        using var accepted = await _chat.Client.PostAsJsonAsync("/api/threads/a%2Fb/messages", new { text = "hi", messageId = "m/1" });
        using var reply = await _chat.Client.GetAsync(accepted.Headers.Location);

        Assert.Equal(HttpStatusCode.OK, reply.StatusCode);
        Assert.Equal("a/b", (await reply.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("threadId").GetString());
    }

    [Fact]
    public async Task Reply_MessagesGivenUp_Is422WithTheFailure()
    {
        var id = (await _chat.PostAsync("given-up", new { text = "/fail" })).GetProperty("messageId").GetString()!;

        using var response = await _chat.ReplyAsync("given-up", id);

        var problem = await Problem.AssertAsync(response, HttpStatusCode.UnprocessableEntity, "given up");
        var failure = problem.GetProperty("failure");
        Assert.Equal("AttemptsExhausted", failure.GetProperty("kind").GetString());
        Assert.Equal(id, Assert.Single(failure.GetProperty("messageIds").EnumerateArray()).GetString());
    }

    [Fact]
    public async Task Post_SameMessageIdTwice_StoresOnceAndGivesTheFirstReceipt()
    {
        var first = await _chat.PostAsync("twice", new { text = "hi", messageId = "wamid.1", delay = 3600.5 });
        var before = await _chat.PendingAsync();
        var second = await _chat.PostAsync("twice", new { text = "hi", messageId = "wamid.1" });

        // The sequence number is Redis' time in µs at which the message was stored.
        var stored = DateTimeOffset.UnixEpoch.AddMicroseconds(first.GetProperty("sequence").GetInt64());
        Assert.InRange(first.GetProperty("dueAt").GetDateTimeOffset() - stored, TimeSpan.FromSeconds(3600.49), TimeSpan.FromSeconds(3600.51));
        Assert.True(second.GetProperty("isDuplicate").GetBoolean());
        Assert.Equal(first.GetProperty("sequence").GetInt64(), second.GetProperty("sequence").GetInt64());
        Assert.Equal(before, await _chat.PendingAsync());
    }

    [Fact]
    public async Task Events_OfAThread_ComeInOrderAndGoOnAfterTheLastId()
    {
        await _chat.PostAsync("events", new { text = "hi" });

        var all = await EventsAsync("events", lastEventId: null, until: "batchReplied");
        await _chat.PostAsync("events", new { text = "and again" });
        var rest = await EventsAsync("events", lastEventId: all[^1].EventId, until: "batchReplied");

        Assert.Equal("batchReplied", all[^1].EventType);
        Assert.Contains("batchReplied", rest.Select(e => e.EventType));
        Assert.Empty(all.Select(e => e.EventId).Intersect(rest.Select(e => e.EventId)));
    }

    [Fact]
    public async Task Page_IsServedWithEverythingItNeeds()
    {
        var page = await _chat.Client.GetStringAsync("/");

        Assert.DoesNotContain("http://", page, StringComparison.Ordinal);
        Assert.DoesNotContain("https://", page, StringComparison.Ordinal);
        var needed = FilesOf(page, @"(?:href|src)=""([\w/-]+\.\w+)""", folder: "/");
        for (var i = 0; i < needed.Count; i++)
        {
            using var response = await _chat.Client.GetAsync(needed[i]);
            Assert.True(response.IsSuccessStatusCode, needed[i]);
            if (needed[i].EndsWith(".js", StringComparison.Ordinal))
            {
                needed.AddRange(FilesOf(await response.Content.ReadAsStringAsync(), @"from '\./([\w-]+\.js)'", folder: "/js/").Except(needed));
            }
        }

        Assert.ProperSuperset(new HashSet<string> { "/app.css", "/js/status.js", "/js/storage.js" }, needed.ToHashSet());

        var status = await _chat.Client.GetFromJsonAsync<JsonElement>("/api/queue/status");
        Assert.All(
            ["activeCount", "waitingCount", "delayedCount", "completedCount", "failedCount", "activeThreads", "waitingThreads", "delayedThreads"],
            name => Assert.InRange(status.GetProperty(name).GetInt64(), 0, 100));
        Assert.Equal("Healthy", (await _chat.Client.GetFromJsonAsync<JsonElement>("/health")).GetProperty("status").GetString());
    }

    // A producer of its own on WebChat's Redis.
    private async Task<MessageReceipt> AddFromAnotherProgramAsync(string threadId, string text)
    {
        var redis = "127.0.0.1:" + (await _chat.Process.SaysAsync(@"127\.0\.0\.1:(\d+), data in")).Groups[1].Value;
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddAssistantMessageQueue(o => (o.RedisConnectionString, o.MessageDelay) = (redis, TimeSpan.Zero)).ProducerOnly();
        using var host = builder.Build();
        await host.StartAsync();
        var receipt = await host.Services.GetRequiredService<IAssistantMessageQueue>().AddMessageToThreadAsync(threadId, text);
        await host.StopAsync();
        return receipt;
    }

    private static List<string> FilesOf(string text, string pattern, string folder) => [.. Regex.Matches(text, pattern).Select(m => folder + m.Groups[1].Value)];

    private async Task<List<SseItem<string>>> EventsAsync(string threadId, string? lastEventId, string until)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        using var request = new HttpRequestMessage(HttpMethod.Get, $"/api/threads/{threadId}/events?after=0");
        if (lastEventId is not null)
        {
            request.Headers.Add("Last-Event-ID", lastEventId);
        }

        using var response = await _chat.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, limit.Token);
        var items = new List<SseItem<string>>();
        await foreach (var item in SseParser.Create(await response.Content.ReadAsStreamAsync(limit.Token)).EnumerateAsync(limit.Token))
        {
            items.Add(item);
            if (item.EventType == until)
            {
                break;
            }
        }

        return items;
    }
}
