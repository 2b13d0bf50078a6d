using Microsoft.Extensions.AI;

namespace AssistantQueue.Run;

/// <summary>A queue's tools, made once. Their names are checked here, when the worker starts.</summary>
internal sealed class ToolSet
{
    private const int MaxName = 64;

    private readonly Dictionary<string, AIFunction> _byName = new(StringComparer.Ordinal);

    /// <exception cref="InvalidOperationException">A name breaks a rule, or two tools have the same.</exception>
    public ToolSet(string queueName, IEnumerable<AIFunction> functions)
    {
        foreach (var function in functions)
        {
            var queue = queueName.Length == 0 ? "The unnamed queue" : $"Queue '{queueName}'";
            if (function.Name.Length is 0 or > MaxName || !function.Name.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-'))
            {
                throw new InvalidOperationException($"{queue} has a tool named '{function.Name}'; a name must have 1 to {MaxName} letters, digits, underscores and hyphens. Give AIFunctionFactory.Create a name.");
            }

            if (!_byName.TryAdd(function.Name, function))
            {
                throw new InvalidOperationException($"{queue} has two tools named '{function.Name}'; give one of them another name.");
            }
        }

        All = [.. _byName.Values];
    }

    public IReadOnlyList<AIFunction> All { get; }

    public AIFunction? Find(string name) => _byName.GetValueOrDefault(name);
}
