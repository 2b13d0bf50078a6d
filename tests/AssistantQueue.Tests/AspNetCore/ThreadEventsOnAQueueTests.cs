using System.Net.ServerSentEvents;
using System.Text.Json;
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

        // What happens while nobody watches: one more message is stored behind the run and answered by the next.
        var second = await queue.AddMessageToThreadAsync("c1", "and?");
        _backend.Open();
        await queue.WaitForReplyAsync(second, host.Limit);

        using var again = await host.OpenAsync("c1", lastEventId: last, query: "?after=0");
        var missed = await host.ReadAsync(again, 4);

        Assert.Equal(["messagesStored", "batchReplied", "batchStarted", "batchReplied"], missed.Select(e => e.EventType));
        Assert.Equal(["You said: hi", "You said: and?"], missed.Where(e => e.EventType == "batchReplied").Select(e => ReplyIn(e.Data)));
        Assert.All((int[])[0, 2], i => Assert.Equal([second.MessageId], IdsIn(missed[i].Data)));
        Assert.All(missed, e => Assert.True(long.Parse(e.EventId!, null) > long.Parse(last!, null)));
        Assert.Equal(missed.Count, missed.Select(e => e.EventId).Distinct().Count());
    }

    [Fact]
    public async Task Stream_CutInTheMiddleOfAText_GoesOnBehindTheLastPiece()
    {
        await using var host = await EventsHost.StartAsync(AddQueue);
        var queue = host.Services.GetRequiredService<IAssistantMessageQueue>();
        var events = new List<SseItem<string>>();
        using (var response = await host.OpenAsync("c1", query: "?after=0"))
        {
            await queue.AddMessageToThreadAsync("c1", "hi");
            _backend.Write("Once");
            events.AddRange(await host.ReadAsync(response, 3));
        }

        Assert.Equal("textDelta", events[^1].EventType);
        Assert.Matches("^[0-9]+[.]1$", events[^1].EventId);
        foreach (var piece in (string[])[" upon", " a", " time"])
        {
            _backend.Write(piece);
            using var response = await host.OpenAsync("c1", lastEventId: events[^1].EventId, query: "?after=0");
            events.AddRange(await host.ReadAsync(response, 1));
        }

        _backend.Open();
        using (var response = await host.OpenAsync("c1", lastEventId: events[^1].EventId))
        {
            events.AddRange(await host.ReadAsync(response, 1));
        }

        Assert.Equal(["messagesStored", "batchStarted", "textDelta", "textDelta", "textDelta", "textDelta", "batchReplied"], events.Select(e => e.EventType));
        var deltas = events.Where(e => e.EventType == "textDelta").Select(e => JsonDocument.Parse(e.Data).RootElement).ToList();
        Assert.Equal([(0, "Once"), (4, " upon"), (9, " a"), (11, " time")], deltas.Select(d => (d.GetProperty("offset").GetInt32(), d.GetProperty("text").GetString()!)));
        Assert.Equal(events.Count, events.Select(e => e.EventId).Distinct().Count());
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
        Assert.Equal(
            "'yesterday' is not the position of an update.",
            JsonDocument.Parse(await response.Content.ReadAsStringAsync(host.Limit)).RootElement.GetProperty("detail").GetString());
    }

    private static List<string?> IdsIn(string json) => [.. JsonDocument.Parse(json).RootElement.GetProperty("messageIds").EnumerateArray().Select(id => id.GetString())];

    private static string? ReplyIn(string json) => JsonDocument.Parse(json).RootElement.GetProperty("reply").GetProperty("text").GetString();

    private void AddQueue(IServiceCollection services) => services
        .AddAssistantMessageQueue(o => (o.RedisConnectionString, o.QueuePrefix, o.MessageDelay) = (shared.Redis.ConnectionString, "events" + Guid.NewGuid().ToString("N"), TimeSpan.Zero))
        .UseBackend(_backend);
}
