using AssistantQueue.Deliver;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;

namespace AssistantQueue.Tests.Deliver;

/// <summary>How handlers are called.</summary>
public sealed class HandlerDispatcherTests : IAsyncLifetime
{
    private readonly List<string> _calls = [];
    private readonly FakeLogger _log = new();
    private readonly ServiceProvider _services;
    private readonly HandlerDispatcher _dispatcher;

    public HandlerDispatcherTests()
    {
        _services = new ServiceCollection()
            .AddScoped<IAssistantReplyHandler>(_ => new Handler("first", _calls, fails: true))
            .AddScoped<IAssistantReplyHandler>(_ => new Handler("second", _calls, fails: false))
            .BuildServiceProvider();
        _dispatcher = new HandlerDispatcher(
            _services.GetRequiredService<IServiceScopeFactory>(), scope => scope.GetServices<IAssistantReplyHandler>(), hasHandlers: true, _log);
    }

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync() => await _services.DisposeAsync();

    [Fact]
    public async Task ReplyAsync_OneHandlerFails_TheOthersAreCalledAndTheScopeEnds()
    {
        var error = await Assert.ThrowsAsync<AggregateException>(() => _dispatcher.ReplyAsync(Reply(), default));

        Assert.Equal("first is closed", Assert.Single(error.InnerExceptions).Message);
        Assert.Equal(["first made", "second made", "first reply", "second reply", "second gone", "first gone"], _calls);
    }

    [Fact]
    public async Task ReplyAsync_Again_MakesNewHandlers()
    {
        await Assert.ThrowsAsync<AggregateException>(() => _dispatcher.ReplyAsync(Reply(), default));
        await Assert.ThrowsAsync<AggregateException>(() => _dispatcher.ReplyAsync(Reply(), default));

        Assert.Equal(2, _calls.Count(c => c == "second made"));
    }

    [Fact]
    public async Task RetryingAsync_AHandlerFails_IsOnlyLogged()
    {
        await _dispatcher.RetryingAsync(new FailedAttempt { ThreadId = "c1", BatchId = "b1", Attempt = 1, Error = "x" }, default);

        Assert.Contains("second retrying", _calls);
        Assert.Equal(LogLevel.Error, _log.LatestRecord.Level);
    }

    private static AssistantReply Reply() =>
        new() { ThreadId = "c1", BatchId = "b1", Text = "hi", MessageIds = [], FirstSequence = 1, LastSequence = 1 };

    private sealed class Handler : IAssistantReplyHandler, IDisposable
    {
        private readonly string _name;
        private readonly List<string> _calls;
        private readonly bool _fails;

        public Handler(string name, List<string> calls, bool fails)
        {
            (_name, _calls, _fails) = (name, calls, fails);
            calls.Add(name + " made");
        }

        public Task OnReplyAsync(AssistantReply reply, CancellationToken cancellationToken) => CallAsync("reply");

        public Task OnRetryingAsync(FailedAttempt attempt, CancellationToken cancellationToken) => CallAsync("retrying");

        public void Dispose() => _calls.Add(_name + " gone");

        private Task CallAsync(string what)
        {
            _calls.Add($"{_name} {what}");
            return _fails ? Task.FromException(new InvalidOperationException(_name + " is closed")) : Task.CompletedTask;
        }
    }
}
