using AssistantQueue.Redis;
namespace AssistantQueue.Tests.Options;

public sealed class AssistantQueueOptionsValidatorTests
{
    public static TheoryData<Action<AssistantQueueOptions>, string> BadSettings => new()
    {
        { o => o.RedisConnectionString = null, "AssistantQueue:RedisConnectionString is empty and there is no IConnectionMultiplexer in DI; set it (or ConnectionStrings:redis), register an IConnectionMultiplexer, or call .UseEmbeddedRedis()" },
        { o => o.RedisConnectionString = "redis://app:secret@", "AssistantQueue:RedisConnectionString is 'redis://app:***@', which can't be read (the URL names no host" },
        { o => o.RedisConnectionString = "host,colour=blue", "Keyword 'colour' is not supported" },
        { o => o.ConnectTimeout = TimeSpan.Zero, "AssistantQueue:ConnectTimeout is 00:00:00; it must be 00:00:00.1000000 to 00:05:00" },
        { o => o.QueuePrefix = "", "AssistantQueue:QueuePrefix is ''; it must be 1 to 100 characters without braces" },
        { o => o.QueuePrefix = "a{b}", "AssistantQueue:QueuePrefix is 'a{b}'" },
        { o => o.QueuePrefix = "a b", "AssistantQueue:QueuePrefix is 'a b'" },
        { o => o.QueuePrefix = null!, "AssistantQueue:QueuePrefix is empty" },
        { o => o.Partitions = 1_025, "AssistantQueue:Partitions is 1,025; it must be 1 to 1,024" },
        { o => o.MessageDelay = TimeSpan.FromSeconds(-1), "AssistantQueue:MessageDelay is -00:00:01; it must be 00:00:00 to 30.00:00:00" },
        { o => o.Window = (WindowKind)9, "AssistantQueue:Window is 9; it must be Fixed or Sliding" },
        { o => (o.Window, o.MessageDelay) = (WindowKind.Sliding, TimeSpan.FromSeconds(90)), "AssistantQueue:MaxMessageDelay is 00:01:00 and AssistantQueue:MessageDelay is 00:01:30; a sliding window can't end before its first delay is over: raise the first or lower the second" },
        { o => o.MaxBatchMessages = 0, "AssistantQueue:MaxBatchMessages is 0; it must be 1 to 10,000" },
        { o => o.MaxBatchCharacters = 0, "AssistantQueue:MaxBatchCharacters is 0" },
        { o => o.MaxPendingMessages = 50, "AssistantQueue:MaxPendingMessages is 50 and AssistantQueue:MaxBatchMessages is 100; a batch could never be full" },
        { o => o.MaxAttempts = 0, "AssistantQueue:MaxAttempts is 0" },
        { o => o.MaxDeaths = 101, "AssistantQueue:MaxDeaths is 101" },
        { o => o.Concurrency = 10_001, "AssistantQueue:Concurrency is 10,001; it must be 1 to 10,000" },
        { o => o.DefaultInstructions = new string('x', 256_001), "AssistantQueue:DefaultInstructions is 256,001 characters long; it must be at most 256,000 characters" },
        { o => o.Combine = (MessageCombination)5, "AssistantQueue:Combine is 5; it must be SeparateMessages or SingleMessage" },
        { o => o.LockDuration = TimeSpan.FromSeconds(2), "AssistantQueue:LockDuration is 00:00:02; it must be 00:00:03 to 00:10:00" },
        { o => (o.RunTimeout, o.UnknownOutcomeWait) = (TimeSpan.Zero, TimeSpan.Zero), "AssistantQueue:RunTimeout is 00:00:00" },
        { o => o.RunTimeout = TimeSpan.FromSeconds(30), "AssistantQueue:RunTimeout is 00:00:30 and AssistantQueue:UnknownOutcomeWait is 00:01:00; a run would be out of time before it may post again" },
        { o => o.WhenConversationGone = (ConversationGoneAction)7, "AssistantQueue:WhenConversationGone is 7; it must be StartNew or Fail" },
        { o => o.Backoff = null!, "AssistantQueue:Backoff is null" },
        { o => o.Backoff.Type = (BackoffKind)3, "AssistantQueue:Backoff:Type is 3; it must be Exponential or Fixed" },
        { o => o.Backoff.Delay = TimeSpan.FromHours(1), "AssistantQueue:Backoff:MaxDelay is 00:05:00 and AssistantQueue:Backoff:Delay is 01:00:00; the longest pause can't be shorter than the first" },
        { o => o.CompletedRetention = TimeSpan.Zero, "AssistantQueue:CompletedRetention is 00:00:00" },
        { o => o.DeduplicationWindow = TimeSpan.FromSeconds(-1), "AssistantQueue:DeduplicationWindow is -00:00:01" },
        { o => o.ReplyRetention = TimeSpan.Zero, "AssistantQueue:ReplyRetention is 00:00:00" },
        { o => o.FailedRetention = TimeSpan.Zero, "AssistantQueue:FailedRetention is 00:00:00" },
        { o => o.ConversationRetention = TimeSpan.Zero, "AssistantQueue:ConversationRetention is 00:00:00" },
        { o => o.DeliveryMaxAge = TimeSpan.Zero, "AssistantQueue:DeliveryMaxAge is 00:00:00" },
    };

    [Theory]
    [MemberData(nameof(BadSettings))]
    public void Validate_BadSetting_NamesItWithItsValueAndWhatToDo(Action<AssistantQueueOptions> spoil, string told)
    {
        var failures = Validate(spoil);

        Assert.Contains(told, Assert.Single(failures), StringComparison.Ordinal);
        Assert.DoesNotContain("secret", failures.Single(), StringComparison.Ordinal);
    }

    [Fact]
    public void Validate_Defaults_AreGood() => Assert.Empty(Validate(_ => { }));

    [Fact]
    public void Validate_MultiplexerInDI_NeedsNoConnectionString() => Assert.Empty(Validate(o => o.RedisConnectionString = null, hasMultiplexer: true));

    [Fact]
    public void Validate_ManyFaults_TellsAllOfThem()
    {
        var failures = Validate(o => (o.Concurrency, o.MaxAttempts, o.Partitions, o.LockDuration) = (0, 0, 0, TimeSpan.Zero));

        Assert.Equal(4, failures.Count);
    }

    [Fact]
    public void Validate_NamedQueue_NamesItsSection()
    {
        var validator = new AssistantQueueOptionsValidator(new QueueRegistration("support"), () => true, RedisConnectionString.FaultOf);

        var result = validator.Validate("support", new AssistantQueueOptions { Concurrency = 0 });

        Assert.StartsWith("AssistantQueue:Queues:support:Concurrency is 0", Assert.Single(result.Failures!), StringComparison.Ordinal);
        Assert.True(validator.Validate("", new AssistantQueueOptions { Concurrency = 0 }).Skipped);
    }

    private static List<string> Validate(Action<AssistantQueueOptions> spoil, bool hasMultiplexer = false)
    {
        var options = new AssistantQueueOptions { RedisConnectionString = "localhost" };
        spoil(options);
        return [.. new AssistantQueueOptionsValidator(new QueueRegistration(""), () => hasMultiplexer, RedisConnectionString.FaultOf).Validate("", options).Failures ?? []];
    }
}
