using Microsoft.Extensions.Logging;

namespace AssistantQueue;

/// <summary>Everything that the library logs. Ids are grouped: 1xx enqueue and waiting, 2xx claim, 3xx run, 4xx finish, 5xx deliver, 6xx Redis, 7xx host and settings.</summary>
/// <remarks>Message texts and credentials are never logged.</remarks>
internal static partial class Log
{
    // 2xx: claim

    [LoggerMessage(200, LogLevel.Information, "Queue '{Queue}': worker {WorkerId} starts on {Partitions} partition(s).")]
    public static partial void WorkerStarting(ILogger logger, string queue, string workerId, int partitions);

    [LoggerMessage(201, LogLevel.Information, "Queue '{Queue}': worker {WorkerId} stopped.")]
    public static partial void WorkerStopped(ILogger logger, string queue, string workerId);

    [LoggerMessage(202, LogLevel.Warning, "Queue '{Queue}': the shutdown time is nearly over; {Runs} run(s) and {Deliveries} delivery(ies) are given back.")]
    public static partial void WorkerLeaving(ILogger logger, string queue, int runs, int deliveries);

    [LoggerMessage(203, LogLevel.Error, "Partition {Partition}: Redis does not answer; the claim is repeated until it does. Said once a minute.")]
    public static partial void ClaimUnanswered(ILogger logger, int partition, Exception exception);

    [LoggerMessage(204, LogLevel.Error, "Partition {Partition}: claiming failed and is tried again. Said once a minute.")]
    public static partial void ClaimFailed(ILogger logger, int partition, Exception exception);

    [LoggerMessage(205, LogLevel.Error, "Queue '{Queue}': subscribing to wake-ups failed; new threads are seen a few seconds late until it works.")]
    public static partial void SubscribeFailed(ILogger logger, string queue, Exception exception);

    [LoggerMessage(206, LogLevel.Error, "Partition {Partition}: renewing {Leases} lease(s) failed; runs whose lease can't be proved are stopped. Said once a minute.")]
    public static partial void RenewFailed(ILogger logger, int partition, int leases, Exception exception);

    [LoggerMessage(207, LogLevel.Warning, "Thread '{ThreadId}': the lease with fence {Fence} is somebody else's now; its work stops here.")]
    public static partial void LeaseLost(ILogger logger, string threadId, long fence);

    [LoggerMessage(208, LogLevel.Warning, "Thread '{ThreadId}': the lease with fence {Fence} can't be proved any more; its work stops here.")]
    public static partial void LeaseUnproven(ILogger logger, string threadId, long fence);

    [LoggerMessage(209, LogLevel.Warning, "Queue '{Queue}': worker {WorkerId} could not say goodbye to Redis; its record ends by itself.")]
    public static partial void LeaveFailed(ILogger logger, string queue, string workerId, Exception exception);

    [LoggerMessage(210, LogLevel.Error, "Thread '{ThreadId}': its keys hold something that the queue did not write; it is looked at again in a minute. Remove what is foreign, or use another QueuePrefix.")]
    public static partial void ForeignThread(ILogger logger, string threadId);

    [LoggerMessage(211, LogLevel.Error, "Thread '{ThreadId}': the run with fence {Fence} could not be told that newer messages want something of it; it goes on without.")]
    public static partial void WishNotTold(ILogger logger, string threadId, long fence, Exception exception);

    // 3xx: run

    [LoggerMessage(300, LogLevel.Information, "Thread '{ThreadId}': batch {BatchId} (fence {Fence}, attempt {Attempt}, {Messages} message(s), taken over: {IsTakeover}) is run.")]
    public static partial void RunStarting(ILogger logger, string threadId, string batchId, long fence, int attempt, int messages, bool isTakeover);

    [LoggerMessage(301, LogLevel.Error, "Thread '{ThreadId}': the backend did not stop following batch {BatchId} within {Time} after it was told to; it is left behind.")]
    public static partial void BackendDoesNotStop(ILogger logger, string threadId, string batchId, TimeSpan time);

