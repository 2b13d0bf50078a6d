using System.Collections.Concurrent;

namespace AssistantQueue.ChatClient;

/// <summary>Which models say why they stopped: from those, an answer that doesn't is one that was cut off. Thread-safe. Also compiled into AssistantQueue.Agents.</summary>
/// <remarks>By model, as a client may lead to several; and learnt, because some never say it, and what a pipeline answers by itself bears no model's name.</remarks>
internal sealed class FinishReasons
{
    // an API that makes up a name for each answer must not fill the memory; of what is beyond nothing is learnt
    private const int MaxModels = 100;

    private readonly ConcurrentDictionary<string, bool> _models = new(StringComparer.Ordinal);

    /// <summary>An answer is over.</summary>
    /// <param name="model">The model that it says it is of.</param>
    /// <param name="isGiven">Whether it says why it stopped.</param>
    /// <returns>Whether it was cut off.</returns>
    public bool IsMissing(string? model, bool isGiven)
    {
        var name = model ?? "";
        if (!isGiven)
        {
            return _models.ContainsKey(name);
        }

        if (_models.Count < MaxModels)
        {
            _models.TryAdd(name, true);
        }

        return false;
    }
}
