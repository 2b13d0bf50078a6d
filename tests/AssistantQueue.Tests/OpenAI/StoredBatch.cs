using System.Collections.ObjectModel;
using System.Text.Json;
using AssistantQueue.Diagnostics;
using AssistantQueue.Run;
using AssistantQueue.Store;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;

namespace AssistantQueue.Tests.OpenAIBackends;

/// <summary>What the queue keeps of one batch and its thread between owners: nothing else passes from one to the next.</summary>
internal sealed class StoredBatch(string threadId, params IReadOnlyList<AIContent[]> messages)
{
    private readonly List<AIContent[]> _messages = [.. messages];
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

    /// <summary>Gets what happens when the first owner's run has ended and its rounds are forgotten, before its reply is handed over.</summary>
    public Action? AtEnd { get; init; }

    /// <summary>Gets the queue's tools; null when it has none.</summary>
    public TestTools? Tools { get; init; }

    /// <summary>Gets what was decided about calls that wait for approval, by their ids.</summary>
    public Dictionary<string, ToolDecision> Decisions { get; } = [];

    /// <summary>Gets the messages that join at the next tool round.</summary>
    public List<string> Joining { get; } = [];

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
            Messages = [.. _messages.Select(contents => Message(++sequence, contents))],
            Tools = Tools is null ? new BatchRun((_, _) => Task.CompletedTask) { ThreadId = "", BatchId = "", Fence = 0, Messages = [] }.Tools : ToolsOf(Tools),
            Join = (run, _) => Task.FromResult(Join(run)),
            Conversation = new ConversationState(Conversation),
            Journal = Journal is null ? new RunJournal { Instructions = Instructions, Rounds = new Rounds(AtEnd) } : StoredJournal,
        };
    }

    /// <summary>What the worker stores together with the reply.</summary>
    public void Complete(BatchRun run) => Take(run);

    /// <summary>A newer message interrupts the batch, as the worker does it: the run is cancelled at the API, then the message joins.</summary>
    public async Task InterruptAsync(IAssistantBackend backend, string text, CancellationToken cancellationToken)
    {
        var run = NextOwner();
        await backend.CancelAsync(run, cancellationToken);
        run.Journal.BeginNextAttempt();
        run.Journal.Interruptions++;
        Take(run);
        Journal = JsonSerializer.Serialize(run.Journal, StoreJson.Journal);
        _messages.Add([new TextContent(text)]);
    }

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

    private BatchMessage Message(long sequence, AIContent[] contents) =>
        new() { Sequence = sequence, MessageId = $"m{sequence}", Contents = contents, Metadata = Metadata };

    private IReadOnlyList<BatchMessage> Join(BatchRun run)
    {
        var sequence = run.Messages[^1].Sequence;
        var contents = Joining.Select(text => new AIContent[] { new TextContent(text) }).ToList();
        Joining.Clear();
        _messages.AddRange(contents);
        return [.. contents.Select(c => Message(++sequence, c))];
    }

    // the queue's own; on the real clock, because each call's time limit would be over at once on the hurried one
    private RunTools ToolsOf(TestTools tools)
    {
        var scopes = new ServiceCollection().BuildServiceProvider().GetRequiredService<IServiceScopeFactory>();
        return new RunTools(
            new ToolSet("", tools.Functions),
            new ToolCaller(scopes, TimeProvider.System, NullLogger.Instance),
            () => tools.Options,
            Decisions,
            _ => ValueTask.CompletedTask,
            new QueueMetrics(""),
            TimeProvider.System,
            NullLogger.Instance);
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

    private sealed class Rounds(Action? cleared) : Collection<JournalRound>
    {
        protected override void ClearItems()
        {
            base.ClearItems();
            cleared?.Invoke();
        }
    }
}
