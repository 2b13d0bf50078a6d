using Microsoft.Extensions.Logging;

namespace AssistantQueue.Emulators;

/// <summary>Hands Garnet's log to the app's, a level quieter: what the server says about itself is detail to an app that embeds it.</summary>
internal sealed class GarnetLogging(ILoggerFactory inner) : ILoggerFactory
{
    public ILogger CreateLogger(string categoryName) => new Quieter(inner.CreateLogger("AssistantQueue.EmbeddedRedis." + categoryName));

    public void AddProvider(ILoggerProvider provider) => inner.AddProvider(provider);

    // The app's factory is the app's to dispose.
    public void Dispose()
    {
    }

    private sealed class Quieter(ILogger inner) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => inner.BeginScope(state);

        public bool IsEnabled(LogLevel logLevel) => inner.IsEnabled(Lower(logLevel));

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            var level = Lower(logLevel);
            if (inner.IsEnabled(level))
            {
                inner.Log(level, eventId, state, exception, formatter);
            }
        }

        private static LogLevel Lower(LogLevel level) => level switch
        {
            LogLevel.Debug or LogLevel.Information => level - 1,
            LogLevel.Warning => LogLevel.Debug,
            _ => level,
        };
    }
}
