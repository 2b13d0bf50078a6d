using System.Globalization;
using Microsoft.Extensions.AI;

namespace AssistantQueue.OpenAI.Content;

/// <summary>What content either API takes, as far as it can be told without asking it. Pure.</summary>
internal static class ContentRules
{
    // published limits, in characters of the request; data travels as a base64 URL
    private const int MaxText = 10_485_760;
    private const int MaxImage = 20_971_520;
    private const int MaxFile = 73_400_320;

    /// <summary>The first rule that a message's parts break, as a sentence without a full stop; null when there is none.</summary>
    public static string? Fault(OpenAIApi api, IReadOnlyList<AIContent> contents)
    {
        foreach (var part in contents)
        {
            if ((api == OpenAIApi.Assistants ? AssistantsFault(part) : ResponsesFault(part)) is { } fault)
            {
                return fault;
            }
        }

        return api == OpenAIApi.Assistants && contents.All(IsAttachment)
            ? "Contents must have a text or an image beside uploaded files: in the Assistants API files are attached to a message that says something"
            : null;
    }

    public static bool IsImage(HostedFileContent file) => file.MediaType?.StartsWith("image/", StringComparison.OrdinalIgnoreCase) == true;

    private static string? ResponsesFault(AIContent part) => part switch
    {
        TextContent { Text.Length: > MaxText and var length } => Long("text", length, MaxText),
        TextContent or HostedFileContent => null,
        UriContent uri when Sound(uri.MediaType) is { } sound => $"Contents must not have {sound} ({uri.MediaType}): the Responses API takes images and documents",
        UriContent { Uri.Scheme: not ("http" or "https" or "data") } uri => $"Contents must not have URLs that begin with {uri.Uri.Scheme}: the Responses API fetches http and https only",
        UriContent => null,
        DataContent data when Sound(data.MediaType) is { } sound => $"Contents must not have {sound} ({data.MediaType}): the Responses API takes images and documents",
        DataContent data when data.HasTopLevelMediaType("image") => ImageFault(data),
        DataContent data when Length(data) > MaxFile => Long("file data", Length(data), MaxFile),
        DataContent => null,
        _ => $"Contents must not have {part.GetType().Name}: the Responses API takes text, image and file URLs, image and file data, and ids of uploaded files",
    };

    private static string? ImageFault(DataContent data) =>
        data.MediaType.ToLowerInvariant() is not ("image/png" or "image/jpeg" or "image/jpg" or "image/webp" or "image/gif" or "image/*")
            ? $"Contents must not have images of type {data.MediaType}: the Responses API takes PNG, JPEG, WebP and GIF"
            : Length(data) > MaxImage ? Long("image data", Length(data), MaxImage) : null;

    private static string? AssistantsFault(AIContent part) => part switch
    {
        TextContent { Text.Length: > MaxText and var length } => Long("text", length, MaxText),
        TextContent or HostedFileContent => null,
        UriContent uri when !uri.HasTopLevelMediaType("image") => $"Contents must not have URLs of other things than images ({uri.MediaType}): the Assistants API takes text, image URLs and ids of uploaded files; upload the file and give its id",
        UriContent { Uri.Scheme: not ("http" or "https") } uri => $"Contents must not have URLs that begin with {uri.Uri.Scheme}: the Assistants API fetches http and https only",
        UriContent => null,
        DataContent => "Contents must not have data: the Assistants API takes text, image URLs and ids of uploaded files; upload the data and give its id",
        _ => $"Contents must not have {part.GetType().Name}: the Assistants API takes text, image URLs and ids of uploaded files",
    };

    private static bool IsAttachment(AIContent part) => part is HostedFileContent file && !IsImage(file);

    private static string? Sound(string mediaType) =>
        mediaType.StartsWith("audio/", StringComparison.OrdinalIgnoreCase) ? "audio"
        : mediaType.StartsWith("video/", StringComparison.OrdinalIgnoreCase) ? "video"
        : null;

    // not: the part's URL, which would be made only to be measured
    // but: its length
    private static long Length(DataContent data) => "data:;base64,".Length + data.MediaType.Length + (((data.Data.Length + 2L) / 3) * 4);

    private static string Long(string what, long length, int most) => string.Create(
        CultureInfo.InvariantCulture,
        $"Contents must not have {what} of more than {most:N0} characters as the API gets it; it has {length:N0}{(what == "text" ? "" : ". Upload it and give its id")}");
}
