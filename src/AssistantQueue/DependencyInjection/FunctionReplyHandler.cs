namespace AssistantQueue;

/// <summary>The handler behind <c>OnReply</c>, <c>OnFailed</c> and <c>OnRetrying</c>: passes on what its function takes.</summary>
internal sealed class FunctionReplyHandler(IServiceProvider services) : IAssistantReplyHandler
{
    public Func<IServiceProvider, AssistantReply, CancellationToken, Task>? Reply { get; init; }

    public Func<IServiceProvider, FailedBatch, CancellationToken, Task>? Failed { get; init; }

    public Func<IServiceProvider, FailedAttempt, CancellationToken, Task>? Retrying { get; init; }

    public Task OnReplyAsync(AssistantReply reply, CancellationToken cancellationToken) =>
        Reply?.Invoke(services, reply, cancellationToken) ?? Task.CompletedTask;

    public Task OnFailedAsync(FailedBatch failure, CancellationToken cancellationToken) =>
        Failed?.Invoke(services, failure, cancellationToken) ?? Task.CompletedTask;

    public Task OnRetryingAsync(FailedAttempt attempt, CancellationToken cancellationToken) =>
        Retrying?.Invoke(services, attempt, cancellationToken) ?? Task.CompletedTask;
}
