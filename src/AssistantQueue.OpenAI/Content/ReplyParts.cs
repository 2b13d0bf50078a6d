using System.Text.Json;
using Microsoft.Extensions.AI;

namespace AssistantQueue.OpenAI.Content;

/// <summary>Turns the messages of a model into the reply's parts: text with its citations, refusals as text, files by their ids.</summary>
internal static class ReplyParts
{
    /// <summary>A Responses message: parts of type <c>output_text</c> and <c>refusal</c>.</summary>
    public static IEnumerable<AIContent> OfItem(JsonElement item) =>
        item.List("content").Select(part => part.Text("type") switch
        {
            "output_text" or "text" => (AIContent?)Cited(part.Text("text") ?? "", part),
            "refusal" => new TextContent(part.Text("refusal")),
            _ => null,
        }).OfType<AIContent>();

    /// <summary>An image that the model made: its data, in an item of its own.</summary>
    public static AIContent? OfImage(JsonElement item) =>
        item.Text("type") == "image_generation_call" && item.Get("result") is { ValueKind: JsonValueKind.String } result && result.TryGetBytesFromBase64(out var data) && data.Length > 0
            ? new DataContent(data, $"image/{item.Text("output_format") ?? "png"}")
            : null;

    /// <summary>An Assistants message: parts of type <c>text</c>, <c>refusal</c>, <c>image_file</c> and <c>image_url</c>.</summary>
    public static IEnumerable<AIContent> OfMessage(JsonElement message) =>
        message.List("content").Select(part => part.Text("type") switch
        {
            "text" when part.Get("text") is { } text => (AIContent?)Cited(text.Text("value") ?? "", text),
            "refusal" => new TextContent(part.Text("refusal")),
            "image_file" when part.Get("image_file")?.Text("file_id") is { } file => new HostedFileContent(file) { MediaType = "image/*" },
            "image_url" when part.Get("image_url")?.Text("url") is { } url => new UriContent(url, "image/*"),
            _ => null,
        }).OfType<AIContent>();

    /// <summary>The text of several messages: the parts of one stand together, a blank line stands between two.</summary>
    public static string Text(IEnumerable<IReadOnlyList<AIContent>> messages) =>
        string.Join("\n\n", messages.Select(m => string.Concat(m.OfType<TextContent>().Select(t => t.Text))).Where(t => t.Length > 0));

    /// <summary>Says on the last text why the reply ends early.</summary>
    public static void MarkIncomplete(IReadOnlyList<AIContent> contents, string reason)
    {
        if (contents.OfType<TextContent>().LastOrDefault() is { } last)
        {
            (last.AdditionalProperties ??= [])["incomplete_reason"] = reason;
        }
    }

    /// <summary>The tokens used, in the words of either API.</summary>
    public static UsageDetails? Usage(JsonElement run) => run.Get("usage") is not { } usage ? null : new()
    {
        InputTokenCount = usage.Number("input_tokens") ?? usage.Number("prompt_tokens"),
        OutputTokenCount = usage.Number("output_tokens") ?? usage.Number("completion_tokens"),
        TotalTokenCount = usage.Number("total_tokens"),
        CachedInputTokenCount = (usage.Get("input_tokens_details") ?? usage.Get("prompt_token_details"))?.Number("cached_tokens"),
        ReasoningTokenCount = usage.Get("output_tokens_details")?.Number("reasoning_tokens"),
    };

    private static TextContent Cited(string text, JsonElement part)
    {
        var content = new TextContent(text);
        foreach (var annotation in part.List("annotations"))
        {
            var file = annotation.Get("file_citation") ?? annotation.Get("file_path") ?? annotation;
            var citation = new CitationAnnotation
            {
                Title = annotation.Text("title") ?? annotation.Text("filename"),
                Url = Uri.TryCreate(annotation.Text("url"), UriKind.Absolute, out var url) ? url : null,
                FileId = file.Text("file_id"),
                Snippet = file.Text("quote"),
            };
            if (annotation.Text("container_id") is { } container)
            {
                // a file that the model wrote is found below its container only
                citation.AdditionalProperties = new() { ["container_id"] = container };
            }

            if (annotation.Number("start_index") is { } start && annotation.Number("end_index") is { } end)
            {
                citation.AnnotatedRegions = [new TextSpanAnnotatedRegion { StartIndex = (int)start, EndIndex = (int)end }];
            }

            (content.Annotations ??= []).Add(citation);
        }

        return content;
    }
}
