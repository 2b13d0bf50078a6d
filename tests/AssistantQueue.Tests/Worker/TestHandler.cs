using System.Threading.Channels;

namespace AssistantQueue.Tests.Worker;

/// <summary>A handler that writes down what it gets, after doing what a test says.</summary>
internal sealed class TestHandler : IAssistantReplyHandler
{
    private readonly Channel<AssistantReply> _replies = Channel.CreateUnbounded<AssistantReply>();
    private readonly Channel<FailedBatch> _failures = Channel.CreateUnbounded<FailedBatch>();
    private readonly Channel<FailedAttempt> _retries = Channel.CreateUnbounded<FailedAttempt>();

    public Func<AssistantReply, CancellationToken, Task> Reply { get; set; } = (_, _) => Task.CompletedTask;

    public async Task OnReplyAsync(AssistantReply reply, CancellationToken cancellationToken)
    {
        await Reply(reply, cancellationToken);
        _replies.Writer.TryWrite(reply);
    }

    public Task OnFailedAsync(FailedBatch failure, CancellationToken cancellationToken)
    {
        _failures.Writer.TryWrite(failure);
        return Task.CompletedTask;
    }

    public Task OnRetryingAsync(FailedAttempt attempt, CancellationToken cancellationToken)
    {
        _retries.Writer.TryWrite(attempt);
        return Task.CompletedTask;
    }

    public Task<AssistantReply> NextReplyAsync() => _replies.Reader.ReadAsync().AsTask().WaitAsync(TestTimes.Patience);

    public Task<FailedBatch> NextFailureAsync() => _failures.Reader.ReadAsync().AsTask().WaitAsync(TestTimes.Patience);

    public Task<FailedAttempt> NextRetryAsync() => _retries.Reader.ReadAsync().AsTask().WaitAsync(TestTimes.Patience);

    public bool HasNothingMore => !_replies.Reader.TryPeek(out _) && !_failures.Reader.TryPeek(out _);
}
