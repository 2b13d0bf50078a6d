using System.ClientModel.Primitives;

namespace AssistantQueue.OpenAI.Client;

/// <summary>Adds <c>api-version</c> to each request's address, as Azure's dated URLs want it.</summary>
internal sealed class ApiVersionPolicy(string version) : PipelinePolicy
{
    public override void Process(PipelineMessage message, IReadOnlyList<PipelinePolicy> pipeline, int currentIndex)
    {
        Apply(message);
        ProcessNext(message, pipeline, currentIndex);
    }

    public override ValueTask ProcessAsync(PipelineMessage message, IReadOnlyList<PipelinePolicy> pipeline, int currentIndex)
    {
        Apply(message);
        return ProcessNextAsync(message, pipeline, currentIndex);
    }

    private void Apply(PipelineMessage message)
    {
        var address = new UriBuilder(message.Request.Uri!);
        var query = address.Query.TrimStart('?');
        address.Query = $"{query}{(query.Length > 0 ? "&" : "")}api-version={Uri.EscapeDataString(version)}";
        message.Request.Uri = address.Uri;
    }
}
