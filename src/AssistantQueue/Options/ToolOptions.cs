namespace AssistantQueue;

/// <summary>How tool calls are made. Section <c>Tools</c> of the queue's settings.</summary>
public sealed class ToolOptions
{
    /// <summary>Gets or sets how often in one run the model may ask for tools.</summary>
    /// <remarks>1 to 1,000. What it asks for beyond is answered with an error that tells it to answer without tools; if it goes on asking, the batch fails. Too small: long tasks end early. Too large: a model that goes in circles costs more.</remarks>
    /// <value>The default is 16.</value>
    public int MaxRounds { get; set; } = 16;

    /// <summary>Gets or sets how many calls of one round run at a time.</summary>
    /// <remarks>1 to 100. A call that was given up after <see cref="CallTimeout"/> doesn't count any more, also when its tool ignores its cancellation and goes on: a hanging tool must not hold up the others. Counts for one run; a process has up to <see cref="AssistantQueueOptions.Concurrency"/> runs.</remarks>
    /// <value>The default is 4.</value>
    public int MaxParallelCalls { get; set; } = 4;

    /// <summary>Gets or sets how long one call may take; then it is cancelled and the model is told so.</summary>
    /// <remarks>10 milliseconds to a day; <see cref="AssistantQueueOptions.RunTimeout"/> ends it earlier.</remarks>
    /// <value>The default is 1 minute.</value>
    public TimeSpan CallTimeout { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>Gets or sets how long a call waits for approval; then it counts as rejected.</summary>
    /// <remarks>1 second to 30 days, from when its worker first came upon it. The thread's newer messages wait behind it.</remarks>
    /// <value>The default is 24 hours.</value>
    public TimeSpan ApprovalTimeout { get; set; } = TimeSpan.FromHours(24);

    /// <summary>Gets or sets a value indicating whether the model gets the message of the exception that a tool threw; false tells it only that the tool failed.</summary>
    /// <remarks>Messages may hold what neither the model nor the user should read.</remarks>
    /// <value>The default is false.</value>
    public bool IncludeErrorDetails { get; set; }
}
