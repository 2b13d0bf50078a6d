using System.Runtime.CompilerServices;
using System.Threading.Channels;
using AssistantQueue.Tests.Enqueue;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace AssistantQueue.Tests.DependencyInjection;

/// <summary>A configuration that changes while the queue runs: the next message, run and failure go by the new values.</summary>
public sealed class HostReloadTests(SharedRedis shared) : IClassFixture<SharedRedis>, IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly HeldBackend _backend = new();
    private readonly Channel<FailedAttempt> _retrying = Channel.CreateUnbounded<FailedAttempt>();
    private IHost _host = null!;

    private IAssistantMessageQueue Queue => _host.Services.GetRequiredService<IAssistantMessageQueue>();

    public async Task InitializeAsync()
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["AssistantQueue:RedisConnectionString"] = shared.Redis.ConnectionString,
            ["AssistantQueue:QueuePrefix"] = "reload-" + Guid.NewGuid().ToString("N"),
            ["AssistantQueue:MessageDelay"] = "00:00:00",
        });
        builder.Services.AddAssistantMessageQueue().UseBackend(_backend).OnRetrying((attempt, token) => _retrying.Writer.WriteAsync(attempt, token).AsTask());
        _host = builder.Build();
        await _host.StartAsync();
    }

    public async Task DisposeAsync()
    {
        _backend.ReleaseAll();
        await _host.StopAsync();
        _host.Dispose();
    }

    [Fact]
    public async Task Reload_MessageDelay_NextMessageIsDueByTheNewOne()
    {
        Change(("MessageDelay", "01:00:00"));
        var slow = await Queue.AddMessageToThreadAsync("slow", "hi");
        Change(("MessageDelay", "00:00:30"));
        var fast = await Queue.AddMessageToThreadAsync("fast", "hi");

        // A sequence number is Redis' time in µs, a due time its ms.
        Assert.Equal(3_600, WaitOf(slow).TotalSeconds, 0.002);
        Assert.Equal(30, WaitOf(fast).TotalSeconds, 0.002);
    }

    [Fact]
    public async Task Reload_Concurrency_AsManyRunsAtATime()
    {
        Change(("Concurrency", "1"));
        await AddAsync("a", "b", "c");
        var first = await _backend.NextAsync();
        first.Release();
        var second = await _backend.NextAsync();
        Assert.Equal(1, _backend.MostAtATime);

        Change(("Concurrency", "3"));
        await AddAsync("d", "e");
        second.Release();
        var three = new[] { await _backend.NextAsync(), await _backend.NextAsync(), await _backend.NextAsync() };
        Assert.Equal(3, _backend.MostAtATime);

        Change(("Concurrency", "2"));
        await AddAsync("f", "g", "h", "i");
        _backend.ForgetMost();
        Array.ForEach(three, run => run.Release());
        for (var i = 0; i < 4; i++)
        {
            (await _backend.NextAsync()).Release();
        }

        Assert.InRange(_backend.MostAtATime, 1, 2);
    }

    [Fact]
    public async Task Reload_Backoff_NextFailureIsRepeatedByTheNewOne()
    {
        Change(("Backoff:Type", "Fixed"), ("Backoff:UseJitter", "false"), ("Backoff:Delay", "01:00:00"), ("Backoff:MaxDelay", "10:00:00"));
        var slow = await FailAsync("slow");
        Change(("Backoff:Delay", "02:00:00"));
        var slower = await FailAsync("slower");

        Assert.Equal(TimeSpan.FromHours(1), slow.RetryAt - slow.FailedAt);
        Assert.Equal(TimeSpan.FromHours(2), slower.RetryAt - slower.FailedAt);
    }

    [Fact]
    public async Task Reload_Instructions_NextBatchHasTheNewOnes()
    {
        Change(("DefaultInstructions", "Be brief."));
        await AddAsync("a");
        var one = await _backend.NextAsync();
        Change(("DefaultInstructions", "Be kind."));
        await AddAsync("b");
        var other = await _backend.NextAsync();

        Assert.Equal(("Be brief.", "Be kind."), (one.Instructions, other.Instructions));
    }

    private void Change(params (string Setting, string Value)[] changes)
    {
        var configuration = (IConfigurationRoot)_host.Services.GetRequiredService<IConfiguration>();
        foreach (var (setting, value) in changes)
        {
            configuration["AssistantQueue:" + setting] = value;
        }

        configuration.Reload();
    }

    private async Task AddAsync(params string[] threads)
    {
        foreach (var thread in threads)
        {
            await Queue.AddMessageToThreadAsync(thread, "hi");
        }
    }

    private async Task<FailedAttempt> FailAsync(string thread)
    {
        await AddAsync(thread);
        (await _backend.NextAsync()).Release(new HttpRequestException("The line is down."));
        return await _retrying.Reader.ReadAsync().AsTask().WaitAsync(Patience);
    }

    private static TimeSpan WaitOf(MessageReceipt receipt) => receipt.DueAt!.Value - DateTimeOffset.UnixEpoch.AddMicroseconds(receipt.Sequence);

    /// <summary>A run that waits for the test.</summary>
    private sealed class HeldRun(string? instructions)
    {
        private readonly TaskCompletionSource _released = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public string? Instructions => instructions;

        public Task Released => _released.Task;

        public void Release() => _released.TrySetResult();

        public void Release(Exception failure) => _released.TrySetException(failure);
    }

    /// <summary>Tells of each run as it begins, and answers when the test lets it.</summary>
    private sealed class HeldBackend : IAssistantBackend
    {
        private readonly Channel<HeldRun> _begun = Channel.CreateUnbounded<HeldRun>();
        private readonly Lock _sync = new();
        private readonly List<HeldRun> _held = [];
        private bool _isOver;
        private int _running;
        private int _most;

        public int MostAtATime
        {
            get
            {
                lock (_sync)
                {
                    return _most;
                }
            }
        }

        public async Task<HeldRun> NextAsync() => await _begun.Reader.ReadAsync().AsTask().WaitAsync(Patience);

        public void ForgetMost()
        {
            lock (_sync)
            {
                _most = 0;
            }
        }

        public void ReleaseAll()
        {
            lock (_sync)
            {
                _isOver = true;
                _held.ForEach(run => run.Release());
            }
        }

        public async IAsyncEnumerable<RunUpdate> RunAsync(BatchRun run, [EnumeratorCancellation] CancellationToken cancellationToken)
        {
            var held = new HeldRun(run.Journal.Instructions);
            lock (_sync)
            {
                _most = Math.Max(_most, ++_running);
                _held.Add(held);
                if (_isOver)
                {
                    held.Release();
                }
            }

            _begun.Writer.TryWrite(held);
            try
            {
                await held.Released.WaitAsync(cancellationToken);
            }
            finally
            {
                lock (_sync)
                {
                    _running--;
                }
            }

            yield return new RunCompleted { Text = "Well." };
        }
    }
}
