using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace AssistantQueue.OpenAI;

/// <summary>A queue's options as they are now; while values that were changed are bad, as they were before.</summary>
internal sealed class LastGood<T>
    where T : class
{
    private readonly IOptionsMonitor<T> _options;
    private readonly string _name;
    private readonly ILogger _logger;
    private volatile T _last;
    private volatile string? _told;

    /// <exception cref="OptionsValidationException">There are no good values to begin with.</exception>
    public LastGood(IOptionsMonitor<T> options, string name, ILogger logger)
    {
        (_options, _name, _logger) = (options, name, logger);
        _last = options.Get(name);
    }

    public T Value
    {
        get
        {
            try
            {
                _last = _options.Get(_name);
                _told = null;
            }
            catch (OptionsValidationException e)
            {
                // A running queue goes on as it was; each fault is told once.
                if (_told != e.Message)
                {
                    _told = e.Message;
                    Log.SettingsRejected(_logger, _name, e.Message);
                }
            }

            return _last;
        }
    }
}
