using System.ClientModel.Primitives;

namespace AssistantQueue.OpenAI.Client;

/// <summary>Remembers that one call's request has reached the transport: what fails before was surely not sent, what fails after may have been taken.</summary>
internal sealed class HandOverPolicy : PipelinePolicy
{
    public bool IsDone { get; private set; }

    public override void Process(PipelineMessage message, IReadOnlyList<PipelinePolicy> pipeline, int currentIndex)
    {
        IsDone = true;
        ProcessNext(message, pipeline, currentIndex);
    }

    public override ValueTask ProcessAsync(PipelineMessage message, IReadOnlyList<PipelinePolicy> pipeline, int currentIndex)
    {
        IsDone = true;
        return ProcessNextAsync(message, pipeline, currentIndex);
    }
}
