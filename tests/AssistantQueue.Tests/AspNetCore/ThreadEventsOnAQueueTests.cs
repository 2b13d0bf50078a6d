using AssistantQueue.Tests.Enqueue;
using Microsoft.Extensions.DependencyInjection;

namespace AssistantQueue.Tests.AspNetCore;

/// <summary>The event stream of a real queue with a worker, on the embedded Redis.</summary>
public sealed class ThreadEventsOnAQueueTests(SharedRedis shared) : IClassFixture<SharedRedis>
{
    private readonly GatedBackend _backend = new();

    [Fact]
    public async Task Stream_FromMessageToReply_TellsEachStepOnce()
    {
        await using var host = await EventsHost.StartAsync(AddQueue);
        var queue = host.Services.GetRequiredService<IAssistantMessageQueue>();
        using var response = await host.OpenAsync("c1", query: "?after=0");

        var receipt = await queue.AddMessageToThreadAsync("c1", "hi");
        _backend.Open();
        var events = await host.ReadAsync(response, 3);

        Assert.Equal(["messagesStored", "batchStarted", "batchReplied"], events.Select(e => e.EventType));
        Assert.Contains(receipt.MessageId, events[0].Data, StringComparison.Ordinal);
        Assert.Contains("You said: hi", events[2].Data, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Stream_ClientComesBackWithTheLastId_MissesNothingAndSeesNothingTwice()
    {
        await using var host = await EventsHost.StartAsync(AddQueue);
        var queue = host.Services.GetRequiredService<IAssistantMessageQueue>();
        string? last;
        using (var response = await host.OpenAsync("c1", query: "?after=0"))
        {
            await queue.AddMessageToThreadAsync("c1", "hi");
            var events = await host.ReadAsync(response, 2);
            Assert.Equal("batchStarted", events[1].EventType);
            last = events[1].EventId;
        }

        // What happens while nobody watches.
        _backend.Open();
        await queue.WaitForReplyAsync(await queue.AddMessageToThreadAsync("c1", "and?"), host.Limit);

        using var again = await host.OpenAsync("c1", lastEventId: last, query: "?after=0");
        var missed = await host.ReadAsync(again, 3);

        Assert.Equal(2, missed.Count(e => e.EventType == "batchReplied"));
        Assert.Equal("You said: hi", ReplyIn(missed.First(e => e.EventType == "batchReplied").Data));
        Assert.All(missed, e => Assert.True(long.Parse(e.EventId!, null) > long.Parse(last!, null)));
        Assert.Equal(missed.Count, missed.Select(e => e.EventId).Distinct().Count());
    }

    [Fact]
    public async Task Stream_WatcherGoesInTheMiddleOfARun_TheRunGoesOn()
    {
        await using var host = await EventsHost.StartAsync(AddQueue);
        var queue = host.Services.GetRequiredService<IAssistantMessageQueue>();
        MessageReceipt receipt;
        using (var response = await host.OpenAsync("c1", query: "?after=0"))
        {
            receipt = await queue.AddMessageToThreadAsync("c1", "hi");
            Assert.Equal("batchStarted", (await host.ReadAsync(response, 2))[1].EventType);
        }

        _backend.Open();

        Assert.Equal("You said: hi", (await queue.WaitForReplyAsync(receipt, host.Limit)).Text);
    }

    [Fact]
    public async Task Stream_SomethingElseThanAPosition_IsABadRequest()
    {
        await using var host = await EventsHost.StartAsync(AddQueue);

        using var response = await host.OpenAsync("c1", query: "?after=yesterday");

        Assert.Equal(System.Net.HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Contains("yesterday", await response.Content.ReadAsStringAsync(host.Limit), StringComparison.Ordinal);
    }

    private static string? ReplyIn(string json) => System.Text.Json.JsonDocument.Parse(json).RootElement.GetProperty("reply").GetProperty("text").GetString();

    private void AddQueue(IServiceCollection services) => services
        .AddAssistantMessageQueue(o => (o.RedisConnectionString, o.QueuePrefix, o.MessageDelay) = (shared.Redis.ConnectionString, "events" + Guid.NewGuid().ToString("N"), TimeSpan.Zero))
        .UseBackend(_backend);
}
