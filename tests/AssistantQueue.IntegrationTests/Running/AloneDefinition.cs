namespace AssistantQueue.IntegrationTests.Running;

/// <summary>Tests that need the machine for themselves; they come behind all others.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class AloneDefinition
{
    /// <summary>The collection's name.</summary>
    public const string Name = "alone";
}
