using Microsoft.Extensions.Logging;

namespace AssistantQueue.OpenAI;

/// <summary>What the OpenAI backends log: ids 6000 to 6099. Never message text, never keys.</summary>
internal static partial class Log
{
    [LoggerMessage(6000, LogLevel.Information, "Thread '{ThreadId}': conversation {ConversationId} begun")]
    public static partial void ConversationCreated(ILogger logger, string threadId, string conversationId);

    [LoggerMessage(6001, LogLevel.Debug, "Thread '{ThreadId}': run {RunId} posted for batch {BatchId}")]
    public static partial void RunPosted(ILogger logger, string threadId, string runId, string batchId);

    [LoggerMessage(6002, LogLevel.Information, "Thread '{ThreadId}': going on with run {RunId} of an earlier owner")]
    public static partial void RunAdopted(ILogger logger, string threadId, string runId);

    [LoggerMessage(6003, LogLevel.Warning, "Thread '{ThreadId}': whether batch {BatchId} was posted isn't known; looking for it for up to {Wait}")]
    public static partial void LookingForPost(ILogger logger, string threadId, string batchId, TimeSpan wait);

    [LoggerMessage(6004, LogLevel.Warning, "Thread '{ThreadId}': batch {BatchId} was found at the API; it isn't posted again")]
    public static partial void PostFound(ILogger logger, string threadId, string batchId);

    [LoggerMessage(6005, LogLevel.Warning, "Thread '{ThreadId}': batch {BatchId} was not found at the API; it is posted again ({Reason})")]
    public static partial void PostedAgain(ILogger logger, string threadId, string batchId, string reason);

    [LoggerMessage(6006, LogLevel.Warning, "Thread '{ThreadId}': conversation {ConversationId} is gone; a new one is begun")]
    public static partial void ConversationGone(ILogger logger, string threadId, string conversationId);

    [LoggerMessage(6007, LogLevel.Warning, "Thread '{ThreadId}': call {CallId} has no output and kept the conversation from going on; it was answered in its place")]
    public static partial void CallRepaired(ILogger logger, string threadId, string callId);

    [LoggerMessage(6008, LogLevel.Warning, "Thread '{ThreadId}': the stream of run {RunId} ended before the run; looking at it instead")]
    public static partial void StreamCut(ILogger logger, string threadId, string runId);

    [LoggerMessage(6009, LogLevel.Warning, "Thread '{ThreadId}': look failed ({Status} {Code}), {Failures} in a row; it is repeated")]
    public static partial void LookFailed(ILogger logger, string threadId, int status, string? code, int failures);

    [LoggerMessage(6010, LogLevel.Information, "Thread '{ThreadId}': run {RunId} cancelled at the API")]
    public static partial void RunCancelled(ILogger logger, string threadId, string runId);

    [LoggerMessage(6011, LogLevel.Warning, "Thread '{ThreadId}': run {RunId} is gone at the API")]
    public static partial void RunGone(ILogger logger, string threadId, string runId);

    [LoggerMessage(6012, LogLevel.Warning, "Thread '{ThreadId}': run {RunId} asked for tools that nobody answers: {Tools}")]
    public static partial void ToolsUnanswered(ILogger logger, string threadId, string runId, string tools);

    [LoggerMessage(6013, LogLevel.Information, "Thread '{ThreadId}': the API did not cancel run {RunId} ({Code}); looking whether it has ended")]
    public static partial void CancelRefused(ILogger logger, string threadId, string runId, string? code);

    [LoggerMessage(6016, LogLevel.Warning, "Thread '{ThreadId}': the tools of assistant {AssistantId} can't be read ({Status}); its run has the queue's only")]
    public static partial void AssistantUnreadable(ILogger logger, string threadId, string assistantId, int status);

    [LoggerMessage(6017, LogLevel.Warning, "Thread '{ThreadId}': run {RunId} of an earlier batch waits for tools that nobody calls any more; it is cancelled")]
    public static partial void AbandonedRunEnded(ILogger logger, string threadId, string runId);

    [LoggerMessage(6014, LogLevel.Error, "Queue '{QueueName}': changed settings are bad, the last good ones stay: {Faults}")]
    public static partial void SettingsRejected(ILogger logger, string queueName, string faults);

    [LoggerMessage(6015, LogLevel.Warning, "{Setting} is not a setting of UseOpenAI() and has no effect; is it misspelt?")]
    public static partial void UnknownSetting(ILogger logger, string setting);
}
