using Microsoft.Extensions.Logging;

namespace AssistantQueue.Emulators;

/// <summary>The log messages of the OpenAI emulator.</summary>
internal static partial class Log
{
    [LoggerMessage(901, LogLevel.Information, "The OpenAI emulator listens on {BaseUrl}")]
    public static partial void EmulatorListens(ILogger logger, string baseUrl);

    [LoggerMessage(902, LogLevel.Error, "The OpenAI emulator's work on {Id} broke")]
    public static partial void EmulatedRunBroke(ILogger logger, string id, Exception exception);

    [LoggerMessage(903, LogLevel.Error, "The OpenAI emulator couldn't answer {Path}")]
    public static partial void EmulatedRequestBroke(ILogger logger, string path, Exception exception);
}
