using System.Globalization;
using System.Net.ServerSentEvents;
using System.Text.Json;
using AssistantQueue.Emulators;
using AssistantQueue.IntegrationTests.Redis;
using AssistantQueue.IntegrationTests.Samples;

namespace AssistantQueue.IntegrationTests.Pipeline;

/// <summary>Watching over processes: this one produces and watches, and another writes.</summary>
public sealed class WatchAcrossProcessesTests : ConversationTest
{
    [Theory]
    [MemberData(nameof(Apis))]
    public async Task Watch_WhileAnotherProcessWrites_SeesTheWholeTextOnceWhereverItReconnects(string api)
    {
        await using var rig = await StartAsync(api, "--DeltaPause", "00:00:00.050");
        await rig.StartWorkerAsync();
        using var limit = Patience();
        var receipt = await rig.Queue.AddMessageToThreadAsync("t", "a story\n/long 2000");
        var (after, text, positions, visits) = ("0", "", new List<string>(), 0);
        BatchReplied? replied = null;
        while (replied is null)
        {
            // Away after every third update, and back again; the tenth time to stay, and once it has seen something the rest comes at once.
            var (seen, before) = (0, text.Length);
            visits++;
            await foreach (var update in rig.Queue.WatchThreadAsync("t", after, limit.Token))
            {
                after = update.Position;
                positions.Add(after);
                if (update is TextDelta delta)
                {
                    Assert.Equal(text.Length, delta.Offset);
                    text += delta.Text;
                }

                replied = update as BatchReplied;
                if ((++seen == 3 && visits < 10) || replied is not null)
                {
                    break;
                }

                if (seen == 1 && visits == 10)
                {
                    await rig.Emulator.ChangeAsync(new EmulatorSettings { DeltaPauseMs = 0 }, limit.Token);
                }
            }

            Assert.True(text.Length > before, $"Visit {visits} saw no text.");
        }

        Assert.Equal(positions.Count, positions.Distinct().Count());
        Assert.Equal(10, visits);
        Assert.Equal(replied.Reply.Text, text);
        Assert.Equal([receipt.MessageId], replied.Reply.MessageIds);
    }

    [Theory]
    [MemberData(nameof(Apis))]
    public async Task Watch_WorkerIsKilledInTheMiddleOfAText_SeesTheNextRunAndNoMixOfTwoTexts(string api)
    {
        await using var rig = await StartAsync(api, "--DeltaPause", "00:00:00.050");
        var first = await rig.StartWorkerAsync();
        using var limit = Patience();
        var receipt = await rig.Queue.AddMessageToThreadAsync("t", "a story\n/long 2000");
        var (before, after) = (new List<ThreadUpdate>(), "0");
        await foreach (var update in rig.Queue.WatchThreadAsync("t", after, limit.Token))
        {
            before.Add(update);
            after = update.Position;
            if (before.OfType<TextDelta>().Count() == 3)
            {
                break;
            }
        }

        Assert.Contains('.', after);
        await first.KillAsync();
        await rig.StartWorkerAsync();
        var (since, text) = (new List<ThreadUpdate>(), "");
        await foreach (var update in rig.Queue.WatchThreadAsync("t", after, limit.Token))
        {
            since.Add(update);
            if (update is BatchStarted)
            {
                await rig.Emulator.ChangeAsync(new EmulatorSettings { DeltaPauseMs = 0 }, limit.Token);
            }
            else if (update is TextDelta delta)
            {
                Assert.Equal(text.Length, delta.Offset);
                text += delta.Text;
            }
            else if (update is BatchReplied)
            {
                break;
            }
        }

        var begun = Assert.Single(before.OfType<BatchStarted>());
        var again = Assert.IsType<BatchStarted>(since[0]);
        Assert.Equal((begun.BatchId, 1), (again.BatchId, again.Attempt));
        Assert.Equal([receipt.MessageId], again.MessageIds);
        Assert.All(since.Skip(1).SkipLast(1), update => Assert.IsType<TextDelta>(update));
        // A run that goes on at the API is polled by its next owner; what that doesn't tell of the text is in the reply.
        var reply = ((BatchReplied)since[^1]).Reply;
        Assert.StartsWith(text, reply.Text, StringComparison.Ordinal);
        Assert.StartsWith(string.Concat(before.OfType<TextDelta>().Select(delta => delta.Text)), reply.Text, StringComparison.Ordinal);
        var all = before.Concat(since).Select(update => update.Position).ToList();
        Assert.Equal(all.Count, all.Distinct().Count());
    }

