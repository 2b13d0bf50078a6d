using System.Text.Json;
using AssistantQueue.Emulators;
using AssistantQueue.OpenAI.Content;
using AssistantQueue.OpenAI.Responses;
using AssistantQueue.Store;
using AssistantQueue.Tests.Enqueue;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;

namespace AssistantQueue.Tests.OpenAIBackends;

/// <summary>Content: what an API can't take is refused when it is enqueued, and what it answers with is in the stored reply.</summary>
public sealed class ContentTests(SharedRedis shared) : BackendTest, IClassFixture<SharedRedis>
{
    private static readonly byte[] Bytes = [1, 2, 3];

    public static TheoryData<OpenAIApi, string, string> Refused { get; } = new()
    {
        { OpenAIApi.Responses, "audio", "Contents must not have audio (audio/mpeg): the Responses API takes images and documents. Nothing was stored." },
        { OpenAIApi.Responses, "video-url", "Contents must not have video (video/mp4): the Responses API takes images and documents. Nothing was stored." },
        { OpenAIApi.Responses, "tiff", "Contents must not have images of type image/tiff: the Responses API takes PNG, JPEG, WebP and GIF. Nothing was stored." },
        { OpenAIApi.Responses, "large-image", "Contents must not have image data of more than 20,971,520 characters as the API gets it; it has 21,333,358. Upload it and give its id. Nothing was stored." },
        { OpenAIApi.Responses, "ftp", "Contents must not have URLs that begin with ftp: the Responses API fetches http and https only. Nothing was stored." },
        { OpenAIApi.Responses, "error", "Contents must not have ErrorContent: the Responses API takes text, image and file URLs, image and file data, and ids of uploaded files. Nothing was stored." },
        { OpenAIApi.Assistants, "png", "Contents must not have data: the Assistants API takes text, image URLs and ids of uploaded files; upload the data and give its id. Nothing was stored." },
        { OpenAIApi.Assistants, "pdf-url", "Contents must not have URLs of other things than images (application/pdf): the Assistants API takes text, image URLs and ids of uploaded files; upload the file and give its id. Nothing was stored." },
        { OpenAIApi.Assistants, "image-data-url", "Contents must not have URLs that begin with data: the Assistants API fetches http and https only. Nothing was stored." },
        { OpenAIApi.Assistants, "file-alone", "Contents must have a text or an image beside uploaded files: in the Assistants API files are attached to a message that says something. Nothing was stored." },
        { OpenAIApi.Assistants, "error", "Contents must not have ErrorContent: the Assistants API takes text, image URLs and ids of uploaded files. Nothing was stored." },
    };

    protected override void Configure(OpenAIOptions options) => options.Model = "gpt-test";

    [Theory, MemberData(nameof(Refused))]
    public async Task Enqueue_ContentThatTheApiCannotTake_IsRefusedAndNothingIsStored(OpenAIApi api, string part, string rule)
    {
        await using var services = NewQueue(api);
        var queue = services.GetRequiredService<IAssistantMessageQueue>();

        var refused = await Assert.ThrowsAsync<ArgumentException>(() => queue.EnqueueAsync(new AssistantMessage { ThreadId = "t", Contents = [Part(part)] }, Ct));

        Assert.StartsWith(rule, refused.Message);
        var status = await queue.GetQueueStatusAsync(Ct);
        Assert.Equal((0, 0), (status.WaitingCount, status.DelayedCount));
    }

    [Theory]
    [InlineData(OpenAIApi.Responses, "png", "pdf", "pdf-url", "image-url", "image-data-url", "file-alone", "image-file")]
    [InlineData(OpenAIApi.Assistants, "text", "image-url", "file-alone", "image-file")]
    public async Task Enqueue_ContentThatTheApiTakes_IsStored(OpenAIApi api, params string[] parts)
    {
        await using var services = NewQueue(api);
        var queue = services.GetRequiredService<IAssistantMessageQueue>();

        var receipt = await queue.EnqueueAsync(new AssistantMessage { ThreadId = "t", Contents = [.. parts.Select(Part)] }, Ct);

        Assert.True(receipt.Sequence > 0);
    }

    [Theory]
    [InlineData(OpenAIApi.Responses, "error")]
    [InlineData(OpenAIApi.Responses, "audio")]
    [InlineData(OpenAIApi.Assistants, "png")]
    [InlineData(OpenAIApi.Assistants, "file-alone")]
    public async Task Run_ContentThatAProducerElsewhereLetPass_IsPermanentAndNothingWasPosted(OpenAIApi api, string part)
    {
        var failure = await FailAsync(NewBackend(o => Use(o, api)), new StoredBatch("t", [Part(part)]));

        Assert.Equal((BackendErrorKind.Permanent, "unsupported_content"), (failure.Kind, failure.Code));
        Assert.Contains("(message 'm1')", failure.Message);
        Assert.Empty(Ledger.Runs);
    }

