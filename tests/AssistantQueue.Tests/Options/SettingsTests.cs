using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace AssistantQueue.Tests.Options;

/// <summary>From configuration and code to options: what wins, what is read, what is told when it can't be.</summary>
public sealed class SettingsTests
{
    [Fact]
    public void Add_NoConfiguration_GivesTheDefaults()
    {
        var options = Build(services => services.AddAssistantMessageQueue(o => o.RedisConnectionString = "localhost"));

        Assert.Equal(("assistant", TimeSpan.FromSeconds(10), 5), (options.QueuePrefix, options.MessageDelay, options.Concurrency));
    }

    [Fact]
    public void Add_Section_BindsEverySetting()
    {
        var options = Build(services => services.AddAssistantMessageQueue(), new()
        {
            ["AssistantQueue:RedisConnectionString"] = "redis-1:7000",
            ["AssistantQueue:ConnectTimeout"] = "00:00:02",
            ["AssistantQueue:QueuePrefix"] = "mine",
            ["AssistantQueue:Partitions"] = "4",
            ["AssistantQueue:RunWorker"] = "false",
            ["AssistantQueue:MessageDelay"] = "00:00:03",
            ["AssistantQueue:Window"] = "sliding",
            ["AssistantQueue:MaxMessageDelay"] = "00:00:30",
            ["AssistantQueue:MaxBatchMessages"] = "7",
            ["AssistantQueue:Backoff:Type"] = "Fixed",
            ["AssistantQueue:Backoff:Delay"] = "00:00:09",
            ["AssistantQueue:Backoff:UseJitter"] = "false",
            ["AssistantQueue:Combine"] = "SingleMessage",
            ["AssistantQueue:ConversationRetention"] = "7.00:00:00",
            ["AssistantQueue:DefaultInstructions"] = "Be brief.",
        });

        Assert.Equal(("redis-1:7000", TimeSpan.FromSeconds(2), "mine", 4, false), (options.RedisConnectionString, options.ConnectTimeout, options.QueuePrefix, options.Partitions, options.RunWorker));
        Assert.Equal((TimeSpan.FromSeconds(3), WindowKind.Sliding, TimeSpan.FromSeconds(30), 7), (options.MessageDelay, options.Window, options.MaxMessageDelay, options.MaxBatchMessages));
        Assert.Equal((BackoffKind.Fixed, TimeSpan.FromSeconds(9), TimeSpan.FromMinutes(5), false), (options.Backoff.Type, options.Backoff.Delay, options.Backoff.MaxDelay, options.Backoff.UseJitter));
        Assert.Equal((MessageCombination.SingleMessage, TimeSpan.FromDays(7), "Be brief."), (options.Combine, options.ConversationRetention, options.DefaultInstructions));
    }

    [Fact]
    public void Add_CodeAndConfiguration_CodeWinsInWhicheverOrder()
    {
        var settings = new Dictionary<string, string?>
        {
            ["AssistantQueue:RedisConnectionString"] = "localhost",
            ["AssistantQueue:Concurrency"] = "20",
            ["AssistantQueue:MaxAttempts"] = "9",
        };

        var options = Build(
            services =>
            {
                services.AddAssistantMessageQueue(o => o.Concurrency = 7);
                services.AddAssistantMessageQueue();
            },
            settings);

        Assert.Equal((7, 9), (options.Concurrency, options.MaxAttempts));
    }

    [Fact]
    public void Add_OtherSection_IsUsedInsteadOfTheUsualOne()
    {
        var configuration = Configuration(new() { ["Chat:RedisConnectionString"] = "chat", ["AssistantQueue:RedisConnectionString"] = "usual" });
        IAssistantQueueBuilder? builder = null;

        var options = BuildWith(configuration, services => builder = services.AddAssistantMessageQueue(configuration.GetSection("Chat")));

        Assert.Equal(("chat", "Chat"), (options.RedisConnectionString, builder!.ConfigurationPath));
    }

    [Fact]
    public void Add_WholeConfiguration_MeansItsUsualSection()
    {
        var configuration = Configuration(new() { ["AssistantQueue:RedisConnectionString"] = "usual" });

        var options = Build(services => services.AddAssistantMessageQueue(configuration));

        Assert.Equal("usual", options.RedisConnectionString);
    }

    [Fact]
    public void Add_NamedWithWholeConfiguration_MeansItsOwnSection()
    {
        var configuration = Configuration(new() { ["AssistantQueue:Queues:support:RedisConnectionString"] = "support", ["AssistantQueue:RedisConnectionString"] = "usual" });
        var services = new ServiceCollection();
        services.AddAssistantMessageQueue("support", configuration);
        using var provider = services.BuildServiceProvider();

        var options = provider.GetRequiredKeyedService<CurrentOptions>("support").Value;

        Assert.Equal(("support", "assistant-support"), (options.RedisConnectionString, options.QueuePrefix));
    }