    [Theory]
    [MemberData(nameof(Apis))]
    public async Task Watch_RunThatFails_SeesWhenItIsTriedAgainAndThatItIsGivenUp(string api)
    {
        await using var rig = await PipelineRig.StartAsync(
            (await TestRedis.GetAsync()).Instance.ConnectionString,
            new Dictionary<string, string>(api == "Assistants" ? Assistants : Responses) { ["MaxAttempts"] = "2", ["Backoff:Delay"] = "00:00:00.500", ["Backoff:UseJitter"] = "false" });
        await rig.StartWorkerAsync();
        using var limit = Patience();

        var fails = await rig.Queue.AddMessageToThreadAsync("fails", "hi\n/fail", cancellationToken: limit.Token);
        var failed = await UntilFailedAsync("fails");
        var refused = await rig.Queue.AddMessageToThreadAsync("refused", "hi\n/refuse", cancellationToken: limit.Token);
        var given = await UntilFailedAsync("refused");

        Assert.Equal([typeof(MessagesStored), typeof(BatchStarted), typeof(BatchRetrying), typeof(BatchStarted), typeof(BatchFailed)], failed.Select(update => update.GetType()));
        Assert.Equal([1, 2], failed.OfType<BatchStarted>().Select(begun => begun.Attempt));
        var retrying = failed.OfType<BatchRetrying>().Single();
        // Redis' clock told the sequence number, too: so long after the message, and not after the attempt that it announces.
        Assert.InRange(retrying.RetryAt, AtOf(fails.Sequence.ToString(CultureInfo.InvariantCulture)).AddMilliseconds(500), AtOf(failed[3].Position));
        var failure = ((BatchFailed)failed[^1]).Failure;
        Assert.Equal((FailureKind.AttemptsExhausted, retrying.BatchId, 2), (failure.Kind, failure.BatchId, failure.Attempts.Count));
        Assert.Equal([fails.MessageId], failure.MessageIds);

        Assert.Equal([typeof(MessagesStored), typeof(BatchStarted), typeof(BatchFailed)], given.Select(update => update.GetType()));
        failure = ((BatchFailed)given[^1]).Failure;
        Assert.Equal((FailureKind.Permanent, 1), (failure.Kind, failure.Attempts.Count));
        Assert.Equal([refused.MessageId], failure.MessageIds);

        async Task<List<ThreadUpdate>> UntilFailedAsync(string thread)
        {
            var updates = new List<ThreadUpdate>();
            await foreach (var update in rig.Queue.WatchThreadAsync(thread, "0", limit.Token))
            {
                updates.Add(update);
                if (update is BatchFailed)
                {
                    break;
                }
            }

            return updates;
        }

        static DateTimeOffset AtOf(string stamp) => DateTimeOffset.UnixEpoch.AddMicroseconds(long.Parse(stamp, CultureInfo.InvariantCulture));
    }

    [Fact]
    public async Task Events_OfARunInAnotherProcess_AreServedWhileItIsWritten()
    {
        await using var rig = await StartAsync("Responses", "--DeltaPause", "00:00:00.050");
        await rig.StartWorkerAsync();
        await using var chat = await WebChat.StartAsync(new Dictionary<string, string>
        {
            ["AssistantQueue__RunWorker"] = "false",
            ["AssistantQueue__MessageDelay"] = "00:00:00",
            ["AssistantQueue__QueuePrefix"] = rig.Prefix,
            ["AssistantQueue__RedisConnectionString"] = (await TestRedis.GetAsync()).Instance.ConnectionString,
        });
        using var limit = Patience();
        await chat.PostAsync("t", new { text = "a story\n/long 60" });
        var (types, text) = (new List<string>(), "");
        await using var stream = await chat.Client.GetStreamAsync("/api/threads/t/events?after=0", limit.Token);
        await foreach (var item in SseParser.Create(stream).EnumerateAsync(limit.Token))
        {
            types.Add(item.EventType);
            using var json = JsonDocument.Parse(item.Data);
            text += item.EventType == "textDelta" ? json.RootElement.GetProperty("text").GetString() : "";
            if (item.EventType == "batchReplied")
            {
                // What was told last may still have been on its way when the reply came.
                Assert.StartsWith(text, json.RootElement.GetProperty("reply").GetProperty("text").GetString(), StringComparison.Ordinal);
                break;
            }
        }

        Assert.Contains("batchStarted", types);
        Assert.True(types.Count(t => t == "textDelta") > 1, string.Join(", ", types));
    }
}
