using System.Text.Json;
using AssistantQueue.Run;
using AssistantQueue.Store;

namespace AssistantQueue.Finish;

/// <summary>Writes down what failed: one attempt, or the whole batch.</summary>
internal sealed class Failures(string queueName, TimeProvider time)
{
    public FailedAttempt Attempt(ClaimedBatch batch, Exception error, TimeSpan? retryIn)
    {
        var known = error as AssistantBackendException;
        var now = time.GetUtcNow();
        return new FailedAttempt
        {
            QueueName = queueName,
            ThreadId = batch.Lease.ThreadId,
            BatchId = batch.Lease.BatchId,
            Attempt = batch.FailedAttempts + 1,
            Error = known is null ? $"{error.GetType().Name}: {error.Message}" : error.Message,
            Kind = known?.Kind ?? BackendErrorKind.Transient,
            Status = known?.Status,
            Code = known?.Code,
            FailedAt = now,
            RetryAt = now + retryIn,
        };
    }

    /// <param name="batch">The batch.</param>
    /// <param name="kind">Why it is given up.</param>
    /// <param name="error">The error's text; null takes that of the last attempt.</param>
    /// <param name="last">The attempt that failed just now.</param>
    /// <param name="through">The last message that is given up.</param>
    public FailedBatch Batch(ClaimedBatch batch, FailureKind kind, string? error, FailedAttempt? last, long through)
    {
        var attempts = batch.Errors.Select(Read).OfType<FailedAttempt>().ToList();
        if (last is not null)
        {
            attempts.Add(last);
        }

        return new FailedBatch
        {
            QueueName = queueName,
            ThreadId = batch.Lease.ThreadId,
            BatchId = batch.Lease.BatchId,
            Kind = kind,
            Error = error ?? (attempts is [.., var latest] ? latest.Error : kind.ToString()),
            MessageIds = [.. batch.Entries.Where(entry => entry.Sequence <= through).Select(IdOf)],
            FirstSequence = batch.FirstSequence,
            LastSequence = through,
            Attempts = attempts,
            FailedAt = time.GetUtcNow(),
        };
    }

    /// <summary>The last message to give up: those that joined at a retry, and were never posted, have attempts left.</summary>
    public static long Through(ClaimedBatch batch, FailureKind kind, bool isPosted) =>
        kind == FailureKind.AttemptsExhausted && !isPosted && batch.AttemptedThrough >= batch.FirstSequence && batch.AttemptedThrough < batch.LastSequence
            ? batch.AttemptedThrough
            : batch.LastSequence;

    private static FailedAttempt? Read(string error)
    {
        try
        {
            return JsonSerializer.Deserialize(error, StoreJson.Attempt);
        }
        catch (JsonException)
        {
            // An unreadable note about an earlier attempt must not keep the failure from being written; its bytes stay in the store.
            return null;
        }
    }

    private static string IdOf(StoredEntry entry)
    {
        try
        {
            using var document = JsonDocument.Parse(entry.Body);
            if (document.RootElement.TryGetProperty("id", out var id) && id.GetString() is { } text)
            {
                return text;
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // A corrupt entry is named by its place instead.
        }

        return $"sequence:{entry.Sequence}";
    }
}
