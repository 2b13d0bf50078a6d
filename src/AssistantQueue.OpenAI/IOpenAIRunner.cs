namespace AssistantQueue.OpenAI;

/// <summary>One of the APIs that can run a batch.</summary>
internal interface IOpenAIRunner
{
    /// <summary>Gets the API's name, as it is noted in journals.</summary>
    string Name { get; }

    /// <summary>Takes a batch to its reply.</summary>
    Task<RunCompleted> RunAsync(RunContext context, CancellationToken cancellationToken);

    /// <summary>Cancels what the journal says is running, and waits for its end.</summary>
    Task CancelAsync(RunContext context, CancellationToken cancellationToken);
}
