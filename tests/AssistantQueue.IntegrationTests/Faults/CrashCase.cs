using System.Collections.Concurrent;
using System.Net.Http;
using System.Text.Json;
using AssistantQueue.Emulators;
using AssistantQueue.IntegrationTests.Redis;
using AssistantQueue.IntegrationTests.Store;
using AssistantQueue.Redis;
using AssistantQueue.Store;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Testing;
using Microsoft.Extensions.Options;
using StackExchange.Redis;

namespace AssistantQueue.IntegrationTests.Faults;

/// <summary>One thread's way through a queue of its own, whose owner dies at one point and is followed by another.</summary>
/// <param name="scenario">What happens.</param>
/// <param name="thread">The thread's and the queue's name.</param>
/// <param name="emulator">The API.</param>
/// <param name="redis">The Redis.</param>
/// <param name="tears">Whether owners die in the middle of scripts.</param>
internal sealed class CrashCase(CrashScenario scenario, string thread, OpenAIEmulator emulator, IConnectionMultiplexer redis, bool tears) : IAsyncDisposable
{
    private static readonly string[] MayRemain = ["conversation:", "replies:", "events:", "request:", "counters", "workers", "idle", "failed"];

    private static readonly string[] LeaseEnds = [nameof(AssistantQueue.Log.LeaseUnproven), nameof(AssistantQueue.Log.LeaseLost)];

    private readonly string _prefix = TestRedis.NewPrefix();
    private readonly ConcurrentQueue<Offer> _offers = new();
    private readonly ConcurrentQueue<ToolCall> _calls = new();
    private readonly FakeLogCollector _log = new();
    private readonly List<(IHost Host, Owner Owner, FakeLogCollector Log)> _hosts = [];
    private readonly TaskCompletionSource _stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private RedisQueueStore? _producer;
    private int _followed;
    private int _offered;

    /// <summary>Gets what the handlers were offered, in the order of time.</summary>
    public IReadOnlyList<Offer> Offers => [.. _offers];

    /// <summary>Gets the tool's calls, in the order of time.</summary>
    public IReadOnlyList<ToolCall> Calls => [.. _calls];

    /// <summary>Gets the messages' texts, in their order.</summary>
    public IReadOnlyList<string> Texts => [.. (scenario.HasFollower ? ["one", "two", "three"] : (string[])["one", "two"]).Select(TextOf)];

    /// <summary>Gets the keys that are left at the end.</summary>
    public IReadOnlyCollection<string> Stranded { get; private set; } = [];

    /// <summary>Gets what lies in the failed store at the end.</summary>
    public IReadOnlyList<DeadLetter> DeadLetters { get; private set; } = [];

    /// <summary>Gets a value indicating whether a lease ended under an owner that lived, as on a machine that is too slow for leases of three seconds.</summary>
    public bool HasLostALease => _hosts.Any(h => h.Log.GetSnapshot().Any(r => r.Timestamp < h.Owner.DiedAt && LeaseEnds.Contains(r.Id.Name)));

    /// <summary>Gets what happened, for a person.</summary>
    public string Story => string.Join('\n', [
        .. _log.GetSnapshot().Select(r => $"  {r.Timestamp:ss.fff} {r.Level} {r.Message} {r.Exception?.Message}"),
        .. _hosts.Select(h => "  passed " + string.Join(", ", h.Owner.Passed))]);

    private string P => $"{{{_prefix}:0}}";

    /// <summary>Runs the case until nothing is left to do.</summary>
    /// <returns>The owner that was to die.</returns>
    public async Task<Owner> RunAsync(CrashPoint? diesAt, CancellationToken cancellationToken)
    {
        var options = new AssistantQueueOptions();
        Configure(options);
        _producer = new RedisQueueStore(
            RedisConnection.Given(thread, () => redis, TimeSpan.FromSeconds(30), TimeProvider.System, NullLogger.Instance), () => options, TimeProvider.System);
        await AddAsync("one");
        await AddAsync("two");
        if (scenario.Fault is { } fault)
        {
            emulator.Faults.Add(fault with { Contains = $"\"{thread}\"", Count = 1 });
        }

        // On a slow machine the earlier owner may do without the call at which it was to die.
        if (scenario.DiedBefore is { } earlier && await StartAsync(earlier) is var first && await EndsAsync(first, cancellationToken))
        {
            return first;
        }

        var owner = await StartAsync(diesAt);
        if (!await EndsAsync(owner, cancellationToken))
        {
            var next = await StartAsync(null);
            Assert.True(await EndsAsync(next, cancellationToken));
        }

        await Invariants.CheckAsync(redis, P, failures: !tears);
        Stranded = [.. (await Snapshot.TakeAsync(redis, P)).Keys.Keys.Where(k => !MayRemain.Any(m => k.StartsWith(m, StringComparison.Ordinal)))];
        DeadLetters = [.. await DeadLettersAsync()];
        return owner;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var (host, owner, _) in _hosts)
        {
            owner.Bury();
            host.Dispose();
        }

        if (_producer is not null)
        {
            await _producer.DisposeAsync();
        }

