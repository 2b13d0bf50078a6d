using Microsoft.Extensions.AI;

namespace AssistantQueue;

/// <summary>A batch that a backend runs: its messages, what is remembered of the conversation and of an interrupted run, and the way to write both under the lease.</summary>
public sealed class BatchRun
{
    private readonly Func<BatchRun, CancellationToken, Task> _save;
    private readonly Action? _throwIfNotOwned;
    private IReadOnlyList<BatchMessage> _messages = [];

    /// <summary>Creates a run. The worker does this; a backend's tests may too.</summary>
    /// <param name="save">Stores journal and conversation changes; throws <see cref="LeaseLostException"/> when the fence is no longer valid.</param>
    /// <param name="throwIfNotOwned">Throws <see cref="LeaseLostException"/> when the lease can't be proved any more; null when nothing is to be checked.</param>
    public BatchRun(Func<BatchRun, CancellationToken, Task> save, Action? throwIfNotOwned = null)
    {
        _save = save;
        _throwIfNotOwned = throwIfNotOwned;
    }

    /// <summary>Gets the queue's name; empty for the unnamed queue.</summary>
    public string QueueName { get; init; } = "";

    /// <summary>Gets the thread: the app's own key.</summary>
    public required string ThreadId { get; init; }

    /// <summary>Gets the batch's id; the same for the next owner of the same batch.</summary>
    public required string BatchId { get; init; }

    /// <summary>Gets the fencing number: grows with each owner of the thread.</summary>
    public required long Fence { get; init; }

    /// <summary>Gets which attempt this is, from 1.</summary>
    public int Attempt { get; init; } = 1;

    /// <summary>Gets the batch's messages, in their order. <see cref="JoinWaitingAsync"/> can make them more.</summary>
    public required IReadOnlyList<BatchMessage> Messages
    {
        get => _messages;
        init => _messages = value;
    }

    /// <summary>Gets how messages become the model's input.</summary>
    public MessageCombination Combine { get; init; }

    /// <summary>Gets the conversation's state.</summary>
    public ConversationState Conversation { get; init; } = new();

    /// <summary>Gets the journal; fresh, or that of an interrupted run or earlier attempt. <see cref="RunJournal.Instructions"/> are sealed in it.</summary>
    public RunJournal Journal { get; init; } = new();

    /// <summary>Gets the tools that the model may be offered, and the way to make its calls.</summary>
    public IRunTools Tools { get; init; } = new NoTools();

    /// <summary>Gets how far the store's clock is ahead of this process' monotonic one.</summary>
    internal TimeSpan ClockAhead { get; init; }

    /// <summary>Gets what lets waiting messages join; null when none can.</summary>
    internal Func<BatchRun, CancellationToken, Task<IReadOnlyList<BatchMessage>>>? Join { get; init; }

    /// <summary>Gets the user messages that the API doesn't have yet, combined as the options say.</summary>
    /// <remarks>Empty when the API has them all: a retry then runs without posting them again.</remarks>
    public IReadOnlyList<RunInput> UnpostedInputs => RunInput.From(Messages.Where(m => m.Sequence > Journal.PostedThrough), Combine);

    /// <summary>Stores the journal and the conversation's changes, if the fence is still valid. What is not saved is not known to the next owner.</summary>
    /// <param name="cancellationToken">Ends the waiting; whether it was stored is unknown then.</param>
    /// <returns>A task that completes when it is stored.</returns>
    /// <exception cref="LeaseLostException">The thread has another owner now; nothing was written.</exception>
    public Task SaveAsync(CancellationToken cancellationToken) => _save(this, cancellationToken);

    /// <summary>Lets messages that arrived during the run and ask for it (<see cref="BusyAction.Steer"/>) join the batch. Call it right before a post that hands in tool outputs, and post <see cref="UnpostedInputs"/> with them.</summary>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <returns>Whether <see cref="Messages"/> became more.</returns>
    /// <exception cref="LeaseLostException">The thread has another owner now.</exception>
    public async Task<bool> JoinWaitingAsync(CancellationToken cancellationToken)
    {
        if (Join is null || await Join(this, cancellationToken) is not { Count: > 0 } joined)
        {
            return false;
        }

        _messages = [.. _messages, .. joined];
        return true;
    }

    /// <summary>Checks by this process' own clock that the thread is still owned. Call it right before each post to the API: a process that was suspended after its last save must not send.</summary>
    /// <exception cref="LeaseLostException">The lease can't be proved any more.</exception>
    public void ThrowIfNotOwned() => _throwIfNotOwned?.Invoke();

    private sealed class NoTools : IRunTools
    {
        public IReadOnlyList<AIFunction> Functions => [];

        public Task<IReadOnlyList<ToolCallOutput>> CallAsync(BatchRun run, JournalRound round, CancellationToken cancellationToken) =>
            throw new InvalidOperationException("The run has no tools to call.");
    }
}

/// <summary>A message of a batch.</summary>
public sealed record BatchMessage
{
    /// <summary>Gets the message's place in its thread.</summary>
    public required long Sequence { get; init; }

    /// <summary>Gets the message's id.</summary>
    public required string MessageId { get; init; }

    /// <summary>Gets the content parts; a text message has one <see cref="TextContent"/>.</summary>
    public required IReadOnlyList<AIContent> Contents { get; init; }

    /// <summary>Gets the message's own instructions.</summary>
    public string? Instructions { get; init; }

    /// <summary>Gets the message's metadata.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; init; } = new Dictionary<string, string>();

    /// <summary>Gets when the message was stored, by Redis' clock.</summary>
    public DateTimeOffset EnqueuedAt { get; init; }
}

/// <summary>One user message as the model gets it: a message of the batch, or all of them joined.</summary>
/// <param name="Contents">The content parts.</param>
/// <param name="Metadata">The metadata; joined messages keep the first value of a key, at most 16.</param>
public sealed record RunInput(IReadOnlyList<AIContent> Contents, IReadOnlyDictionary<string, string> Metadata)
{
    internal static IReadOnlyList<RunInput> From(IEnumerable<BatchMessage> messages, MessageCombination combine)
    {
        var all = messages.ToList();
        if (combine == MessageCombination.SeparateMessages || all.Count < 2)
        {
            return [.. all.Select(m => new RunInput(m.Contents, m.Metadata))];
        }

        var contents = new List<AIContent>();
        var metadata = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var message in all)
        {
            Append(contents, message.Contents);
            foreach (var (key, value) in message.Metadata)
            {
                if (metadata.Count < 16)
                {
                    metadata.TryAdd(key, value);
                }
            }
        }

        return [new RunInput(contents, metadata)];
    }

    // Texts that stand next to each other become one, with a blank line between; other parts keep their place.
    private static void Append(List<AIContent> contents, IReadOnlyList<AIContent> more)
    {
        foreach (var part in more)
        {
            if (part is TextContent text && contents is [.., TextContent last] && ReferenceEquals(part, more[0]))
            {
                contents[^1] = new TextContent(last.Text + "\n\n" + text.Text);
            }
            else
            {
                contents.Add(part);
            }
        }
    }
}
