using Microsoft.Extensions.Logging;

namespace AssistantQueue.AspNetCore;

/// <summary>Everything that this package logs; ids from 8000.</summary>
internal static partial class Log
{
    [LoggerMessage(8000, LogLevel.Debug, "Thread '{ThreadId}' is watched from {After}")]
    public static partial void WatchStarted(ILogger logger, string threadId, string after);

    [LoggerMessage(8001, LogLevel.Debug, "Thread '{ThreadId}' is no longer watched")]
    public static partial void WatchEnded(ILogger logger, string threadId);

    [LoggerMessage(8002, LogLevel.Warning, "The updates of thread '{ThreadId}' could not be read; the stream ends and the client connects again")]
    public static partial void WatchFailed(ILogger logger, string threadId, Exception exception);
}
