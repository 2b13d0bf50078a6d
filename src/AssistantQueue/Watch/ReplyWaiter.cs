using System.Text.Json;
using AssistantQueue.Store;

namespace AssistantQueue.Watch;

/// <summary>Waits for the outcome of the batch that a message is in: listens first, then looks, so that nothing falls in between.</summary>
internal sealed class ReplyWaiter(IQueueStore store, ThreadSubscriptions outcomes, TimeProvider time)
{
    // Announcements may be lost; this look bounds the damage. Spread, so that many waiters don't look together.
    private static readonly TimeSpan SafetyLook = TimeSpan.FromSeconds(10);

    public async Task<AssistantReply> WaitAsync(MessageReceipt receipt, CancellationToken cancellationToken)
    {
        var signal = NewSignal();
        var hasLooked = false;
        try
        {
            using var listener = await outcomes.ListenAsync(receipt.ThreadId, OnAnnouncement, cancellationToken);
            receipt = await IdentifyAsync(receipt, cancellationToken);
            while (true)
            {
                var told = Volatile.Read(ref signal).Task;
                if (await LookAsync(receipt, hasLooked, cancellationToken) is { } reply)
                {
                    return reply;
                }

                hasLooked = true;
                try
                {
                    await told.WaitAsync(SafetyLook * (0.5 + Random.Shared.NextDouble()), time, cancellationToken);
                }
                catch (TimeoutException)
                {
                    // Time to look.
                }
            }
        }
        catch (StoreUnavailableException e)
        {
            throw new QueueUnavailableException(e.Message, e);
        }

        void OnAnnouncement(ThreadAnnouncement? announcement)
        {
            if (announcement is null or { Kind: AnnouncementKind.Replied or AnnouncementKind.Failed } && Covers(announcement))
            {
                Interlocked.Exchange(ref signal, NewSignal()).TrySetResult();
            }
        }

        bool Covers(ThreadAnnouncement? announcement) =>
            announcement is not { } told || (told.FirstSequence <= receipt.Sequence && receipt.Sequence <= told.LastSequence);
    }

    // Who only kept the message's id has no sequence number; the store knows it as long as it recognises the id.
    private async Task<MessageReceipt> IdentifyAsync(MessageReceipt receipt, CancellationToken cancellationToken) =>
        receipt.Sequence > 0 ? receipt
        : await store.FindMessageAsync(receipt.ThreadId, receipt.MessageId, cancellationToken) is { } sequence ? receipt with { Sequence = sequence }
        : throw new ReplyExpiredException(receipt.ThreadId, receipt.MessageId);

    private async Task<AssistantReply?> LookAsync(MessageReceipt receipt, bool isPatient, CancellationToken cancellationToken)
    {
        ReplyLookup found;
        try
        {
            found = await store.FindReplyAsync(receipt.ThreadId, receipt.Sequence, cancellationToken);
        }
        catch (StoreUnavailableException) when (isPatient)
        {
            // Redis is away while the caller waits anyway: the next look is after its return, or the next safety look.
            return null;
        }

        return found.State switch
        {
            ReplyState.Pending => null,
            ReplyState.Replied => JsonSerializer.Deserialize(found.Reply!, StoreJson.Reply),
            ReplyState.Failed => throw new BatchFailedException(JsonSerializer.Deserialize(found.Failure!, StoreJson.Failure)!),
            _ => throw new ReplyExpiredException(receipt.ThreadId, receipt.MessageId),
        };
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
