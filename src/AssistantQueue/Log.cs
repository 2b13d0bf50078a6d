using Microsoft.Extensions.Logging;

namespace AssistantQueue;

/// <summary>Everything that the library logs. Ids are grouped: 1xx enqueue and waiting, 2xx claim, 3xx run, 4xx finish, 5xx deliver, 6xx Redis, 7xx host and settings.</summary>
/// <remarks>Message texts and credentials are never logged.</remarks>
internal static partial class Log
{
    [LoggerMessage(600, LogLevel.Information, "Queue '{Queue}' is connected to Redis at {EndPoint}.")]
    public static partial void RedisConnected(ILogger logger, string queue, string endPoint);

    [LoggerMessage(601, LogLevel.Warning, "Queue '{Queue}' can't reach Redis at {EndPoint} ({Reason}); it connects as soon as it can.")]
    public static partial void RedisUnreachable(ILogger logger, string queue, string endPoint, string reason);

    [LoggerMessage(602, LogLevel.Warning, "Queue '{Queue}' lost its {Connection} connection to Redis at {EndPoint}: {Reason}. It reconnects by itself.")]
    public static partial void RedisLost(ILogger logger, string queue, string endPoint, string connection, string reason);

    [LoggerMessage(603, LogLevel.Information, "Queue '{Queue}' has its {Connection} connection to Redis at {EndPoint} back.")]
    public static partial void RedisRestored(ILogger logger, string queue, string endPoint, string connection);

    [LoggerMessage(700, LogLevel.Error, "Queue '{Queue}' keeps its settings: the changed ones are bad. {Faults}")]
    public static partial void SettingsRejected(ILogger logger, string queue, string faults);

    [LoggerMessage(701, LogLevel.Warning, "{Setting} is not a setting of AssistantQueue and has no effect; is it misspelt?")]
    public static partial void UnknownSetting(ILogger logger, string setting);

    [LoggerMessage(702, LogLevel.Information, "Queue '{Queue}' only produces in this process (RunWorker is false or ProducerOnly() was called).")]
    public static partial void ProducesOnly(ILogger logger, string queue);
}