    [Fact]
    public void Add_Named_HasItsOwnSectionAndPrefix()
    {
        var settings = new Dictionary<string, string?>
        {
            ["AssistantQueue:Concurrency"] = "99",
            ["AssistantQueue:Queues:support:RedisConnectionString"] = "localhost",
            ["AssistantQueue:Queues:support:Concurrency"] = "2",
        };

        var options = Build(services => services.AddAssistantMessageQueue("support"), settings, "support");

        Assert.Equal(("assistant-support", 2), (options.QueuePrefix, options.Concurrency));
    }

    [Theory]
    [InlineData(null, "shared")]
    [InlineData("", "shared")]
    [InlineData("own", "own")]
    public void Add_ConnectionStringsRedis_IsUsedWhenNothingElseIsSet(string? own, string used)
    {
        var options = Build(services => services.AddAssistantMessageQueue(), new() { ["ConnectionStrings:redis"] = "shared", ["AssistantQueue:RedisConnectionString"] = own });

        Assert.Equal(used, options.RedisConnectionString);
    }

    [Fact]
    public void ProducerOnly_WhateverIsConfigured_Wins()
    {
        var options = Build(
            services => services.AddAssistantMessageQueue(o => o.RunWorker = true).ProducerOnly(),
            new() { ["AssistantQueue:RedisConnectionString"] = "localhost", ["AssistantQueue:RunWorker"] = "true" });

        Assert.False(options.RunWorker);
    }

    [Fact]
    public void Bind_UnreadableValues_AreAllToldAndTheOthersTaken()
    {
        var e = Assert.Throws<OptionsValidationException>(() => Build(services => services.AddAssistantMessageQueue(), new()
        {
            ["AssistantQueue:RedisConnectionString"] = "localhost",
            ["AssistantQueue:Concurrency"] = "many",
            ["AssistantQueue:RunWorker"] = "perhaps",
            ["AssistantQueue:Window"] = "Round",
            ["AssistantQueue:Backoff:Delay"] = "soon",
            ["AssistantQueue:MessageDelay"] = "10",
            ["AssistantQueue:MaxAttempts"] = "0",
        }));

        Assert.Equal(
            [
                "AssistantQueue:Backoff:Delay is 'soon'; it must be a time as [days.]hours:minutes:seconds, for example 00:00:10",
                "AssistantQueue:Concurrency is 'many'; it must be a whole number",
                "AssistantQueue:MaxAttempts is 0; it must be 1 to 100",
                "AssistantQueue:MessageDelay is '10', which means 10 days; write 00:00:10 for seconds, or 10.00:00:00 if days are meant",
                "AssistantQueue:RunWorker is 'perhaps'; it must be true or false",
                "AssistantQueue:Window is 'Round'; it must be Fixed or Sliding",
            ],
            e.Failures.Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("AssistantQueue:MesageDelay", true)]
    [InlineData("AssistantQueue:MessageDelay", false)]
    [InlineData("AssistantQueue:OpenAI:Model", false)]
    [InlineData("AssistantQueue:Queues:support:Concurrency", false)]
    public void UnknownNames_MisspeltSettings_AreFound(string name, bool isUnknown)
    {
        var section = Configuration(new() { [name] = "1" }).GetSection("AssistantQueue");

        Assert.Equal(isUnknown ? [name] : [], SettingsBinder.UnknownNames(section));
    }

    internal static IConfigurationRoot Configuration(Dictionary<string, string?> settings) => new ConfigurationBuilder().AddInMemoryCollection(settings).Build();

    private static AssistantQueueOptions Build(Action<IServiceCollection> add, Dictionary<string, string?>? settings = null, string name = "") =>
        BuildWith(settings is null ? null : Configuration(settings), add, name);

    private static AssistantQueueOptions BuildWith(IConfiguration? configuration, Action<IServiceCollection> add, string name = "")
    {
        var services = new ServiceCollection();
        if (configuration is not null)
        {
            services.AddSingleton(configuration);
        }

        add(services);
        using var provider = services.BuildServiceProvider();
        Assert.Equal(
            provider.GetRequiredKeyedService<CurrentOptions>(name).Value.QueuePrefix,
            provider.GetRequiredService<IOptionsMonitor<AssistantQueueOptions>>().Get(name).QueuePrefix);
        return provider.GetRequiredKeyedService<CurrentOptions>(name).Value;
    }
}
