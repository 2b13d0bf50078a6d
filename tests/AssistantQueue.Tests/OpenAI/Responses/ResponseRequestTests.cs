using System.Text.Json;
using Microsoft.Extensions.AI;

namespace AssistantQueue.Tests.OpenAIBackends.Responses;

/// <summary>What a batch looks like on the wire. The base class holds every request against the published schema.</summary>
public class ResponseRequestTests : BackendTest
{
    protected override void Configure(OpenAIOptions options) => options.Model = "gpt-test";

    [Fact]
    public async Task Request_EveryKindOfContent_IsAsPublished()
    {
        var batch = new StoredBatch(
            "t",
            [new TextContent("look")],
            [new UriContent("https://example.org/a.png", "image/png"), new UriContent("https://example.org/a.pdf", "application/pdf")],
            [new DataContent(new byte[] { 1, 2, 3 }, "image/png"), new DataContent(new byte[] { 1, 2, 3 }, "application/pdf") { Name = "a.pdf" }],
            [new HostedFileContent("file-1") { MediaType = "image/png" }, new HostedFileContent("file-2")]);

        await CompleteAsync(NewBackend(), batch);

        var input = Posted().GetProperty("input").EnumerateArray().Select(i => string.Join(",", i.GetProperty("content").EnumerateArray().Select(p => p.GetProperty("type").GetString())));
        Assert.Equal(["input_text", "input_image,input_file", "input_image,input_file", "input_image,input_file"], input);
    }

    [Fact]
    public async Task Request_CombinedMessages_AreOneUserMessage()
    {
        await CompleteAsync(NewBackend(), new StoredBatch("t", "hi", "there") { Combine = MessageCombination.SingleMessage });

        Assert.Equal(["hi\n\nthere"], Assert.Single(Ledger.Runs).Texts);
    }

    [Fact]
    public async Task Request_LongKeysAndMuchMetadata_StayWithinTheApisLimits()
    {
        var metadata = Enumerable.Range(0, 16).ToDictionary(i => $"k{i}", i => $"v{i}");
        var batch = new StoredBatch(new string('ü', 600), "hi") { QueueName = "support", Metadata = metadata };

        await CompleteAsync(NewBackend(o => o.MaxOutputTokens = 1000), batch);

        var sent = Assert.Single(Ledger.Runs).Metadata!;
        Assert.Equal(16, sent.Count);
        Assert.Equal("batch-1", sent["batch_id"]);
        Assert.Equal("support", sent["queue"]);
        Assert.Equal(512, sent["thread_key"].Length);
        Assert.Equal("v0", sent["k0"]);
        Assert.Equal(1000, Posted().GetProperty("max_output_tokens").GetInt32());
    }

    [Fact]
    public async Task Request_ContentThatCantBeSent_IsPermanentAndNothingWasPosted()
    {
        var failure = await FailAsync(NewBackend(), new StoredBatch("t", [new ErrorContent("no")]));

        Assert.Equal(BackendErrorKind.Permanent, failure.Kind);
        Assert.Contains("ErrorContent", failure.Message);
        Assert.Empty(Ledger.Runs);
    }

    private JsonElement Posted() => JsonElement.Parse(Ledger.Requests.Single(r => r.Operation == "create_response").Body!);
}
