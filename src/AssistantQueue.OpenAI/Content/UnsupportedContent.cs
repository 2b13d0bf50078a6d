using Microsoft.Extensions.AI;

namespace AssistantQueue.OpenAI.Content;

/// <summary>A content part that the API can't take: the batch's own, permanent fault.</summary>
internal static class UnsupportedContent
{
    public static AssistantBackendException Of(AIContent content, string api, string instead) =>
        new(BackendErrorKind.Permanent, $"The {api} API can't take a content part of type {content.GetType().Name}. {instead} Nothing was sent.") { Code = "unsupported_content" };
}
