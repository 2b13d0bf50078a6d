using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;

namespace AssistantQueue;

/// <summary>A queue's options as they are now. Values that are bad after a reload are logged and not taken: the last good ones stay. Thread-safe.</summary>
internal sealed class CurrentOptions : IDisposable
{
    private readonly string _name;
    private readonly IOptionsFactory<AssistantQueueOptions>? _factory;
    private readonly ILogger? _logger;
    private readonly IDisposable? _changes;
    private volatile AssistantQueueOptions _value;
    private string? _lastFault;

    /// <exception cref="OptionsValidationException">The values at the start are bad.</exception>
    public CurrentOptions(string name, IOptionsFactory<AssistantQueueOptions> factory, IEnumerable<IOptionsChangeTokenSource<AssistantQueueOptions>> sources, ILogger logger)
    {
        (_name, _factory, _logger) = (name, factory, logger);
        _value = factory.Create(name);
        var own = sources.Where(s => (s.Name ?? Options.DefaultName) == name).ToList();
        _changes = ChangeToken.OnChange(() => new CompositeChangeToken([.. own.Select(s => s.GetChangeToken())]), Reload);
    }

    private CurrentOptions(AssistantQueueOptions value) => (_name, _value) = ("", value);

    public AssistantQueueOptions Value => _value;

    /// <summary>Options that stay as they are.</summary>
    public static CurrentOptions Of(AssistantQueueOptions value) => new(value);

    public void Dispose() => _changes?.Dispose();

    private void Reload()
    {
        try
        {
            _value = _factory!.Create(_name);
            _lastFault = null;
        }
        catch (Exception e)
        {
            // Whatever it is (a validator's word, an exception of the app's own delegate): a running queue goes on as it was.
            // A file that was saved once is often announced twice; one fault is told once.
            if (Interlocked.Exchange(ref _lastFault, e.Message) != e.Message)
            {
                Log.SettingsRejected(_logger!, _name, e.Message);
            }
        }
    }
}
