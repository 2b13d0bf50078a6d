namespace AssistantQueue.Benchmarks;

/// <summary>One way to store a message, and what was measured of it in each round.</summary>
/// <param name="Name">What the table calls it.</param>
/// <param name="StoreAsync">Stores one message in a thread.</param>
internal sealed record Candidate(string Name, Func<string, Task> StoreAsync)
{
    /// <summary>Messages a second, with many in flight.</summary>
    public List<double> Rates { get; } = [];

    /// <summary>Microseconds of a lone caller, at the median.</summary>
    public List<double> Medians { get; } = [];

    /// <summary>Microseconds of a lone caller, at the 99th percentile.</summary>
    public List<double> Tails { get; } = [];
}
