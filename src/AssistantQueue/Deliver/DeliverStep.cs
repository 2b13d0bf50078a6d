using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using AssistantQueue.Diagnostics;
using AssistantQueue.Leases;
using AssistantQueue.Store;
using AssistantQueue.Waiting;
using Microsoft.Extensions.Logging;

namespace AssistantQueue.Deliver;

/// <summary>Hands one open delivery to the handlers and closes it, postpones it, or gives it up when its age is over or nobody can read it.</summary>
internal sealed class DeliverStep(
    string queueName,
    IQueueStore store,
    HandlerDispatcher dispatcher,
    Func<AssistantQueueOptions> options,
    QueueMetrics metrics,
    TimeProvider time,
    ILogger log)
{
    /// <param name="delivery">The delivery.</param>
    /// <param name="held">Its lease.</param>
    /// <param name="leaving">The host stops and the handlers had their time.</param>
    /// <param name="over">The store is not waited for any more.</param>
    public async Task DeliverAsync(OpenDelivery delivery, HeldLease held, CancellationToken leaving, CancellationToken over)
    {
        var startedAt = time.GetTimestamp();
        Exception? error = null;
        using var handlersStop = CancellationTokenSource.CreateLinkedTokenSource(held.Ended, leaving);
        var handing = HandAsync(delivery, handlersStop.Token);
        try
        {
            await handing.WaitAsync(handlersStop.Token);
        }
        catch (Exception e)
        {
            error = e;
        }

        if (!handing.IsCompleted && !held.Ended.IsCancellationRequested)
        {
            // not: give it back while a handler that was told to stop works on
            // but: wait, so that no other worker calls the handlers beside it; the lease ends by itself
            using var end = CancellationTokenSource.CreateLinkedTokenSource(held.Ended, over);
            await handing.WaitAsync(end.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (!handing.IsCompleted && !held.Ended.IsCancellationRequested)
            {
                Log.HandlerDoesNotStop(log, delivery.Lease.ThreadId, delivery.BatchId);
                return;
            }

            error = handing.IsCompletedSuccessfully ? null : handing.Exception?.InnerException ?? error;
        }

        if (error is null)
        {
            await CloseAsync(delivery, held, over);
            return;
        }

        if (!held.IsProven)
        {
            Log.DeliveryLeaseEnded(log, delivery.Lease.ThreadId, delivery.BatchId);
            return;
        }

        await RefusedAsync(delivery, held, error, delivery.Age + time.GetElapsedTime(startedAt), leaving.IsCancellationRequested, over);
    }

    private async Task HandAsync(OpenDelivery delivery, CancellationToken cancellationToken) =>
        await (delivery.Reply is { } reply
            ? dispatcher.ReplyAsync(ReadOrThrow(reply, StoreJson.Reply), cancellationToken)
            : dispatcher.FailedAsync(ReadOrThrow(delivery.Failure!, StoreJson.Failure), cancellationToken));

    private async Task CloseAsync(OpenDelivery delivery, HeldLease held, CancellationToken over)
    {
        var isOurs = await RepeatAsync(token => store.CloseDeliveryAsync(delivery, token), delivery, held, over);
        if (isOurs)
        {
            metrics.Delivered();
            Log.Delivered(log, delivery.Lease.ThreadId, delivery.BatchId);
        }
        else
        {
            Log.DeliveryLeaseEnded(log, delivery.Lease.ThreadId, delivery.BatchId);
        }
    }

    private async Task RefusedAsync(OpenDelivery delivery, HeldLease held, Exception error, TimeSpan age, bool isLeaving, CancellationToken over)
    {
        var settings = options();
        if (isLeaving && error is (OperationCanceledException or AggregateException { InnerException: OperationCanceledException }))
        {
            await RepeatAsync(token => store.PostponeDeliveryAsync(delivery, TimeSpan.Zero, countTry: false, token), delivery, held, over);
            return;
        }

        metrics.DeliveryFailed();
        // No repetition helps.
        var isUnreadable = error is UnreadableException;
        if (age < settings.DeliveryMaxAge && !isUnreadable)
        {
            var pause = Backoff.Next(delivery.FailedTries + 1, settings.Backoff, retryAfter: null, Random.Shared.NextDouble());
            Log.DeliveryPostponed(log, delivery.Lease.ThreadId, delivery.BatchId, delivery.FailedTries + 1, pause, error);
            await RepeatAsync(token => store.PostponeDeliveryAsync(delivery, pause, countTry: true, token), delivery, held, over);
            return;
        }

        if (isUnreadable)
        {
            Log.DeliveryUnreadable(log, delivery.Lease.ThreadId, delivery.BatchId, error.InnerException!);
        }
        else
        {
            Log.DeliveryAbandoned(log, delivery.Lease.ThreadId, delivery.BatchId, age, error);
        }

        await RepeatAsync(token => store.AbandonDeliveryAsync(delivery, FailureOf(delivery, error, age), token), delivery, held, over);
        metrics.Failed(FailureKind.Delivery);
    }

    private FailedBatch FailureOf(OpenDelivery delivery, Exception error, TimeSpan age)
    {
        var cause = error is AggregateException { InnerExceptions: [var first, ..] } ? first : error;
        var text = error is UnreadableException
            ? $"The stored {(delivery.Reply is null ? "failure" : "reply")} can't be read, so no handler was called with it."
            : $"Handlers failed for {age}, longer than DeliveryMaxAge; the last error was {cause.GetType().Name}: {cause.Message}";
        var reply = Read(delivery.Reply, StoreJson.Reply);
        var failure = Read(delivery.Failure, StoreJson.Failure);
        return new FailedBatch
        {
            QueueName = queueName,
            ThreadId = delivery.Lease.ThreadId,
            BatchId = delivery.BatchId,
            Kind = FailureKind.Delivery,
            Error = text,
            MessageIds = reply?.MessageIds ?? failure?.MessageIds ?? [],
            FirstSequence = reply?.FirstSequence ?? failure?.FirstSequence ?? 0,
            LastSequence = reply?.LastSequence ?? failure?.LastSequence ?? 0,
            Attempts = failure?.Attempts ?? [],
            FailedAt = time.GetUtcNow(),
        };
    }

    private static T ReadOrThrow<T>(string json, JsonTypeInfo<T> type)
        where T : class
    {
        try
        {
            return JsonSerializer.Deserialize(json, type) ?? throw new JsonException("null");
        }
        catch (JsonException e)
        {
            throw new UnreadableException(e);
        }
    }

    private static T? Read<T>(string? json, JsonTypeInfo<T> type)
        where T : class
    {
        try
        {
            return json is null ? null : JsonSerializer.Deserialize(json, type);
        }
        catch (JsonException)
        {
            // It is being given up because it can't be read; the failure says so.
            return null;
        }
    }

    private async Task<bool> RepeatAsync(Func<CancellationToken, Task<bool>> call, OpenDelivery delivery, HeldLease held, CancellationToken over)
    {
        // Until the delivery is dropped: a renewal that finds it closed says nothing new.
        held.IsFinishing = true;
        var errors = new Every(TimeSpan.FromMinutes(1), time);
        return await StoreRetry.UntilAnswered(
            time,
            e =>
            {
                if (errors.IsTime())
                {
                    Log.DeliveryUnanswered(log, delivery.Lease.ThreadId, delivery.BatchId, e);
                }
            }).ExecuteAsync(async token => await call(token), over);
    }

    /// <summary>What is stored can't be read. A type of its own: a handler may throw a <see cref="JsonException"/> too.</summary>
    private sealed class UnreadableException(JsonException cause) : Exception(cause.Message, cause);
}