    [Theory]
    [InlineData(OpenAIApi.Responses, false)]
    [InlineData(OpenAIApi.Responses, true)]
    [InlineData(OpenAIApi.Assistants, false)]
    [InlineData(OpenAIApi.Assistants, true)]
    public async Task Reply_CitesAFile_KeepsCitationUsageAndModelInTheStoredReply(OpenAIApi api, bool stream)
    {
        var completed = await CompleteAsync(NewBackend(o => { Use(o, api); o.Stream = stream; }), new StoredBatch("t", "/cite file-7"));

        var reply = Stored(completed);
        var text = Assert.IsType<TextContent>(Assert.Single(reply.Contents));
        var citation = Assert.IsType<CitationAnnotation>(Assert.Single(text.Annotations!));
        Assert.Equal("file-7", citation.FileId);
        Assert.Equal(api == OpenAIApi.Responses ? "file-7.txt" : null, citation.Title);
        if (api == OpenAIApi.Assistants)
        {
            var region = Assert.IsType<TextSpanAnnotatedRegion>(Assert.Single(citation.AnnotatedRegions!));
            Assert.Equal("【0†source】", reply.Text[region.StartIndex!.Value..region.EndIndex!.Value]);
        }

        Assert.True(reply.Usage!.TotalTokenCount > 0);
        Assert.Equal(api == OpenAIApi.Responses ? "gpt-test" : "gpt-4o", reply.Model);
    }

    [Fact]
    public void Reply_ImagesAndFilesOfTheModel_AreParts()
    {
        var reply = Stored(ResponseReading.Reply(JsonElement.Parse("""
            {"id":"resp_1","status":"completed","model":"m","output":[
              {"type":"message","role":"assistant","content":[{"type":"output_text","text":"see","annotations":[
                {"type":"url_citation","url":"https://example.org/a","title":"A","start_index":0,"end_index":3},
                {"type":"container_file_citation","container_id":"cntr_1","file_id":"cfile_1","filename":"a.csv","start_index":0,"end_index":3}]}]},
              {"type":"image_generation_call","status":"completed","output_format":"webp","result":"AQID"},
              {"type":"image_generation_call","status":"failed","result":null}]}
            """)));

        var text = Assert.IsType<TextContent>(reply.Contents[0]);
        Assert.Equal("https://example.org/a", Assert.IsType<CitationAnnotation>(text.Annotations![0]).Url!.AbsoluteUri);
        var file = Assert.IsType<CitationAnnotation>(text.Annotations[1]);
        Assert.Equal(("cfile_1", "a.csv", "cntr_1"), (file.FileId, file.Title, file.AdditionalProperties!["container_id"]!.ToString()));
        var image = Assert.IsType<DataContent>(reply.Contents[1]);
        Assert.Equal(("image/webp", 3), (image.MediaType, image.Data.Length));
        Assert.Equal(2, reply.Contents.Count);
    }

    [Fact]
    public void Reply_MessageOfAnAssistant_HasItsImages()
    {
        var parts = ReplyParts.OfMessage(JsonElement.Parse("""
            {"content":[{"type":"text","text":{"value":"a plot","annotations":[]}},{"type":"image_file","image_file":{"file_id":"file-9"}},{"type":"image_url","image_url":{"url":"https://example.org/b.png"}}]}
            """)).ToList();

        var reply = Stored(new RunCompleted { Text = "a plot", Contents = parts });

        Assert.Equal("file-9", Assert.IsType<HostedFileContent>(reply.Contents[1]).FileId);
        Assert.Equal("https://example.org/b.png", Assert.IsType<UriContent>(reply.Contents[2]).Uri.AbsoluteUri);
    }

    private static AssistantReply Stored(RunCompleted completed)
    {
        var reply = new AssistantReply { ThreadId = "t", BatchId = "b", Text = completed.Text, Contents = completed.Contents, Usage = completed.Usage, Model = completed.Model, MessageIds = ["m1"], FirstSequence = 1, LastSequence = 1 };
        return JsonSerializer.Deserialize(JsonSerializer.Serialize(reply, StoreJson.Reply), StoreJson.Reply)!;
    }

    private static void Use(OpenAIOptions options, OpenAIApi api)
    {
        options.Api = api;
        options.AssistantId = "asst_1";
        if (api == OpenAIApi.Assistants)
        {
            options.Model = null;
        }
    }

    private ServiceProvider NewQueue(OpenAIApi api)
    {
        var services = new ServiceCollection();
        services
            .AddAssistantMessageQueue(o => (o.RedisConnectionString, o.QueuePrefix, o.MessageDelay) = (shared.Redis.ConnectionString, "t" + Guid.NewGuid().ToString("N"), TimeSpan.FromHours(1)))
            .ProducerOnly()
            .UseOpenAI(o => Use(o, api));
        return services.BuildServiceProvider();
    }

    private static AIContent Part(string name) => name switch
    {
        "text" => new TextContent("hi"),
        "png" => new DataContent(Bytes, "image/png"),
        "tiff" => new DataContent(Bytes, "image/tiff"),
        "large-image" => new DataContent(new byte[16_000_000], "image/png"),
        "pdf" => new DataContent(Bytes, "application/pdf") { Name = "a.pdf" },
        "audio" => new DataContent(Bytes, "audio/mpeg"),
        "video-url" => new UriContent("https://example.org/a.mp4", "video/mp4"),
        "image-url" => new UriContent("https://example.org/a.png", "image/png"),
        "image-data-url" => new UriContent("data:image/png;base64,AQID", "image/png"),
        "pdf-url" => new UriContent("https://example.org/a.pdf", "application/pdf"),
        "ftp" => new UriContent("ftp://example.org/a.png", "image/png"),
        "image-file" => new HostedFileContent("file-1") { MediaType = "image/png" },
        "file-alone" => new HostedFileContent("file-2"),
        _ => new ErrorContent("no"),
    };
}