    [LoggerMessage(302, LogLevel.Warning, "Thread '{ThreadId}': the run of batch {BatchId} could not be cancelled at the API; the next attempt looks at it first.")]
    public static partial void CancelFailed(ILogger logger, string threadId, string batchId, Exception exception);

    [LoggerMessage(303, LogLevel.Warning, "Thread '{ThreadId}': the journal of batch {BatchId} is not written yet; repeated while the lease holds.")]
    public static partial void JournalUnanswered(ILogger logger, string threadId, string batchId, Exception exception);

    [LoggerMessage(304, LogLevel.Error, "Queue '{Queue}': the backend is paused for {Pause}; nothing is lost or counted as failed. Thread '{ThreadId}' was told: {Error} Check key, endpoint, model and quota. Said once a minute.")]
    public static partial void BackendPaused(ILogger logger, string queue, TimeSpan pause, string threadId, string error);

    [LoggerMessage(305, LogLevel.Information, "Queue '{Queue}': the backend works again.")]
    public static partial void BackendResumed(ILogger logger, string queue);

    [LoggerMessage(306, LogLevel.Warning, "Thread '{ThreadId}' was written by a newer version ({Version}) of the library; it is held for a worker that knows it. Said once a minute.")]
    public static partial void NewerVersion(ILogger logger, string threadId, int version);

    [LoggerMessage(307, LogLevel.Error, "Thread '{ThreadId}': batch {BatchId} broke an assumption of the worker; it goes on when its lease ends.")]
    public static partial void BatchBroken(ILogger logger, string threadId, string batchId, Exception exception);

    [LoggerMessage(308, LogLevel.Information, "Thread '{ThreadId}': tool call {CallId} ({Tool}) ended (error: {IsError}, {Characters} characters).")]
    public static partial void ToolAnswered(ILogger logger, string threadId, string callId, string tool, bool isError, int characters);

    [LoggerMessage(309, LogLevel.Error, "Thread '{ThreadId}': tool call {CallId} ({Tool}) failed; the model is told so.")]
    public static partial void ToolFailed(ILogger logger, string threadId, string callId, string tool, Exception error);

    [LoggerMessage(310, LogLevel.Error, "Thread '{ThreadId}': tool call {CallId} ({Tool}) did not answer within {Time}; the model is told so.")]
    public static partial void ToolTimedOut(ILogger logger, string threadId, string callId, string tool, TimeSpan time);

    [LoggerMessage(311, LogLevel.Debug, "Thread '{ThreadId}': a live update was not published; watchers ask for it again.")]
    public static partial void LiveNotPublished(ILogger logger, string threadId, Exception error);

    [LoggerMessage(312, LogLevel.Information, "Thread '{ThreadId}': the run of batch {BatchId} was interrupted by a newer message ({Interruptions}); the next run answers both.")]
    public static partial void RunInterrupted(ILogger logger, string threadId, string batchId, int interruptions);

    [LoggerMessage(313, LogLevel.Information, "Thread '{ThreadId}': {Messages} newer message(s) joined the run of batch {BatchId}.")]
    public static partial void MessagesJoined(ILogger logger, string threadId, string batchId, int messages);

    [LoggerMessage(314, LogLevel.Debug, "Thread '{ThreadId}': tool call {CallId} ({Tool}) failed after it was given up.")]
    public static partial void ToolFailedLate(ILogger logger, string threadId, string callId, string tool, Exception error);

    [LoggerMessage(340, LogLevel.Warning, "Thread '{ThreadId}': the history's '{Turn}' can't be read and is left out.")]
    public static partial void TurnUnreadable(ILogger logger, string threadId, string turn, Exception exception);

    [LoggerMessage(341, LogLevel.Information, "Thread '{ThreadId}': the turn of batch {BatchId} is longer than the history may be (ChatClient:MaxHistoryMessages, ChatClient:MaxHistoryCharacters); part of it is not remembered.")]
    public static partial void TurnShortened(ILogger logger, string threadId, string batchId);

    // 4xx: finish

