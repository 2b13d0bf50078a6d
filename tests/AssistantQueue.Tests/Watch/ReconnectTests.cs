using AssistantQueue.AspNetCore;
using AssistantQueue.Store;
using AssistantQueue.Tests.Enqueue;
using AssistantQueue.Watch;

namespace AssistantQueue.Tests.Watch;

/// <summary>A watcher that was away: whatever happened meanwhile, and wherever it was, it gets exactly what one that stayed has got.</summary>
public sealed class ReconnectTests(SharedRedis shared) : IClassFixture<SharedRedis>
{
    private static readonly TimeSpan Long = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task Watch_FromEveryPositionAtEveryMoment_IsWhatAWatcherThatStayedHasGot()
    {
        await using var test = new TestQueue(shared.Redis.ConnectionString);
        await using var elsewhere = test.Elsewhere();
        var stayed = elsewhere.Queue.WatchThreadAsync("c1", "0").GetAsyncEnumerator();
        var seen = new List<ThreadUpdate>();
        ClaimedBatch batch = null!;

        await StoredAsync(new AssistantMessage { ThreadId = "c1", Text = "x", MessageId = "m1" });
        await StoredAsync(new AssistantMessage { ThreadId = "c1", Text = "x", MessageId = "m2" });
        await StartedAsync(1, "m1", "m2");
        await StoredAsync(new AssistantMessage { ThreadId = "c1", Text = "x", MessageId = "m3" });
        await NextAsync<BatchRetrying>(() => test.Store.RetryAsync(batch.Lease, new RetryWrite(TimeSpan.Zero, "{}", "{}", IsPosted: false), default));
        await StartedAsync(2, "m1", "m2", "m3");
        await NextAsync<BatchReplied>(() => test.ReplyAsync(batch, "hello"));

        await StoredAsync(new AssistantMessage { ThreadId = "c1", Text = "x", MessageId = "m4" });
        await StartedAsync(1, "m4");
        await StoredAsync(new AssistantMessage { ThreadId = "c1", Text = "x", MessageId = "m5", WhenBusy = BusyAction.Interrupt });
        var interrupted = await NextAsync<BatchInterrupted>(
            () => ReleaseAsync(TimeSpan.Zero, ReleaseHold.Interrupted, "7 Once upon\na time"));
        Assert.Equal(("Once upon\na time", 7), (interrupted.Text, interrupted.TextOffset));
        await StartedAsync(1, "m4", "m5");
        await NextAsync<BatchReplied>(() => test.ReplyAsync(batch, "both"));

        await StoredAsync(new AssistantMessage { ThreadId = "c1", Text = "x", MessageId = "m6" });
        await StartedAsync(1, "m6");
        await StoredAsync(new AssistantMessage { ThreadId = "c1", Text = "x", MessageId = "m7", WhenBusy = BusyAction.Steer });
        await StoredAsync(new AssistantMessage { ThreadId = "c1", Text = "x", MessageId = "m8" });
        var joined = await NextAsync<MessagesJoined>(() => test.Store.JoinAsync(batch.Lease, 1, default));
        Assert.Equal(["m7"], joined.MessageIds);
        Assert.Equal(batch.Lease.BatchId, joined.BatchId);
        var asked = await NextAsync<ApprovalRequested>(() => ReleaseAsync(
            TimeSpan.FromHours(1), ReleaseHold.Approval, """[{"i":1,"k":1,"t":"{}","c":"call1","n":"refund"}]""",
            """{"rounds":[{"postingAt":"2026-01-01T00:00:00Z","calls":[{"callId":"call1","name":"refund","arguments":"{}","state":3}]}]}"""));
        Assert.Equal(("call1", "refund", "{}"), (Assert.Single(asked.Calls).CallId, asked.Calls[0].Name, asked.Calls[0].Arguments));
        await test.Store.DecideAsync("c1", batch.Lease.BatchId, "call1", new ToolDecision(true, ""), default);
        await StartedAsync(1, "m6", "m7");
        // A worker that stops tells nobody; the next one begins again.
        await ReleaseAsync(TimeSpan.Zero, ReleaseHold.None, "");
        await StartedAsync(1, "m6", "m7");
        await NextAsync<BatchFailed>(() => test.FailAsync(batch, "refused"));
        await StartedAsync(1, "m8");
        await StoredAsync(new AssistantMessage { ThreadId = "c1", Text = "x", MessageId = "m9" });

        Assert.Equal(seen.Count, seen.Select(u => u.Position).Distinct().Count());
        for (var had = 0; had <= seen.Count; had++)
        {
            var rest = new List<string>();
            var again = test.Queue.WatchThreadAsync("c1", had == 0 ? "0" : seen[had - 1].Position).GetAsyncEnumerator();
            while (rest.Count < seen.Count - had && await again.MoveNextAsync().AsTask().WaitAsync(Long))
            {
                rest.Add(ThreadEventJson.Serialize(again.Current));
            }

            await again.DisposeAsync();
            Assert.Equal(seen.Skip(had).Select(ThreadEventJson.Serialize), rest);
        }

        Task StoredAsync(AssistantMessage message) => NextAsync<MessagesStored>(() => test.Queue.EnqueueAsync(message));

        async Task StartedAsync(int attempt, params string[] ids)
        {
            var started = await NextAsync<BatchStarted>(async () => batch = await test.ClaimAsync());
            Assert.Equal(ids, started.MessageIds);
            Assert.Equal((batch.Lease.BatchId, attempt), (started.BatchId, started.Attempt));
        }

        Task ReleaseAsync(TimeSpan delay, ReleaseHold hold, string told, string journal = "{}") =>
            test.Store.ReleaseAsync(batch.Lease, new ReleaseWrite(delay, journal, IsPosted: hold != ReleaseHold.Interrupted, hold, Told: told), default);

        // One step more: the watcher that stayed hears of it, and from every place before nobody would miss or repeat anything now.
        async Task<T> NextAsync<T>(Func<Task> step)
            where T : ThreadUpdate
        {
            await step();
            Assert.True(await stayed.MoveNextAsync().AsTask().WaitAsync(Long));
            seen.Add(stayed.Current);
            for (var had = 0; had <= seen.Count; had++)
            {
                var place = had == 0 ? 0 : ThreadUpdates.StampOf(seen[had - 1]);
                var history = await test.Store.ReadHistoryAsync("c1", place, default);
                Assert.False(ThreadUpdates.IsUnknown(history, place, TimeSpan.FromHours(1)));
                Assert.Equal(seen.Skip(had).Select(ThreadEventJson.Serialize), ThreadUpdates.Of("c1", history, place).Select(ThreadEventJson.Serialize));
            }

            return Assert.IsType<T>(stayed.Current);
        }
    }

