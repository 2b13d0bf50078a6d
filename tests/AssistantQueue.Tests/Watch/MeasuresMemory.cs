namespace AssistantQueue.Tests.Watch;

/// <summary>Tests that look at the process' memory: beside others they would see theirs.</summary>
[CollectionDefinition(nameof(MeasuresMemory), DisableParallelization = true)]
public sealed class MeasuresMemory;
