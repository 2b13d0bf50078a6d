using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace AssistantQueue.Tests.DependencyInjection;

public sealed class RegistrationTests
{
    [Fact]
    public void Add_Twice_IsOneQueue()
    {
        var services = new ServiceCollection();

        var first = services.AddAssistantMessageQueue(o => o.RedisConnectionString = "localhost");
        var again = services.AddAssistantMessageQueue(o => o.Concurrency = 9);

        using var provider = services.BuildServiceProvider();
        Assert.Equal((first.Name, first.ConfigurationPath), (again.Name, again.ConfigurationPath));
        Assert.Single(provider.GetServices<IHostedService>());
        Assert.Single(provider.GetServices<IValidateOptions<AssistantQueueOptions>>());
        Assert.Equal(9, provider.GetRequiredKeyedService<CurrentOptions>("").Value.Concurrency);
    }

    [Fact]
    public void Add_TwoNames_AreTwoQueues()
    {
        var services = new ServiceCollection();

        services.AddAssistantMessageQueue("a", o => o.RedisConnectionString = "localhost");
        services.AddAssistantMessageQueue("b", o => o.RedisConnectionString = "localhost");

        using var provider = services.BuildServiceProvider();
        Assert.Equal(2, provider.GetServices<IHostedService>().Count());
        Assert.Equal("assistant-b", provider.GetRequiredKeyedService<CurrentOptions>("b").Value.QueuePrefix);
    }

    [Theory]
    [InlineData("")]
    [InlineData("a:b")]
    [InlineData("a b")]
    [InlineData("{a}")]
    [InlineData("größe")]
    public void Add_BadName_Throws(string name)
    {
        var e = Assert.Throws<ArgumentException>(() => new ServiceCollection().AddAssistantMessageQueue(name));

        Assert.Contains("letters, digits", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void UseBackend_Twice_TheLastWins()
    {
        var services = new ServiceCollection();
        var mine = new StubBackend();

        services.AddAssistantMessageQueue("a").UseBackend<StubBackend>().UseBackend(_ => new StubBackend()).UseBackend(mine);

        using var provider = services.BuildServiceProvider();
        Assert.Same(mine, Assert.Single(provider.GetKeyedServices<IAssistantBackend>("a")));
    }

    [Fact]
    public void AddReplyHandler_SameTypeTwice_IsOneHandlerForItsQueueOnly()
    {
        var services = new ServiceCollection();

        services.AddAssistantMessageQueue("a").AddReplyHandler<Handler>().AddReplyHandler<Handler>();
        services.AddAssistantMessageQueue("b");

        using var provider = services.BuildServiceProvider();
        using var scope = provider.CreateScope();
        Assert.IsType<Handler>(Assert.Single(scope.ServiceProvider.GetKeyedServices<IAssistantReplyHandler>("a")));
        Assert.Empty(scope.ServiceProvider.GetKeyedServices<IAssistantReplyHandler>("b"));
    }

    [Fact]
    public async Task OnReplyOnFailedOnRetrying_EachTakesItsOwnWithTheScopesServices()
    {
        var services = new ServiceCollection().AddScoped<Handler>();
        var told = new List<string>();
        Handler? scoped = null;
        services.AddAssistantMessageQueue()
            .OnReply((s, reply, _) => Tell(s, reply.Text))
            .OnFailed((s, failure, _) => Tell(s, failure.Error))
            .OnRetrying((s, attempt, _) => Tell(s, attempt.Error))
            .OnReply((_, _) => Tell(null, "plain"))
            .OnFailed((_, _) => Tell(null, "plain"))
            .OnRetrying((_, _) => Tell(null, "plain"));
        using var provider = services.BuildServiceProvider();
        using var scope = provider.CreateScope();
        scoped = scope.ServiceProvider.GetRequiredService<Handler>();

        foreach (var handler in scope.ServiceProvider.GetKeyedServices<IAssistantReplyHandler>(""))
        {
            await handler.OnReplyAsync(new() { ThreadId = "t", BatchId = "b", Text = "reply", MessageIds = [], FirstSequence = 1, LastSequence = 1 }, default);
            await handler.OnFailedAsync(new() { ThreadId = "t", BatchId = "b", Kind = FailureKind.Permanent, Error = "failed", MessageIds = [], FirstSequence = 1, LastSequence = 1 }, default);
            await handler.OnRetryingAsync(new() { ThreadId = "t", BatchId = "b", Attempt = 1, Error = "retrying" }, default);
        }

        Assert.Equal(["reply", "failed", "retrying", "plain", "plain", "plain"], told);

        Task Tell(IServiceProvider? s, string what)
        {
            Assert.True(s is null || ReferenceEquals(scoped, s.GetRequiredService<Handler>()));
            told.Add(what);
            return Task.CompletedTask;
        }
    }

    private sealed class Handler : IAssistantReplyHandler;
}