    [LoggerMessage(400, LogLevel.Information, "Thread '{ThreadId}': batch {BatchId} ({Messages} message(s)) was answered at attempt {Attempt} after {Duration}.")]
    public static partial void BatchCompleted(ILogger logger, string threadId, string batchId, int messages, int attempt, TimeSpan duration);

    [LoggerMessage(401, LogLevel.Warning, "Thread '{ThreadId}': attempt {Attempt} of batch {BatchId} failed and is repeated in {Delay}: {Error}")]
    public static partial void BatchRetrying(ILogger logger, string threadId, string batchId, int attempt, TimeSpan delay, string error, Exception? exception);

    [LoggerMessage(402, LogLevel.Error, "Thread '{ThreadId}': batch {BatchId} ({Messages} message(s)) was given up ({Kind}) and lies in the failed store: {Error}")]
    public static partial void BatchFailed(ILogger logger, string threadId, string batchId, FailureKind kind, int messages, string error);

    [LoggerMessage(403, LogLevel.Debug, "Thread '{ThreadId}': batch {BatchId} was given back ({Reason}), due in {Delay}.")]
    public static partial void BatchReleased(ILogger logger, string threadId, string batchId, string reason, TimeSpan delay);

    [LoggerMessage(404, LogLevel.Information, "Thread '{ThreadId}': batch {BatchId} has to wait {Delay}: {Error}")]
    public static partial void BatchGivenBack(ILogger logger, string threadId, string batchId, TimeSpan delay, string error);

    [LoggerMessage(405, LogLevel.Error, "Thread '{ThreadId}' is gone from Redis while batch {BatchId} was run: Redis lost its data. Run {RunId} and its reply ({Characters} characters) are handed to this host's handlers once.")]
    public static partial void ThreadVanished(ILogger logger, string threadId, string batchId, string? runId, int characters);

    [LoggerMessage(406, LogLevel.Warning, "Thread '{ThreadId}': the result of batch {BatchId} was not written, fence {Fence} is no longer the newest; the next owner decides.")]
    public static partial void FinishRefused(ILogger logger, string threadId, string batchId, long fence);

    [LoggerMessage(407, LogLevel.Error, "Redis does not answer; results are kept in memory and written when it does, while nobody else has the thread. Said once a minute.")]
    public static partial void FinishUnanswered(ILogger logger, Exception exception);

    [LoggerMessage(408, LogLevel.Warning, "Thread '{ThreadId}': the host stopped before batch {BatchId} ({Outcome}) could be written; the next owner takes it when the lease ends.")]
    public static partial void FinishLeft(ILogger logger, string threadId, string batchId, string outcome);

    [LoggerMessage(409, LogLevel.Warning, "Thread '{ThreadId}': the reply of batch {BatchId} has content parts that can't be stored; its text is kept.")]
    public static partial void ReplyContentsDropped(ILogger logger, string threadId, string batchId, Exception exception);

    // 5xx: deliver

    [LoggerMessage(500, LogLevel.Debug, "Thread '{ThreadId}': batch {BatchId} was delivered.")]
    public static partial void Delivered(ILogger logger, string threadId, string batchId);

    [LoggerMessage(501, LogLevel.Warning, "Thread '{ThreadId}': a handler failed with batch {BatchId} (try {Try}); it is delivered again in {Delay}.")]
    public static partial void DeliveryPostponed(ILogger logger, string threadId, string batchId, int @try, TimeSpan delay, Exception exception);

    [LoggerMessage(502, LogLevel.Error, "Thread '{ThreadId}': batch {BatchId} could not be delivered for {Age} and lies in the failed store.")]
    public static partial void DeliveryAbandoned(ILogger logger, string threadId, string batchId, TimeSpan age, Exception exception);

    [LoggerMessage(503, LogLevel.Warning, "Thread '{ThreadId}': the delivery of batch {BatchId} is somebody else's now; it may reach handlers again.")]
    public static partial void DeliveryLeaseEnded(ILogger logger, string threadId, string batchId);

