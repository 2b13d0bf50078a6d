using Microsoft.Extensions.Logging;

namespace AssistantQueue.Agents;

/// <summary>What the agents' backend logs: ids 6100 to 6199. Never message text.</summary>
internal static partial class Log
{
    [LoggerMessage(6100, LogLevel.Warning, "Thread '{ThreadId}': its session can't be read by the agent; a new one is begun (WhenConversationGone)")]
    public static partial void SessionUnreadable(ILogger logger, string threadId, Exception exception);

    [LoggerMessage(6101, LogLevel.Warning, "Thread '{ThreadId}': its session has {Characters} characters, more than the {Most} that are kept (Agent:MaxSessionCharacters); the next batch begins a new one. Give the agent a chat reducer")]
    public static partial void SessionTooLong(ILogger logger, string threadId, int characters, int most);

    [LoggerMessage(6102, LogLevel.Warning, "Thread '{ThreadId}': an earlier owner's run of batch {BatchId} ended unheard; the agent runs it again")]
    public static partial void RunAgain(ILogger logger, string threadId, string batchId);

    [LoggerMessage(6103, LogLevel.Error, "Queue '{QueueName}': changed settings are bad, the last good ones stay: {Faults}")]
    public static partial void SettingsRejected(ILogger logger, string queueName, string faults);

    [LoggerMessage(6104, LogLevel.Warning, "{Setting} is not a setting of UseAgent() and has no effect; is it misspelt?")]
    public static partial void UnknownSetting(ILogger logger, string setting);
}
