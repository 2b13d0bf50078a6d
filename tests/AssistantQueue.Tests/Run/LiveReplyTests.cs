using System.Text;
using System.Threading.Channels;
using AssistantQueue.Run;
using AssistantQueue.Store;
using AssistantQueue.Tests.Waiting;
using AssistantQueue.Tests.Watch;
using AssistantQueue.Tests.Worker;
using Microsoft.Extensions.Logging.Abstractions;

namespace AssistantQueue.Tests.Run;

/// <summary>What a run tells: kept within bounds, published only while somebody watches and not more often than it may.</summary>
public sealed class LiveReplyTests : IAsyncLifetime
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(40);

    private readonly AlarmedTime _time = new();
    private readonly Channel<IReadOnlyList<LiveItem>> _published = Channel.CreateUnbounded<IReadOnlyList<LiveItem>>();
    private readonly FakeStore _store = new();
    private readonly LiveReply _live;

    public LiveReplyTests()
    {
        _store.OnPublish = (_, items) => _published.Writer.TryWrite(items);
        _live = new LiveReply("t", 7, _store, _time, NullLogger.Instance);
    }

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync() => await _store.DisposeAsync();

    [Fact]
    public async Task NobodyWatches_NothingIsPublished()
    {
        await _live.TellAsync(new RunTextDelta("a"));
        await _live.TellAsync(new RunToolCalled("c", "tool", null));
        await PumpAsync(_live.EndAsync());

        Assert.False(_published.Reader.TryPeek(out _));
    }

    [Theory]
    [InlineData("You said ", "You said one", "You ", "said one")]
    [InlineData("You said ", "You said one", "You said ", "one")]
    [InlineData("You said ", "You said ", "You sa")]
    [InlineData("You said ", "You said You asked", "You ", "asked")]
    [InlineData("", "one", "one")]
    public async Task BackendThatBeginsAgain_WhatWasToldAlready_IsLeftOutUntilItIsAnotherText(string before, string expected, params string[] again)
    {
        await _live.TellAsync(new RunTextDelta(before));
        _live.BeginsAgain();
        foreach (var text in again)
        {
            await _live.TellAsync(new RunTextDelta(text));
        }

        Assert.Equal((0, expected), _live.Text);
    }

    [Fact]
    public async Task BackendThatBeginsAgain_AfterMoreThanIsKept_IsNewWhereItGoesOn()
    {
        var before = new string('a', 100_000);
        await _live.TellAsync(new RunTextDelta(before));
        _live.BeginsAgain();
        await _live.TellAsync(new RunTextDelta(before + "b"));

        var (offset, text) = _live.Text;
        Assert.Equal(100_001, offset + text.Length);
        Assert.EndsWith("ab", text);
    }

    [Fact]
    public async Task Text_BehindAToolCall_StandsApartAsInTheReply()
    {
        await _live.TellAsync(new RunToolCalled("a", "tool", "{}"));
        await _live.TellAsync(new RunTextDelta("Let me "));
        await _live.TellAsync(new RunTextDelta("look."));
        await _live.TellAsync(new RunToolCalled("b", "tool", "{}"));
        await _live.TellAsync(new RunToolAnswered("b", "tool", false));
        await _live.TellAsync(new RunTextDelta("It is "));
        await _live.TellAsync(new RunTextDelta("20°.\n\n"));
        await _live.TellAsync(new RunToolCalled("c", "tool", "{}"));
        await _live.TellAsync(new RunTextDelta("Warm."));

        Assert.Equal((0, "Let me look.\n\nIt is 20°.\n\nWarm."), _live.Text);
    }

    [Fact]
    public async Task Deltas_ManyASecond_AreJoinedToTwentyFivePublications()
    {
        var (items, publications, began) = (new List<LiveItem>(), 0, _time.GetUtcNow());
        _live.Ask(0);
        for (var i = 1; i <= 1_000; i++)
        {
            await _live.TellAsync(new RunTextDelta($"{i - 1} "));
            _time.Advance(TimeSpan.FromMilliseconds(1));
            if (i % 40 == 0)
            {
                // However late its task comes to run: the next one is due.
                items.AddRange(await NextAsync());
                publications++;
            }
        }

        await PumpAsync(_live.EndAsync());
        while (items.Sum(i => i.Text!.Length) < 3_890)
        {
            items.AddRange(await NextAsync());
            publications++;
        }

        // One every 40 ms of the second that passed, and what was left at the end.
        Assert.InRange(publications, 25, 26);
        Assert.True(publications <= ((_time.GetUtcNow() - began) / Pause) + 1);
        Assert.Equal(string.Concat(Enumerable.Range(0, 1_000).Select(i => $"{i} ")), string.Concat(items.Select(i => i.Text)));
        Assert.Equal(items.Select((_, i) => i + 1), items.Select(i => i.Index));
    }

    [Fact]
    public async Task Watcher_ThatStopsAsking_IsForgotten()
    {
        _live.Ask(0);
        await _live.TellAsync(new RunTextDelta("a"));
        await NextAsync();
        _time.Advance(LiveReply.WatchTime);

        await _live.TellAsync(new RunTextDelta("b"));
        await PumpAsync(_live.EndAsync());

        Assert.False(_published.Reader.TryPeek(out _));
    }

    [Fact]
    public async Task Question_ForWhatWasToldBefore_IsAnsweredFromThere()
    {
        await _live.TellAsync(new RunTextDelta("a"));
        await _live.TellAsync(new RunToolCalled("c", "tool", "{}"));
        await _live.TellAsync(new RunToolAnswered("c", "tool", true));

        _live.Ask(1);

        Assert.Equal([(2, LiveKind.ToolCalled), (3, LiveKind.ToolAnswered)], (await NextAsync()).Select(i => (i.Index, i.Kind)));
    }

    [Fact]
    public async Task Text_BeyondTheBuffer_LosesItsBeginningAndSaysSo()
    {
        for (var i = 0; i < 100; i++)
        {
            await _live.TellAsync(new RunTextDelta(new string('x', 1_024)));
        }

        _live.Ask(0);
        var items = await NextAsync();

        Assert.Equal((LiveKind.Skipped, items[1].Index - 1), (items[0].Kind, items[0].Index));
        Assert.InRange(items.Sum(i => i.Text?.Length ?? 0), 32 * 1024, 64 * 1024);
        Assert.Equal(100 * 1_024, items[^1].Offset + items[^1].Text!.Length);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Text_OfOnePieceLargerThanTheBuffer_IsCutLikeManySmallOnes(bool isWide)
    {
        var text = string.Concat(Enumerable.Repeat(isWide ? "€😀" : "abc", 300_000));
        await _live.TellAsync(new RunTextDelta("x" + text));

        _live.Ask(0);
        var items = await NextAsync();

        Assert.Equal((LiveKind.Skipped, items[1].Index - 1), (items[0].Kind, items[0].Index));
        var told = string.Concat(items.Select(i => i.Text));
        Assert.InRange(Encoding.UTF8.GetByteCount(told), 32 * 1024, 64 * 1024);
        Assert.EndsWith(told, text, StringComparison.Ordinal);
        Assert.All(items.Skip(1), i => Assert.False(char.IsLowSurrogate(i.Text![0])));
        Assert.Equal(text.Length + 1 - told.Length, items[1].Offset);
        Assert.Equal((items[1].Offset, told), _live.Text);
    }

    [Fact]
    public async Task Arguments_LargerThanTheBuffer_AreAGap()
    {
        await _live.TellAsync(new RunTextDelta("a"));
        await _live.TellAsync(new RunToolCalled("c", "tool", new string('x', 1024 * 1024)));
        await _live.TellAsync(new RunToolAnswered("c", "tool", false));

        _live.Ask(0);

        Assert.Equal([(2, LiveKind.Skipped), (3, LiveKind.ToolAnswered)], (await NextAsync()).Select(i => (i.Index, i.Kind)));
    }

    [Fact]
    public async Task Publication_ThatFails_IsAskedForAgain()
    {
        var fails = true;
        _store.OnPublish = (_, items) =>
        {
            if (fails)
            {
                fails = false;
                throw new StoreUnavailableException("The test says so.");
            }

            _published.Writer.TryWrite(items);
        };
        _live.Ask(0);
        await _live.TellAsync(new RunTextDelta("a"));
        await PumpAsync(_live.EndAsync());

        _time.Advance(TimeSpan.FromSeconds(1));
        _live.Ask(0);

        Assert.Equal(["a"], (await NextAsync()).Select(i => i.Text));
    }

    [Fact]
    public async Task End_PublishesWhatIsLeft()
    {
        _live.Expect();
        await _live.TellAsync(new RunTextDelta("a"));
        await PumpAsync(_live.EndAsync());

        Assert.Equal(["a"], (await NextAsync()).Select(i => i.Text));
    }

    private Task<IReadOnlyList<LiveItem>> NextAsync() => PumpAsync(_published.Reader.ReadAsync().AsTask());

    private async Task<T> PumpAsync<T>(Task<T> task)
    {
        await PumpAsync((Task)task);
        return await task;
    }

    // The pause is a timer of the fake clock: whenever one is set, the clock goes on until it has rung.
    private async Task PumpAsync(Task task)
    {
        while (!task.IsCompleted)
        {
            var alarm = _time.Alarms.WaitToReadAsync().AsTask();
            if (await Task.WhenAny(task, alarm).WaitAsync(TestTimes.Patience) == alarm)
            {
                while (_time.Alarms.TryRead(out _))
                {
                }

                _time.Advance(Pause);
            }
        }

        await task;
    }
}
