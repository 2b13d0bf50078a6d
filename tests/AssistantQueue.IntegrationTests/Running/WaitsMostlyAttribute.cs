namespace AssistantQueue.IntegrationTests.Running;

/// <summary>The class' tests wait most of the time, for minutes that are the fault itself: they begin at once, beside the others.</summary>
[AttributeUsage(AttributeTargets.Class)]
public sealed class WaitsMostlyAttribute : Attribute;
