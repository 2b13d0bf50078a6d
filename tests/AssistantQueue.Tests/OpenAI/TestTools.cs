using System.Collections.Concurrent;
using Microsoft.Extensions.AI;

namespace AssistantQueue.Tests.OpenAIBackends;

/// <summary>A queue's tools, and every call that reached one of them.</summary>
internal sealed class TestTools
{
    public List<AIFunction> Functions { get; } = [];

    public ToolOptions Options { get; } = new();

    /// <summary>Gets the calls in the order in which they began.</summary>
    public ConcurrentQueue<ToolCall> Calls { get; } = [];

    /// <summary>Gets or sets what happens in a call: 0 before its work, 1 after it.</summary>
    public Action<string, int> AtCall { get; set; } = (_, _) => { };

    /// <summary>Adds a tool that answers with its name and what it was called with.</summary>
    public TestTools Add(string name, string? answer = null)
    {
        Functions.Add(Make(name, answer));
        return this;
    }

    /// <summary>Adds a tool whose calls somebody has to approve.</summary>
    public TestTools AddWithApproval(string name)
    {
        Functions.Add(new ApprovalRequiredAIFunction(Make(name, null)));
        return this;
    }

    public int TimesCalled(string name) => Calls.Count(c => c.Name == name);

    private AIFunction Make(string name, string? answer) => AIFunctionFactory.Create(
        (AIFunctionArguments arguments, string? what = null) =>
        {
            AtCall(name, 0);
            Calls.Enqueue(arguments.GetToolCall()!);
            AtCall(name, 1);
            return answer ?? $"{name} {what}".TrimEnd();
        },
        name,
        $"Does {name}.");
}
