using AssistantQueue.Redis;
using Microsoft.Extensions.Time.Testing;

namespace AssistantQueue.Tests.Redis;

using Group = GroupCommit<string, string>;

public sealed class GroupCommitTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly List<string[]> _sent = [];
    private readonly Queue<TaskCompletionSource> _answers = [];

    [Fact]
    public async Task Add_LoneCaller_IsSentAtOnce()
    {
        var group = Echo(10, 100);

        Assert.Equal("A", await group.AddAsync("a", 1, default));
        Assert.Equal("B", await group.AddAsync("b", 1, default));

        Assert.Equal([["a"], ["b"]], _sent);
    }

    [Fact]
    public async Task Add_WhileACallIsUnderWay_TravelsWithTheNext()
    {
        var group = Held(10, 100);
        var first = group.AddAsync("a", 1, default);
        var others = new[] { group.AddAsync("b", 1, default), group.AddAsync("c", 1, default) };
        Assert.Equal([["a"]], _sent);

        AnswerNext();
        Assert.Equal("A", await first.WaitAsync(Patience));
        await SentAsync(2);
        AnswerNext();

        Assert.Equal(["B", "C"], await Task.WhenAll(others).WaitAsync(Patience));
        Assert.Equal([["a"], ["b", "c"]], _sent);
    }

    [Fact]
    public async Task Add_MoreThanTheMostItems_GoOnInTheNextCall()
    {
        var group = Held(2, 100);
        var all = "abcde".Select(c => group.AddAsync(c.ToString(), 1, default)).ToList();

        await AnswerAllAsync(3);
        await Task.WhenAll(all).WaitAsync(Patience);

        Assert.Equal([["a"], ["b", "c"], ["d", "e"]], _sent);
    }

    [Fact]
    public async Task Add_MoreThanTheMostSize_GoesOnInTheNextCallAndALargerOneAlone()
    {
        var group = Held(10, 10);
        var all = new[] { ("a", 1), ("b", 6), ("c", 4), ("d", 1), ("e", 50), ("f", 1) }
            .Select(item => group.AddAsync(item.Item1, item.Item2, default)).ToList();

        await AnswerAllAsync(5);
        await Task.WhenAll(all).WaitAsync(Patience);

        Assert.Equal([["a"], ["b", "c"], ["d"], ["e"], ["f"]], _sent);
    }

    [Fact]
    public async Task Add_CallFails_FailsAllItsItemsAndNoOther()
    {
        var fail = true;
        var release = new TaskCompletionSource();
        var group = new Group(10, 100, async entries =>
        {
            if (entries[0].Item == "a")
            {
                await release.Task;
            }
            else if (fail)
            {
                fail = false;
                throw new InvalidOperationException("no answer");
            }

            return [.. entries.Select(e => e.Item)];
        });
        var first = group.AddAsync("a", 1, default);
        var failing = new[] { group.AddAsync("b", 1, default), group.AddAsync("c", 1, default) };

        release.SetResult();

        Assert.Equal("a", await first.WaitAsync(Patience));
        foreach (var item in failing)
        {
            Assert.Equal("no answer", (await Assert.ThrowsAsync<InvalidOperationException>(() => item.WaitAsync(Patience))).Message);
        }

        Assert.Equal("d", await group.AddAsync("d", 1, default).WaitAsync(Patience));
    }

    [Fact]
    public async Task Add_FirstCallersContextIsBlocked_TheOthersAreAnswered()
    {
        var group = new Group(10, 100, async entries =>
        {
            await Task.Yield();
            return [.. entries.Select(e => e.Item.ToUpperInvariant())];
        });
        var before = SynchronizationContext.Current;
        try
        {
            SynchronizationContext.SetSynchronizationContext(new BlockedContext());
            _ = group.AddAsync("a", 1, default);
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(before);
        }

        Assert.Equal("B", await group.AddAsync("b", 1, default).WaitAsync(Patience));
    }

    [Fact]
    public async Task Add_FirstCallersSchedulerIsBlocked_TheOthersAreAnswered()
    {
        var group = new Group(10, 100, async entries =>
        {
            await Task.Yield();
            return [.. entries.Select(e => e.Item.ToUpperInvariant())];
        });
        var blocked = new OnceScheduler();
        var first = Task.Factory.StartNew(() => group.AddAsync("a", 1, default), CancellationToken.None, TaskCreationOptions.None, blocked);
        await first.WaitAsync(Patience);

        Assert.Equal("B", await group.AddAsync("b", 1, default).WaitAsync(Patience));
    }

    [Fact]
    public async Task Add_CallThrowsBeforeItsFirstAwait_FailsItsItemAndTheNextIsSent()
    {
        var group = new Group(10, 100, entries => entries[0].Item == "a" ? throw new InvalidOperationException() : Task.FromResult<IReadOnlyList<string>>(["ok"]));

        await Assert.ThrowsAsync<InvalidOperationException>(() => group.AddAsync("a", 1, default));

        Assert.Equal("ok", await group.AddAsync("b", 1, default));
    }

    [Fact]
    public async Task Add_FewerResultsThanItems_FailsTheRest()
    {
        var hold = new TaskCompletionSource();
        var group = new Group(10, 100, async entries =>
        {
            await hold.Task;
            return ["one"];
        });
        var all = new[] { group.AddAsync("a", 1, default), group.AddAsync("b", 1, default), group.AddAsync("c", 1, default) };

        hold.SetResult();

        Assert.Equal("one", await all[0].WaitAsync(Patience));
        Assert.Equal("one", await all[1].WaitAsync(Patience));
        Assert.IsNotType<TimeoutException>(await Record.ExceptionAsync(() => all[2].WaitAsync(Patience)));
        Assert.True(all[2].IsFaulted);
    }

    [Fact]
    public async Task Add_CancelledBefore_IsNotTaken()
    {
        var group = Echo(10, 100);

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => group.AddAsync("a", 1, new CancellationToken(canceled: true)));

        Assert.Empty(_sent);
    }

    [Fact]
    public async Task Add_CancelledWhileItWaits_IsNotSent()
    {
        var group = Held(10, 100);
        using var cancellation = new CancellationTokenSource();
        var first = group.AddAsync("a", 1, default);
        var cancelled = group.AddAsync("b", 1, cancellation.Token);
        var last = group.AddAsync("c", 1, default);

        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cancelled.WaitAsync(Patience));
        AnswerNext();
        await first.WaitAsync(Patience);
        await SentAsync(2);
        AnswerNext();

        Assert.Equal("C", await last.WaitAsync(Patience));
        Assert.Equal([["a"], ["c"]], _sent);
    }

    [Fact]
    public async Task Add_AllWaitingCancelled_TheNextIsSentAtOnce()
    {
        var group = Held(10, 100);
        using var cancellation = new CancellationTokenSource();
        var first = group.AddAsync("a", 1, default);
        var cancelled = group.AddAsync("b", 1, cancellation.Token);
        await cancellation.CancelAsync();
        AnswerNext();
        await first.WaitAsync(Patience);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cancelled.WaitAsync(Patience));

        var next = group.AddAsync("c", 1, default);
        await SentAsync(2);
        AnswerNext();

        Assert.Equal("C", await next.WaitAsync(Patience));
    }

    [Fact]
    public async Task Add_CancelledOnItsWay_OnlyEndsTheWaiting()
    {
        var group = Held(10, 100);
        using var cancellation = new CancellationTokenSource();
        var cancelled = group.AddAsync("a", 1, cancellation.Token);
        var other = group.AddAsync("b", 1, default);

        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cancelled.WaitAsync(Patience));
        AnswerNext();
        await SentAsync(2);
        AnswerNext();

        Assert.Equal("B", await other.WaitAsync(Patience));
        Assert.Equal([["a"], ["b"]], _sent);
    }

    [Fact]
    public async Task Add_NoAnswerForTooLong_RefusesWhatWaitedTooLongAndSendsTheRest()
    {
        var time = new FakeTimeProvider();
        var group = Held(10, 100, time);
        var first = group.AddAsync("a", 1, default);
        var early = group.AddAsync("b", 1, default);
        time.Advance(TimeSpan.FromSeconds(3));
        var late = group.AddAsync("c", 1, default);
        Assert.False(early.IsCompleted);

        time.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal("5", (await Assert.ThrowsAsync<InvalidOperationException>(() => early.WaitAsync(Patience))).Message);
        AnswerNext();
        await SentAsync(2);
        AnswerNext();

        Assert.Equal(["A", "C"], await Task.WhenAll(first, late).WaitAsync(Patience));
        Assert.Equal([["a"], ["c"]], _sent);
    }

    [Fact]
    public async Task Add_AnswersComeSlowly_RefusesNobody()
    {
        var time = new FakeTimeProvider();
        var group = Held(1, 100, time);
        var all = "abcd".Select(c => group.AddAsync(c.ToString(), 1, default)).ToList();

        for (var i = 1; i <= all.Count; i++)
        {
            await SentAsync(i);
            time.Advance(TimeSpan.FromSeconds(4));
            AnswerNext();
        }

        Assert.Equal(["A", "B", "C", "D"], await Task.WhenAll(all).WaitAsync(Patience));
    }

    [Fact]
    public async Task Add_SenderIsBusyOnItsThread_OthersCanHandIn()
    {
        using var busy = new ManualResetEventSlim();
        using var began = new ManualResetEventSlim();
        var group = new Group(10, 100, entries =>
        {
            began.Set();
            busy.Wait(Patience);
            return Task.FromResult<IReadOnlyList<string>>([.. entries.Select(e => e.Item)]);
        });
        var first = Task.Run(() => group.AddAsync("a", 1, default));
        began.Wait(Patience);

        var handedIn = await Task.Run(() => (object)group.AddAsync("b", 1, default)).WaitAsync(Patience);

        busy.Set();
        Assert.Equal("a", await first.WaitAsync(Patience));
        Assert.Equal("b", await ((Task<string>)handedIn).WaitAsync(Patience));
    }

    [Fact]
    public async Task Add_ManyAtOnce_EachGetsItsOwnResult()
    {
        var under = 0;
        var group = new Group(16, 1_000, async entries =>
        {
            Assert.Equal(1, Interlocked.Increment(ref under));
            await Task.Yield();
            Interlocked.Decrement(ref under);
            return [.. entries.Select(e => e.Item.ToUpperInvariant())];
        });

        var results = await Task.WhenAll(Enumerable.Range(0, 2_000).Select(i => Task.Run(() => group.AddAsync("x" + i, 1, default)))).WaitAsync(Patience);

        Assert.Equal(Enumerable.Range(0, 2_000).Select(i => "X" + i), results);
    }

    private Group Echo(int maxItems, int maxSize) => new(maxItems, maxSize, entries =>
    {
        _sent.Add([.. entries.Select(e => e.Item)]);
        return Task.FromResult<IReadOnlyList<string>>([.. entries.Select(e => e.Item.ToUpperInvariant())]);
    });

    // Answers a call when the test says so.
    private Group Held(int maxItems, int maxSize, TimeProvider? time = null) => new(maxItems, maxSize, async entries =>
    {
        var answer = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_sent)
        {
            _sent.Add([.. entries.Select(e => e.Item)]);
            _answers.Enqueue(answer);
        }

        await answer.Task;
        return [.. entries.Select(e => e.Item.ToUpperInvariant())];
    }, time is null ? null : new GroupPatience(time, () => TimeSpan.FromSeconds(5), limit => new InvalidOperationException($"{limit.TotalSeconds}")));

    private void AnswerNext()
    {
        lock (_sent)
        {
            _answers.Dequeue().SetResult();
        }
    }

    private async Task AnswerAllAsync(int calls)
    {
        for (var i = 1; i <= calls; i++)
        {
            await SentAsync(i);
            AnswerNext();
        }
    }

    private async Task SentAsync(int calls)
    {
        using var patience = new CancellationTokenSource(Patience);
        while (true)
        {
            lock (_sent)
            {
                if (_sent.Count >= calls)
                {
                    return;
                }
            }

            patience.Token.ThrowIfCancellationRequested();
            await Task.Yield();
        }
    }

    /// <summary>Takes what is posted and never runs it.</summary>
    private sealed class BlockedContext : SynchronizationContext
    {
        public override void Post(SendOrPostCallback d, object? state)
        {
        }
    }

    /// <summary>Runs its first task and none after that.</summary>
    private sealed class OnceScheduler : TaskScheduler
    {
        private bool _isBlocked;

        protected override IEnumerable<Task> GetScheduledTasks() => [];

        protected override void QueueTask(Task task)
        {
            if (!_isBlocked)
            {
                _isBlocked = true;
                ThreadPool.QueueUserWorkItem(_ => TryExecuteTask(task));
            }
        }

        protected override bool TryExecuteTaskInline(Task task, bool taskWasPreviouslyQueued) => false;
    }
}
