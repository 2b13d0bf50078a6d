using System.Collections;

namespace AssistantQueue;

/// <summary>What a backend remembers about a thread between runs, for example its conversation id. Changes are stored by the next <see cref="BatchRun.SaveAsync"/>, or together with the reply.</summary>
/// <remarks>Not thread-safe: only the run that owns it changes it.</remarks>
public sealed class ConversationState : IEnumerable<KeyValuePair<string, string>>
{
    private readonly Dictionary<string, string> _values;
    private readonly HashSet<string> _changed = new(StringComparer.Ordinal);

    /// <summary>Creates a state with the values that are stored now.</summary>
    /// <param name="stored">The stored values.</param>
    public ConversationState(IEnumerable<KeyValuePair<string, string>> stored) => _values = new(stored, StringComparer.Ordinal);

    /// <summary>Creates an empty state.</summary>
    public ConversationState()
        : this([])
    {
    }

    /// <summary>Gets or sets a value; null when there is none, and setting null removes it.</summary>
    /// <param name="name">The value's name.</param>
    public string? this[string name]
    {
        get => _values.GetValueOrDefault(name);
        set
        {
            if (value is null)
            {
                Remove(name);
                return;
            }

            _values[name] = value;
            _changed.Add(name);
        }
    }

    /// <summary>Removes a value.</summary>
    /// <param name="name">The value's name.</param>
    public void Remove(string name)
    {
        if (_values.Remove(name))
        {
            _changed.Add(name);
        }
    }

    /// <inheritdoc/>
    public IEnumerator<KeyValuePair<string, string>> GetEnumerator() => _values.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    /// <summary>The names that changed since the last <see cref="AcceptChanges"/>, each with its value, or null when it was removed.</summary>
    internal IReadOnlyList<KeyValuePair<string, string?>> Changes =>
        [.. _changed.Select(name => new KeyValuePair<string, string?>(name, _values.GetValueOrDefault(name)))];

    internal void AcceptChanges() => _changed.Clear();
}
