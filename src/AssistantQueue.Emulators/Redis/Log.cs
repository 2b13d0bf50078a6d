using Microsoft.Extensions.Logging;

namespace AssistantQueue.Emulators;

/// <summary>The log messages of the embedded Redis: 95x.</summary>
internal static partial class Log
{
    [LoggerMessage(951, LogLevel.Information, "The embedded Redis listens on {Address}; its data is kept in {Directory}.")]
    public static partial void EmbeddedRedisKeeps(ILogger logger, string address, string directory);

    [LoggerMessage(952, LogLevel.Information, "The embedded Redis listens on {Address}; its data is in memory only and ends with this process (AssistantQueue:Emulators:DataDirectory keeps it).")]
    public static partial void EmbeddedRedisForgets(ILogger logger, string address);
}
