using System.Diagnostics.CodeAnalysis;
using Microsoft.Extensions.Options;

namespace AssistantQueue;

/// <summary>A backend's options as they are now; while values that were changed are bad, as they were before. Also compiled into the packages that have settings of their own. Thread-safe.</summary>
internal sealed class KeptOptions<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicParameterlessConstructor)] T>
    where T : class
{
    private readonly IOptionsMonitor<T> _options;
    private readonly string _name;
    private readonly Action<string> _onRejected;
    private volatile T _last;
    private string? _told;

    /// <param name="options">Where they come from.</param>
    /// <param name="name">The queue's name.</param>
    /// <param name="onRejected">Told what is wrong with changed values; each fault once.</param>
    /// <exception cref="OptionsValidationException">There are no good values to begin with.</exception>
    public KeptOptions(IOptionsMonitor<T> options, string name, Action<string> onRejected)
    {
        (_options, _name, _onRejected) = (options, name, onRejected);
        _last = options.Get(name);
    }

    public T Value
    {
        get
        {
            try
            {
                _last = _options.Get(_name);
                Volatile.Write(ref _told, null);
            }
            catch (OptionsValidationException e)
            {
                // A running queue goes on as it was.
                if (Interlocked.Exchange(ref _told, e.Message) != e.Message)
                {
                    _onRejected(e.Message);
                }
            }

            return _last;
        }
    }
}
