using System.Net;
using System.Net.Http.Json;
using System.Text.Json;

namespace AssistantQueue.IntegrationTests.Samples;

/// <summary>The WebChat process with nothing configured: its emulators, its death, and the worker beside it.</summary>
public sealed class WebChatTests
{
    [Fact]
    public async Task WebChat_NothingConfigured_ThreeMessagesBecomeOneRunAndOneReply()
    {
        using var folder = new TemporaryFolder();
        await using var chat = await WebChat.StartAsync(folder.Path, ("MessageDelay", "00:00:05"));
        Assert.Contains("embedded in this program", chat.Process.Output, StringComparison.Ordinal);

        var ids = new List<string>();
        foreach (var text in new[] { "hi", "one question", "is my order 4711 late?" })
        {
            ids.Add((await chat.PostAsync("c1", new { text, instructions = "Be polite." })).GetProperty("messageId").GetString()!);
        }

        using var response = await chat.ReplyAsync("c1", ids[0]);
        var reply = await response.Content.ReadFromJsonAsync<JsonElement>();

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(ids, reply.GetProperty("messageIds").EnumerateArray().Select(id => id.GetString()!));
        Assert.Contains("4711", reply.GetProperty("text").GetString(), StringComparison.Ordinal);
        using var emulator = chat.Emulator();
        var run = Assert.Single((await emulator.GetLedgerAsync()).Runs);
        Assert.Equal(["hi", "one question", "is my order 4711 late?"], run.Texts);
        Assert.Equal("Be polite.", run.Instructions);
        Assert.Equal(reply.GetProperty("batchId").GetString(), run.BatchId);
    }

    [Fact]
    public async Task WebChat_KilledWhileItAnswers_EveryAcknowledgedMessageIsAnsweredOnceAfterTheNextStart()
    {
        using var folder = new TemporaryFolder();
        (string, string)[] settings = [("MessageDelay", "00:00:01"), ("LockDuration", "00:00:05"), ("UnknownOutcomeWait", "00:00:02")];
        var acknowledged = new List<(string Thread, string Id, string Text)>();
        var chat = await WebChat.StartAsync(folder.Path, settings);
        await using (chat)
        {
            for (var i = 0; i < 30; i++)
            {
                var (thread, text) = ($"c{i % 10}", $"message {i}");
                acknowledged.Add((thread, (await chat.PostAsync(thread, new { text })).GetProperty("messageId").GetString()!, text));
            }

            await chat.Process.SaysAsync(@"is run\.");
            await chat.Process.KillAsync();
        }

        await using var again = await WebChat.StartAsync(folder.Path, settings);
        foreach (var (thread, id, _) in acknowledged)
        {
            using var response = await again.ReplyAsync(thread, id, timeout: 120);
            Assert.True(response.StatusCode == HttpStatusCode.OK, $"{thread}/{id}: {response.StatusCode} {await response.Content.ReadAsStringAsync()}\n{again.Process.Output}");
        }

        using var emulator = again.Emulator();
        var ledger = await emulator.GetLedgerAsync();
        Assert.Equal(acknowledged.Select(m => m.Text).Order(), ledger.Messages.Where(m => m.Kept).Select(m => m.Text).Order());
        Assert.Empty(ledger.Overlaps);
        // The emulated conversation takes one response at a time: a second one would be here.
        Assert.Empty(ledger.Refusals);
    }

    [Fact]
    public async Task WebChat_ProducerOnly_AWorkerHostOnTheSameRedisAnswers()
    {
        using var folder = new TemporaryFolder();
        await using var chat = await WebChat.StartAsync(folder.Path, ("RunWorker", "false"), ("MessageDelay", "00:00:00.5"));
        var port = (await chat.Process.SaysAsync(@"127\.0\.0\.1:(\d+), data in")).Groups[1].Value;
        var receipt = await chat.PostAsync("c1", new { text = "who is there?" });

        await using var worker = SampleProcess.Start("WorkerHost", new Dictionary<string, string>
        {
            ["AssistantQueue__RedisConnectionString"] = "127.0.0.1:" + port,
            ["AssistantQueue__Emulators__DataDirectory"] = "",
        });
        await worker.SaysAsync("WorkerHost is ready");
        using var response = await chat.ReplyAsync("c1", receipt.GetProperty("messageId").GetString()!);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        await worker.SaysAsync("1 messages answered by batch");
    }

    [Fact]
    public async Task Post_ThreadFull_Is429WithRetryAfterAndStoresNothing()
    {
        await using var chat = await WebChat.StartAsync(null, ("MaxPendingMessages", "2"), ("MaxBatchMessages", "2"), ("RunWorker", "false"));
        await chat.PostAsync("c1", new { text = "one" });
        await chat.PostAsync("c1", new { text = "two" });

        using var response = await chat.Client.PostAsJsonAsync("/api/threads/c1/messages", new { text = "three" });

        await Problem.AssertAsync(response, HttpStatusCode.TooManyRequests, "MaxPendingMessages");
        Assert.NotNull(response.Headers.RetryAfter);
        Assert.Equal(2, await chat.PendingAsync());
    }

    [Fact]
    public async Task RedisAway_HostStartsAndSaysSoWithoutItsPassword()
    {
        await using var chat = await WebChat.StartAsync(null, ("RedisConnectionString", "redis://app:hush/hush@127.0.0.1:1,127.0.0.1:2"), ("ConnectTimeout", "00:00:01"));

        using var post = await chat.Client.PostAsJsonAsync("/api/threads/c1/messages", new { text = "hi" });
        using var health = await chat.Client.GetAsync("/health");

        await Problem.AssertAsync(post, HttpStatusCode.ServiceUnavailable, "Redis");
        Assert.NotNull(post.Headers.RetryAfter);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, health.StatusCode);
        var setup = await chat.Client.GetFromJsonAsync<JsonElement>("/api/queue/setup");
        Assert.Equal("127.0.0.1:1, 127.0.0.1:2", setup.GetProperty("redis").GetString());
        Assert.DoesNotContain("hush", chat.Process.Output, StringComparison.Ordinal);
    }
}
