using System.Text.Json;
using Microsoft.Extensions.AI;

namespace AssistantQueue.Tests.OpenAIBackends.Assistants;

/// <summary>What a batch looks like on the wire. The base class holds every request against the published schema.</summary>
public class RunRequestTests : BackendTest
{
    protected override void Configure(OpenAIOptions options) => options.AssistantId = "asst_1";

    [Fact]
    public async Task Request_EveryKindOfContent_IsAsPublished()
    {
        var batch = new StoredBatch(
            "t",
            [new TextContent("look"), new UriContent("https://example.org/a.png", "image/png")],
            [new TextContent("and"), new HostedFileContent("file-1") { MediaType = "image/png" }, new HostedFileContent("file-2")]);

        await CompleteAsync(NewBackend(o => o.Model = "gpt-other"), batch);

        var body = JsonElement.Parse(Ledger.Requests.Single(r => r.Operation == "create_run").Body!);
        var messages = body.GetProperty("additional_messages").EnumerateArray().ToList();
        Assert.Equal(["text,image_url", "text,image_file"], messages.Select(m => string.Join(",", m.GetProperty("content").EnumerateArray().Select(p => p.GetProperty("type").GetString()))));
        Assert.Equal("file-2", messages[1].GetProperty("attachments")[0].GetProperty("file_id").GetString());
        Assert.Equal("gpt-other", body.GetProperty("model").GetString());
    }

    [Fact]
    public async Task Request_DataThatCantBeSent_SaysWhatToDo()
    {
        var failure = await FailAsync(NewBackend(), new StoredBatch("t", [new DataContent(new byte[] { 1 }, "image/png")]));

        Assert.Equal(BackendErrorKind.Permanent, failure.Kind);
        Assert.Contains("upload", failure.Message);
    }
}