    [Fact]
    public async Task Watch_MessagesStoredTogether_AreToldOnceEachWhereverItComesBack()
    {
        await using var test = new TestQueue(shared.Redis.ConnectionString);
        var receipts = await test.Queue.EnqueueAsync([.. Enumerable.Range(0, 5).Select(i => new AssistantMessage { ThreadId = "c1", Text = "x", MessageId = $"m{i}" })]);
        var batch = await test.ClaimAsync();
        await test.ReplyAsync(batch, "hello");
        var history = await test.Store.ReadHistoryAsync("c1", 0, default);

        for (var had = 0; had < receipts.Count; had++)
        {
            var updates = ThreadUpdates.Of("c1", history, had == 0 ? 0 : receipts[had - 1].Sequence);
            Assert.Equal(receipts.Skip(had).Select(r => r.MessageId), updates.OfType<MessagesStored>().SelectMany(u => u.MessageIds));
            Assert.Equal(receipts.Select(r => r.MessageId), Assert.Single(updates.OfType<BatchStarted>()).MessageIds);
        }
    }

    [Fact]
    public async Task Watch_MoreWaitThanAreReadAtOnce_TellsEachOnceAndNamesTheBatchUnderWay()
    {
        await using var test = new TestQueue(shared.Redis.ConnectionString, o => o.MaxPendingMessages = 5_000);
        var ids = Enumerable.Range(0, 1_300).Select(i => $"m{i}").ToList();
        var receipts = new List<MessageReceipt>();
        foreach (var part in ids.Chunk(100))
        {
            receipts.AddRange(await test.Queue.EnqueueAsync([.. part.Select(id => new AssistantMessage { ThreadId = "c1", Text = "x", MessageId = id })]));
        }

        await test.ClaimAsync();

        Assert.Equal(ids, await WaitingAsync("0", 1_300));
        // Its own messages lie far before the place of this watcher.
        Assert.Equal(ids.Skip(700), await WaitingAsync($"{receipts[699].Sequence}", 600));

        async Task<List<string>> WaitingAsync(string after, int count)
        {
            var told = new List<string>();
            BatchStarted? started = null;
            await foreach (var update in test.Queue.WatchThreadAsync("c1", after))
            {
                told.AddRange(update is MessagesStored stored ? stored.MessageIds : []);
                started ??= update as BatchStarted;
                if (told.Count >= count && started is not null)
                {
                    break;
                }
            }

            Assert.Equal(ids.Take(100), started!.MessageIds);
            return told;
        }
    }
}