    [LoggerMessage(504, LogLevel.Error, "Partition {Partition}: looking for deliveries failed and is tried again. Said once a minute.")]
    public static partial void DeliveryClaimFailed(ILogger logger, int partition, Exception exception);

    [LoggerMessage(505, LogLevel.Warning, "Thread '{ThreadId}': Redis does not answer; what became of the delivery of batch {BatchId} is not written yet.")]
    public static partial void DeliveryUnanswered(ILogger logger, string threadId, string batchId, Exception exception);

    [LoggerMessage(506, LogLevel.Error, "Thread '{ThreadId}': a handler failed when it was told about a failed attempt of batch {BatchId}; it is not told again.")]
    public static partial void RetryingHandlerFailed(ILogger logger, string threadId, string batchId, Exception exception);

    [LoggerMessage(507, LogLevel.Error, "Thread '{ThreadId}': batch {BatchId} is gone from Redis and a handler failed with it; it can't be delivered again.")]
    public static partial void UnstoredDeliveryFailed(ILogger logger, string threadId, string batchId, Exception exception);

    [LoggerMessage(508, LogLevel.Error, "Thread '{ThreadId}': the delivery of batch {BatchId} broke an assumption of the worker; it is repeated when its lease ends.")]
    public static partial void DeliveryBroken(ILogger logger, string threadId, string batchId, Exception exception);

    [LoggerMessage(509, LogLevel.Error, "Thread '{ThreadId}': what is stored to be delivered of batch {BatchId} can't be read; it lies in the failed store.")]
    public static partial void DeliveryUnreadable(ILogger logger, string threadId, string batchId, Exception exception);

    [LoggerMessage(510, LogLevel.Warning, "Thread '{ThreadId}': a handler goes on with batch {BatchId} although it was told to stop; the delivery is repeated when its lease ends.")]
    public static partial void HandlerDoesNotStop(ILogger logger, string threadId, string batchId);

    // 6xx: Redis

    [LoggerMessage(600, LogLevel.Information, "Queue '{Queue}' is connected to Redis at {EndPoint}.")]
    public static partial void RedisConnected(ILogger logger, string queue, string endPoint);

    [LoggerMessage(601, LogLevel.Warning, "Queue '{Queue}' can't reach Redis at {EndPoint} ({Reason}); it connects as soon as it can.")]
    public static partial void RedisUnreachable(ILogger logger, string queue, string endPoint, string reason);

    [LoggerMessage(602, LogLevel.Warning, "Queue '{Queue}' lost its {Connection} connection to Redis at {EndPoint}: {Reason}. It reconnects by itself.")]
    public static partial void RedisLost(ILogger logger, string queue, string endPoint, string connection, string reason);

    [LoggerMessage(603, LogLevel.Information, "Queue '{Queue}' has its {Connection} connection to Redis at {EndPoint} back.")]
    public static partial void RedisRestored(ILogger logger, string queue, string endPoint, string connection);

    [LoggerMessage(604, LogLevel.Debug, "Queue '{Queue}' could not ask its Redis servers which one is the primary; it asks again when a call fails.")]
    public static partial void RedisNotLookedAt(ILogger logger, string queue, Exception exception);

    [LoggerMessage(700, LogLevel.Error, "Queue '{Queue}' keeps its settings: the changed ones are bad. {Faults}")]
    public static partial void SettingsRejected(ILogger logger, string queue, string faults);

    [LoggerMessage(701, LogLevel.Warning, "{Setting} is not a setting of AssistantQueue and has no effect; is it misspelt?")]
    public static partial void UnknownSetting(ILogger logger, string setting);

    [LoggerMessage(702, LogLevel.Information, "Queue '{Queue}' only produces in this process (RunWorker is false or ProducerOnly() was called).")]
    public static partial void ProducesOnly(ILogger logger, string queue);

    // 1xx: enqueue, waiting, watching

    [LoggerMessage(100, LogLevel.Warning, "A watcher waits for Redis: {Reason}")]
    public static partial void WatchWaitsForRedis(ILogger logger, string reason);
}
