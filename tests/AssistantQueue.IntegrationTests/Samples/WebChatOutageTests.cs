using System.Net;
using System.Net.Http.Json;
using AssistantQueue.Emulators;
using AssistantQueue.IntegrationTests.Faults;
using AssistantQueue.IntegrationTests.Running;

namespace AssistantQueue.IntegrationTests.Samples;

/// <summary>What WebChat's callers are told when Redis took a message and its answer is lost, and who asks for its health when Redis stands still.</summary>
[WaitsMostly]
public sealed class WebChatOutageTests
{
    // The queue asks for a minute before it says that it doesn't know.
    [Fact]
    public async Task Post_AnswerOfRedisIsLost_Is503WithTheMessageIdAndPostingItAgainStoresItOnce()
    {
        await using var redis = await EmbeddedRedis.StartAsync();
        await using var proxy = new TcpProxy(redis.ConnectionString);
        await using var chat = await WebChat.StartAsync(null, ("RedisConnectionString", proxy.Address), ("RunWorker", "false"), ("MessageDelay", "01:00:00"));
        await chat.PostAsync("c1", new { text = "one" });

        proxy.HoldAnswers();
        using var lost = await chat.Client.PostAsJsonAsync("/api/threads/c1/messages", new { text = "two" });
        proxy.Release();

        var problem = await Problem.AssertAsync(lost, HttpStatusCode.ServiceUnavailable, "same messageId");
        Assert.NotNull(lost.Headers.RetryAfter);
        var again = await chat.PostAsync("c1", new { text = "two", messageId = problem.GetProperty("messageId").GetString() });
        Assert.True(again.GetProperty("isDuplicate").GetBoolean());
        Assert.Equal(2, await chat.PendingAsync());
    }

    // The client itself would wait ten minutes for the answer.
    [Fact]
    public async Task Health_RedisStandsStill_Is503WhileItDoes()
    {
        await using var redis = await EmbeddedRedis.StartAsync();
        await using var proxy = new TcpProxy(redis.ConnectionString);
        await using var chat = await WebChat.StartAsync(
            null, ("RedisConnectionString", proxy.Address + ",asyncTimeout=600000,syncTimeout=600000"), ("RunWorker", "false"));
        using var before = await chat.Client.GetAsync("/health");
        Assert.Equal(HttpStatusCode.OK, before.StatusCode);

        proxy.Hold();
        using var health = await chat.Client.GetAsync("/health");

        Assert.Equal(HttpStatusCode.ServiceUnavailable, health.StatusCode);
        Assert.Contains("answer within 2 seconds", await health.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }
}
