using System.Text.Json;
using AssistantQueue.Store;
using Microsoft.Extensions.AI;

namespace AssistantQueue.Tests.OpenAIBackends;

/// <summary>What the queue keeps of one batch and its thread between owners: nothing else passes from one to the next.</summary>
internal sealed class StoredBatch(string threadId, params IReadOnlyList<AIContent[]> messages)
{
    private long _fence;

    public StoredBatch(string threadId, params string[] texts)
        : this(threadId, [.. texts.Select(text => new AIContent[] { new TextContent(text) })])
    {
    }

    public string BatchId { get; init; } = "batch-1";

    public string QueueName { get; init; } = "";

    public string? Instructions { get; init; }

    public MessageCombination Combine { get; init; }

    public IReadOnlyDictionary<string, string> Metadata { get; init; } = new Dictionary<string, string>();

    public Dictionary<string, string> Conversation { get; init; } = [];

    /// <summary>Gets the journal as it was stored last; null before the first time.</summary>
    public string? Journal { get; private set; }

    /// <summary>Gets every journal that was stored, in order.</summary>
    public List<RunJournal> Saves { get; } = [];

    /// <summary>Gets or sets what happens around a save: 0 before, 1 after.</summary>
    public Action<int> AtSave { get; set; } = _ => { };

    /// <summary>Gets what the worker's check of the lease does.</summary>
    public Action? ThrowIfNotOwned { get; init; }

    public RunJournal StoredJournal => JsonSerializer.Deserialize(Journal!, StoreJson.Journal)!;

    /// <summary>The batch as the next owner gets it.</summary>
    public BatchRun NextOwner()
    {
        var sequence = 0L;
        return new BatchRun(SaveAsync, ThrowIfNotOwned)
        {
            QueueName = QueueName,
            ThreadId = threadId,
            BatchId = BatchId,
            Fence = ++_fence,
            Combine = Combine,
            Messages = [.. messages.Select(contents => new BatchMessage { Sequence = ++sequence, MessageId = $"m{sequence}", Contents = contents, Metadata = Metadata })],
            Conversation = new ConversationState(Conversation),
            Journal = Journal is null ? new RunJournal { Instructions = Instructions } : StoredJournal,
        };
    }

    /// <summary>What the worker stores together with the reply.</summary>
    public void Complete(BatchRun run) => Take(run);

    /// <summary>What the worker stores after a failed attempt.</summary>
    public void Retry(BatchRun run, AssistantBackendException failure)
    {
        if (!failure.IsOutcomeUnknown)
        {
            run.Journal.BeginNextAttempt();
        }

        Take(run);
        Journal = JsonSerializer.Serialize(run.Journal, StoreJson.Journal);
    }

    private Task SaveAsync(BatchRun run, CancellationToken cancellationToken)
    {
        AtSave(0);
        Journal = JsonSerializer.Serialize(run.Journal, StoreJson.Journal);
        Saves.Add(StoredJournal);
        Take(run);
        AtSave(1);
        return Task.CompletedTask;
    }

    private void Take(BatchRun run)
    {
        foreach (var (name, value) in run.Conversation.Changes)
        {
            if (value is null)
            {
                Conversation.Remove(name);
            }
            else
            {
                Conversation[name] = value;
            }
        }

        run.Conversation.AcceptChanges();
    }
}
