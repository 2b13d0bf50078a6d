using System.Runtime.CompilerServices;
using System.Text.Json;
using AssistantQueue.Enqueue;
using AssistantQueue.Store;
using Microsoft.Extensions.AI;

namespace AssistantQueue.Admin;

/// <summary>What an operator does with failed batches and with tool calls that wait for approval.</summary>
internal sealed class AssistantQueueAdmin(IFailedStore failed, ToolApprovals approvals) : IAssistantQueueAdmin
{
    public async IAsyncEnumerable<FailedBatch> ListFailedAsync([EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        await using var batches = failed.ListAsync(cancellationToken).GetAsyncEnumerator(cancellationToken);
        while (await AskAsync(async () => await batches.MoveNextAsync()))
        {
            yield return Batch(batches.Current);
        }
    }

    public async Task<FailedBatchDetails?> GetFailedAsync(string batchId, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(batchId);
        if (await AskAsync(() => failed.ReadAsync(batchId, cancellationToken)) is not { } entry)
        {
            return null;
        }

        var journal = Journal(entry);
        return new FailedBatchDetails(
            Batch(entry.Failure),
            [.. entry.Messages.Select(Message)],
            journal.PostedThrough,
            MayHaveMore(journal, entry.Messages));
    }

    public async Task RetryFailedAsync(string batchId, CancellationToken cancellationToken = default)
    {
        var entry = await FindAsync(batchId, cancellationToken);
        var journal = Journal(entry);
        // What rounds there are stay: a post to look for, a run to go on with by its id, outputs of tools to hand in again.
        // An operator's retry has a run's whole time before it.
        journal.StartedAt = default;
        Check(await AskAsync(() => failed.RetryAsync(entry, JsonSerializer.Serialize(journal, StoreJson.Journal), cancellationToken)), entry);
    }

    public async Task DiscardFailedAsync(string batchId, CancellationToken cancellationToken = default)
    {
        var entry = await FindAsync(batchId, cancellationToken);
        Check(await AskAsync(() => failed.DiscardAsync(entry, cancellationToken)), entry);
    }

    public async Task EditFailedAsync(string batchId, string messageId, string text, CancellationToken cancellationToken = default)
    {
        MessageRules.CheckText(text, nameof(text));
        ArgumentException.ThrowIfNullOrEmpty(messageId);
        var entry = await FindAsync(batchId, cancellationToken);
        var journal = Journal(entry);
        var at = entry.Messages.ToList().FindIndex(m => m.Sequence > 0 && Body(m) is { } body && body.MessageId == messageId);
        if (at < 0)
        {
            throw new ArgumentException($"Batch '{batchId}' has no message '{messageId}' whose text could be replaced.", nameof(messageId));
        }

        var mayHave = MayHaveMore(journal, entry.Messages);
        if (entry.Messages[at].Sequence <= journal.PostedThrough || mayHave)
        {
            throw new InvalidOperationException(
                $"The API {(mayHave ? "may have" : "has")} message '{messageId}' already; a change here could no longer reach it. Retry or discard the batch, or send a new message.");
        }

        var edited = Body(entry.Messages[at])! with { Text = text, Contents = null };
        var messages = entry.Messages.ToList();
        messages[at] = messages[at] with { Body = JsonSerializer.Serialize(edited, StoreJson.Message) };
        Check(await AskAsync(() => failed.EditAsync(entry, messages, cancellationToken)), entry);
    }

    public Task ApproveAsync(string threadId, string callId, CancellationToken cancellationToken = default) =>
        approvals.DecideAsync(threadId, callId, new ToolDecision(IsApproved: true, ""), cancellationToken);

    public Task RejectAsync(string threadId, string callId, string? reason = null, CancellationToken cancellationToken = default) =>
        approvals.DecideAsync(threadId, callId, new ToolDecision(IsApproved: false, reason ?? ""), cancellationToken);

    private async Task<FailedEntry> FindAsync(string batchId, CancellationToken cancellationToken)
    {
        ArgumentException.ThrowIfNullOrEmpty(batchId);
        return await AskAsync(() => failed.ReadAsync(batchId, cancellationToken)) ?? throw new FailedBatchNotFoundException(batchId);
    }

    private static async Task<T> AskAsync<T>(Func<Task<T>> call)
    {
        try
        {
            return await call();
        }
        catch (StoreUnavailableException e)
        {
            throw new QueueUnavailableException(e.MayHaveBeenDone ? $"{e.Message} What was asked may have been done; look before you ask again." : e.Message, e);
        }
    }

    private static void Check(FailedAnswer answer, FailedEntry entry)
    {
        switch (answer)
        {
            case FailedAnswer.Busy:
                throw new ThreadBusyException(Batch(entry.Failure).ThreadId);
            case FailedAnswer.Missing:
                throw new FailedBatchNotFoundException(entry.BatchId);
        }
    }

    private static FailedBatch Batch(string json) =>
        JsonSerializer.Deserialize(json, StoreJson.Failure) ?? throw new JsonException("A failed batch is null.");

    private static RunJournal Journal(FailedEntry entry)
    {
        if (entry.Journal is not { Length: > 0 } json)
        {
            return new RunJournal();
        }

        try
        {
            if (JsonSerializer.Deserialize(json, StoreJson.Journal) is { Version: <= RunJournal.CurrentVersion } journal)
            {
                return journal;
            }
        }
        catch (JsonException)
        {
            // Why the batch failed, perhaps; it is treated as below.
        }

        // What the API has can't be known from a journal that can't be read, or that a newer version wrote: it may have everything, so it is looked for first.
        return new RunJournal { Rounds = [new JournalRound { PostingAt = Batch(entry.Failure).FailedAt }] };
    }

    /// <summary>Whether the API may have messages that it isn't known to have: by a post without an answer, or by one whose run nobody has seen end.</summary>
    private static bool MayHaveMore(RunJournal journal, IReadOnlyList<StoredEntry> messages) =>
        journal.IsOutcomeUnknown
        || (messages.Count > 0 && journal.Rounds.Any(round => (round.Through > 0 ? round.Through : messages[^1].Sequence) > journal.PostedThrough));

    private static StoredMessage? Body(StoredEntry entry)
    {
        try
        {
            return JsonSerializer.Deserialize(entry.Body, StoreJson.Message);
        }
        catch (JsonException)
        {
            // A corrupt entry keeps its bytes; see Message.
            return null;
        }
    }

    // What can't be read is shown as it lies there.
    private static BatchMessage Message(StoredEntry entry) => Body(entry)?.ToBatchMessage(entry) ?? new BatchMessage
    {
        Sequence = entry.Sequence,
        MessageId = "",
        Contents = [new TextContent(entry.Body)],
        EnqueuedAt = entry.StoredAt,
    };
}