        await Snapshot.ForgetAsync(redis, P);
    }

    private string TextOf(string word) => $"{word} of {thread}{(HasCommand(word) ? scenario.Command : "")}";

    private bool HasCommand(string word) =>
        // One call is enough: which of several is decided about first is a matter of time.
        scenario.HasTool ? word == "one"
        // The run that is interrupted goes on for longer than any machine takes to interrupt it; the next one doesn't.
        : scenario.FollowerDoes != BusyAction.Interrupt || word != "three";

    private void Configure(AssistantQueueOptions options)
    {
        options.QueuePrefix = _prefix;
        options.MessageDelay = TimeSpan.Zero;
        options.LockDuration = TimeSpan.FromSeconds(3);
        options.UnknownOutcomeWait = TimeSpan.FromMilliseconds(300);
        options.RunTimeout = TimeSpan.FromMinutes(1);
        options.Backoff = new BackoffOptions { Delay = TimeSpan.FromMilliseconds(20), MaxDelay = TimeSpan.FromMilliseconds(100), UseJitter = false };
        scenario.Queue(options);
    }

    private async Task<Owner> StartAsync(CrashPoint? diesAt)
    {
        var owner = new Owner(diesAt);
        var log = new FakeLogCollector();
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Logging.SetMinimumLevel(LogLevel.Information).AddProvider(new FakeLoggerProvider(_log)).AddProvider(new FakeLoggerProvider(log));
        builder.Services.AddSingleton(tears ? TornScripts.On(redis, owner, diesAt) : redis);
        builder.Services.AddKeyedSingleton("AssistantQueue", new HttpClient(new ApiKiller(owner, call => RequestAsync(call, owner))) { Timeout = Timeout.InfiniteTimeSpan });
        var queue = builder.Services.AddAssistantMessageQueue(thread, Configure)
            .UseOpenAI(o =>
            {
                (o.Endpoint, o.ApiKey) = (emulator.BaseUrl, "sk-test");
                (o.PollInterval, o.MaxPollInterval) = (TimeSpan.FromMilliseconds(10), TimeSpan.FromMilliseconds(100));
                scenario.OpenAI(o);
            })
            .OnReply((reply, _) => OfferAsync(owner, new Offer(reply.BatchId, reply.MessageIds, reply.Text, reply.RunId)))
            .OnFailed((failure, _) => OfferAsync(owner, new Offer(failure.BatchId, failure.MessageIds, null, null)));
        if (scenario.HasTool)
        {
            var look = AIFunctionFactory.Create((AIFunctionArguments arguments) => LookAsync(owner, arguments.GetToolCall()!), "look");
            queue.AddTool(scenario.NeedsApproval ? new ApprovalRequiredAIFunction(look) : look);
        }

        // A delivery that is given up within a millisecond is below what the settings allow.
        builder.Services.RemoveAll<IValidateOptions<AssistantQueueOptions>>();
        Decorate(builder.Services, owner);
        var host = builder.Build();
        _hosts.Add((host, owner, log));
        await host.StartAsync();
        return owner;
    }

    private static void Decorate(IServiceCollection services, Owner owner)
    {
        var inner = services.Single(s => s.ServiceType == typeof(IQueueStore));
        services.Remove(inner);
        services.AddKeyedSingleton(
            inner.ServiceKey, (provider, key) => StoreKiller.Around((IQueueStore)inner.KeyedImplementationFactory!(provider, key), owner));
    }

    private async Task AddAsync(string word, BusyAction whenBusy = BusyAction.Collect)
    {
        var body = JsonSerializer.Serialize(
            new StoredMessage { MessageId = word, Text = TextOf(word), Busy = whenBusy == BusyAction.Steer ? "steer" : null }, StoreJson.Message);
        var outcome = await _producer!.EnqueueAsync(
            new EnqueueUnit(thread, [new NewMessage(word, false, body, body.Length, TimeSpan.Zero, false, whenBusy)]), CancellationToken.None);
        Assert.Equal(EnqueueStatus.Stored, outcome.Status);
    }

    /// <summary>Lets the third message arrive, once, and its owner know of it.</summary>
    private async Task FollowAsync(string call, Owner owner)
    {
        var isTime = scenario.FollowsAt.Count > 0 ? scenario.FollowsAt.Contains(call) : call.EndsWith("/responses", StringComparison.Ordinal) || call.EndsWith("/runs", StringComparison.Ordinal);
        if (scenario.HasFollower && isTime && Interlocked.Exchange(ref _followed, 1) == 0)
        {
            await AddAsync("three", scenario.FollowerDoes);
            if (scenario.FollowerDoes != BusyAction.Collect)
            {
                // The signal, or in its place the next renewals, which bring the same.
                for (var calls = 0; calls < 6 && !owner.Wished.IsCompleted && !owner.IsDead; calls++)
                {
                    await Task.WhenAny(owner.Wished, owner.Died, owner.NextCall);
                }
            }
        }
    }

    private async Task<string> LookAsync(Owner owner, ToolCall call)
    {
        var number = owner.Begin("tool");
        await owner.PassAsync("tool", number, CrashMoment.Before);
        _calls.Enqueue(call);
        await FollowAsync("tool", owner);
        await owner.PassAsync("tool", number, CrashMoment.After);
        return "seen";
    }

    /// <summary>Approves every call that waits, as an operator does.</summary>
    private async Task ApproveAsync(CancellationToken cancellationToken)
    {
        if (await _producer!.ReadApprovalAsync(thread, cancellationToken) is { Journal.Length: > 0 } asked
            && JsonSerializer.Deserialize(asked.Journal, StoreJson.Journal) is { } journal)
        {
            foreach (var call in journal.Rounds.SelectMany(r => r.Calls).Where(c => c.State == ToolCallState.AwaitingApproval && !asked.Decisions.ContainsKey(c.CallId)))
            {
                await _producer.DecideAsync(thread, asked.BatchId, call.CallId, new ToolDecision(IsApproved: true, ""), cancellationToken);
            }
        }
    }

    private async Task RequestAsync(string call, Owner owner)
    {
        await FollowAsync(call, owner);

        if (call == scenario.StopsAt && _hosts.Find(h => h.Owner == owner) is { Host: { } host } && host == _hosts[0].Host)
        {
            _ = Task.Run(async () =>
            {
                await host.StopAsync();
                _stopped.TrySetResult();
            });
        }
    }

    private async Task OfferAsync(Owner owner, Offer offer)
    {
        var number = owner.Begin("handler");
        await owner.PassAsync("handler", number, CrashMoment.Before);
        if (scenario.HandlerRefuses(Interlocked.Increment(ref _offered)))
        {
            throw new InvalidOperationException("The test's handler doesn't want it.");
        }

        _offers.Enqueue(offer);
        await owner.PassAsync("handler", number, CrashMoment.After);
    }

    /// <summary>Waits until nothing is left to do, and stops the owner's host.</summary>
    /// <returns>False when the owner died before, or in its host's last moment.</returns>
    private async Task<bool> EndsAsync(Owner owner, CancellationToken cancellationToken)
    {
        if (!await SettlesAsync(owner, cancellationToken))
        {
            return false;
        }

        var stopping = _hosts.Find(h => h.Owner == owner).Host.StopAsync(cancellationToken);
        await Task.WhenAny(stopping, owner.Died).WaitAsync(cancellationToken);
        return !owner.IsDead;
    }

    /// <summary>Waits until nothing is left to do, looking after each of the owner's calls.</summary>
    /// <returns>False when the owner died or stopped before.</returns>
    private async Task<bool> SettlesAsync(Owner owner, CancellationToken cancellationToken)
    {
        while (true)
        {
            var called = owner.NextCall;
            if (owner.IsDead)
            {
                return false;
            }

            if (await IsSettledAsync())
            {
                return true;
            }

            if (scenario.NeedsApproval)
            {
                await ApproveAsync(cancellationToken);
            }

            if (_stopped.Task.IsCompleted && owner == _hosts[0].Owner)
            {
                return false;
            }

            await Task.WhenAny(called, owner.Died, _stopped.Task.IsCompleted ? called : _stopped.Task).WaitAsync(cancellationToken);
        }
    }

    private async Task<List<DeadLetter>> DeadLettersAsync()
    {
        var letters = new List<DeadLetter>();
        await foreach (var json in _producer!.Failed.ListAsync(CancellationToken.None))
        {
            var failure = JsonSerializer.Deserialize(json, StoreJson.Failure)!;
            var entry = (await _producer.Failed.ReadAsync(failure.BatchId, CancellationToken.None))!;
            // A delivery's line: batch, kind, since when, what was to be delivered.
            var delivery = (string?)await redis.GetDatabase().HashGetAsync($"{P}:failed:{failure.BatchId}", "delivery");
            letters.Add(new DeadLetter(
                failure.BatchId,
                failure.Kind,
                failure.MessageIds,
                [.. entry.Messages.Select(m => JsonSerializer.Deserialize(m.Body, StoreJson.Message)!.Text ?? "")],
                delivery is null ? null : JsonSerializer.Deserialize(delivery.Split(' ', 4)[3], StoreJson.Reply)!.Text));
        }

        return letters;
    }

    private async Task<bool> IsSettledAsync()
    {
        var database = redis.GetDatabase();
        var counters = database.HashGetAsync(P + ":counters", ["pending", "active"]);
        var deliveries = database.SortedSetLengthAsync(P + ":deliveries");
        // What a torn script left in the counters is set right by a look that finds nothing.
        return (long)(await counters)[0] == 0 && (!tears || (long)(await counters)[1] == 0) && await deliveries == 0 && (!scenario.HasFollower || _followed == 1);
    }
}

/// <summary>What a handler was offered and took: a reply, or a failure without a text and a run.</summary>
internal sealed record Offer(string BatchId, IReadOnlyList<string> MessageIds, string? Text, string? RunId);

/// <summary>What lies in the failed store: a batch with its messages, or a delivery with its reply.</summary>
internal sealed record DeadLetter(string BatchId, FailureKind Kind, IReadOnlyList<string> MessageIds, IReadOnlyList<string> Texts, string? Reply);
