using System.Net;
using System.Text.Json;
using AssistantQueue.AspNetCore;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;

namespace AssistantQueue.Tests.AspNetCore;

/// <summary>The event stream over a real Kestrel, of a thread that says what the test wants.</summary>
public sealed class ThreadEventsTests
{
    private static readonly AssistantReply Reply = new()
    {
        ThreadId = "c1",
        BatchId = "b1",
        Text = "Grüße <b>\nzwei",
        Contents = [new TextContent("Grüße <b>\nzwei"), new UriContent("https://example.org/a.png", "image/png")],
        MessageIds = ["m1", "m2"],
        FirstSequence = 11,
        LastSequence = 12,
        Usage = new UsageDetails { InputTokenCount = 7 },
    };

    [Fact]
    public async Task Stream_UpdatesOfAThread_AreEventsWithTypePositionAndJson()
    {
        await using var host = await EventsHost.StartAsync();
        using var response = await host.OpenAsync("c1");
        host.Queue.Say(new BatchStarted { ThreadId = "c1", Position = "21", BatchId = "b1", FirstSequence = 11, LastSequence = 12, MessageIds = ["m1", "m2"], Attempt = 2 });
        host.Queue.Say(new BatchReplied { ThreadId = "c1", Position = "22", Reply = Reply });

        var events = await host.ReadAsync(response, 2);

        Assert.Equal("text/event-stream", response.Content.Headers.ContentType!.MediaType);
        Assert.Equal(["batchStarted", "batchReplied"], events.Select(e => e.EventType));
        Assert.Equal(["21", "22"], events.Select(e => e.EventId));
        Assert.All(events, e => Assert.Equal(TimeSpan.FromSeconds(2), e.ReconnectionInterval));
        Assert.Equal(
            """{"type":"batchStarted","batchId":"b1","firstSequence":11,"lastSequence":12,"messageIds":["m1","m2"],"attempt":2,"threadId":"c1","position":"21"}""",
            events[0].Data);
        var reply = JsonDocument.Parse(events[1].Data).RootElement.GetProperty("reply");
        Assert.Equal("Grüße <b>\nzwei", reply.GetProperty("text").GetString());
        Assert.Equal(["m1", "m2"], reply.GetProperty("messageIds").EnumerateArray().Select(id => id.GetString()));
        Assert.Equal(["text", "uri"], reply.GetProperty("contents").EnumerateArray().Select(c => c.GetProperty("$type").GetString()));
        Assert.Equal(7, reply.GetProperty("usage").GetProperty("inputTokenCount").GetInt32());
    }

    [Theory]
    [InlineData(null, "", null)]
    [InlineData(null, "?after=5", "5")]
    [InlineData("9", "", "9")]
    [InlineData("9", "?after=5", "9")]
    public async Task Stream_LastEventIdOrAfter_IsWhereTheQueueBegins(string? lastEventId, string query, string? after)
    {
        await using var host = await EventsHost.StartAsync();

        using var response = await host.OpenAsync("c1", lastEventId, query);

        Assert.Equal(after, host.Queue.After);
    }

    [Theory]
    [InlineData("team/7")]
    [InlineData("whatsapp:+49 151/ü")]
    public async Task Stream_ThreadIdWithReservedCharacters_ReachesTheQueueAsItIs(string threadId)
    {
        await using var host = await EventsHost.StartAsync();

        using var response = await host.OpenAsync(threadId);

        Assert.Equal(threadId, host.Queue.ThreadId);
    }

    [Fact]
    public async Task Stream_Silence_SendsComments()
    {
        await using var host = await EventsHost.StartAsync(o => o.HeartbeatInterval = TimeSpan.FromMilliseconds(100));
        using var response = await host.OpenAsync("c1");

        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(host.Limit));
        var lines = new List<string?>();
        for (var i = 0; i < 6; i++)
        {
            lines.Add(await reader.ReadLineAsync(host.Limit));
        }

        Assert.Equal([": ", "", ": ", "", ": ", ""], lines);
    }

    [Fact]
    public async Task Stream_ClientGoes_OnlyTheWatchingEnds()
    {
        await using var host = await EventsHost.StartAsync();
        var response = await host.OpenAsync("c1");

        response.Dispose();

        await host.Queue.Ended.WaitAsync(host.Limit);
    }

    [Fact]
    public async Task Stream_HostStops_EndsInOrder()
    {
        await using var host = await EventsHost.StartAsync();
        using var response = await host.OpenAsync("c1");

        await host.StopAsync();

        Assert.Empty(await host.ReadAsync(response, 1));
        Assert.True(host.Queue.Ended.IsCompleted);
    }

    [Fact]
    public async Task Stream_QueueUnavailable_EndsInOrderSoThatTheClientComesBack()
    {
        await using var host = await EventsHost.StartAsync();
        using var response = await host.OpenAsync("c1");
        host.Queue.Say(new MessagesStored { ThreadId = "c1", Position = "1", MessageIds = ["m1"], FirstSequence = 1, LastSequence = 1 });

        host.Queue.Break(new QueueUnavailableException("Redis is away."));

        Assert.Equal("messagesStored", Assert.Single(await host.ReadAsync(response, 2)).EventType);
    }

    [Fact]
    public async Task Stream_BrokenThreadId_IsABadRequestThatNamesTheRule()
    {
        await using var host = await EventsHost.StartAsync();

        using var response = await host.OpenAsync(new string('x', 257));

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType!.MediaType);
        var problem = JsonDocument.Parse(await response.Content.ReadAsStringAsync(host.Limit)).RootElement;
        Assert.Equal("A thread id has 1 to 256 characters; this one has more.", problem.GetProperty("detail").GetString());
    }

    [Fact]
    public void EveryUpdate_HasANameAndJson()
    {
        var types = typeof(ThreadUpdate).Assembly.GetTypes().Where(t => t.IsSubclassOf(typeof(ThreadUpdate)) && !t.IsAbstract).ToList();

        Assert.NotEmpty(types);
        foreach (var type in types)
        {
            var update = (ThreadUpdate)System.Runtime.CompilerServices.RuntimeHelpers.GetUninitializedObject(type);
            var name = char.ToLowerInvariant(type.Name[0]) + type.Name[1..];
            Assert.Equal(name, ThreadEventJson.NameOf(update));
            Assert.StartsWith($"{{\"type\":\"{name}\"", ThreadEventJson.Serialize(update), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Map_QueueNotAdded_SaysWhatToCall()
    {
        var builder = WebApplication.CreateSlimBuilder();
        var app = builder.Build();

        var unnamed = Assert.Throws<InvalidOperationException>(() => app.MapAssistantThreadEvents());
        var named = Assert.Throws<InvalidOperationException>(() => app.MapAssistantThreadEvents(configure: o => o.QueueName = "support"));

        Assert.Contains("AddAssistantMessageQueue()", unnamed.Message, StringComparison.Ordinal);
        Assert.Contains("AddAssistantMessageQueue(\"support\")", named.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Map_BadArguments_Throws()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Services.AddSingleton<IAssistantMessageQueue>(new WatchedQueue());
        var app = builder.Build();

        Assert.Throws<ArgumentException>(() => app.MapAssistantThreadEvents("/events"));
        Assert.Throws<ArgumentException>(() => app.MapAssistantThreadEvents(configure: o => o.HeartbeatInterval = TimeSpan.Zero));
        Assert.Throws<ArgumentException>(() => app.MapAssistantThreadEvents(configure: o => o.ReconnectionInterval = TimeSpan.FromHours(1)));
    }
}
